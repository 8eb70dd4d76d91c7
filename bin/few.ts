// Questions to many shards: a few at a time, for there may be a thousand, and a node answers a few at a time.

const most = 8;

/** What `ask` answers of each, in their order. */
export async function fewAtATime<T, R>(items: readonly T[], ask: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = [];
  const left = items.entries();
  const work = async () => {
    for (const [i, item] of left) answers[i] = await ask(item);
  };
  await Promise.all(Array.from({ length: most }, work));
  return answers;
}
