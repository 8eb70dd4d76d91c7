// Questions to many shards: so many at a time, for there may be a thousand, and those that wait for a node's turn must not
// wait for long. Not fewer: a node that hangs costs the whole waiting time of each round.

const most = 128;

/** What `ask` answers of each, in their order. */
export async function fewAtATime<T, R>(
  items: readonly T[],
  ask: (item: T, i: number) => Promise<R>,
): Promise<R[]> {
  const answers: R[] = [];
  const left = items.entries();
  const work = async () => {
    for (const [i, item] of left) answers[i] = await ask(item, i);
  };
  await Promise.all(Array.from({ length: most }, work));
  return answers;
}
