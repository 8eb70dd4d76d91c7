// An upkeep thread that misbehaves on demand: the shard says how.
import type { UpkeepAnswer, UpkeepJob } from "../../workers/messages.ts";

export const throws = 1;
export const exits = 2;
export const fillsHeap = 3;
export const dyingLater = 4;

let jobs = 0;
const hoard: unknown[] = [];

export default async function answer(job: UpkeepJob): Promise<UpkeepAnswer> {
  jobs += 1;
  if (job.kind !== "slice") return { kind: "closed" };
  switch (job.shard) {
    case throws:
      throw new TypeError("a bug");
    case exits:
      return process.exit(3);
    case fillsHeap:
      for (;;) hoard.push(Array.from({ length: 10_000 }, (_, i) => ({ i })));
    case dyingLater:
      setImmediate(() => {
        throw new TypeError("a bug of later");
      });
      break;
    default:
  }
  // Tells the test whether it is still the same thread.
  return { kind: "sliced", done: {}, end: "idle", backlogBytes: jobs };
}
