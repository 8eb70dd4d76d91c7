// The other process (or thread) of test/store/upkeep-kills.test.ts: what it does is its first argument.
//
//   owner FOLDER MAPVERSION   claims shard 0, tells the story of upkeep-story.ts from the store's offset on, and does
//                             some slices of upkeep after each commit; says "o OFFSET" after each answer of ok
//   upkeep FOLDER             nothing but upkeep; says "u WORK" after each slice, "u idle" or "u overtaken"
//   host FOLDER FROM COUNT    an owner without upkeep; beside it upkeep in a worker thread that is terminated COUNT times
//                             at random moments, with a commit right after it; says "o OFFSET" likewise, "t" at each
//                             termination
import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { systemClock } from "../../src/base/clock.ts";
import { createLmdbEngine } from "../../src/store/lmdb.ts";
import { smallUpkeep } from "./lmdb-helpers.ts";
import { commitAt, deleteAt, taskAt } from "./upkeep-story.ts";

const args = isMainThread ? process.argv.slice(2) : (workerData as string[]);
const [role, folder = "", number = "0", count = "0"] = args;
const port = parentPort;
const say = (text: string) => {
  if (port === null) process.stdout.write(`${text}\n`);
  // An empty list of transfers tells the linter that this is no window.
  else port.postMessage(text, []);
};
const engine = createLmdbEngine({ folder, mapBytes: 256 << 20, clock: systemClock, upkeep: smallUpkeep });

async function owner() {
  const store = await engine.openShard(0);
  const claim = await store.claim({ node: "n", mapVersion: Number(number), instance: "i" });
  if (claim.kind !== "claimed") throw new Error(JSON.stringify(claim));
  const { epoch } = claim.state;
  let { offset } = claim.state;
  return async () => {
    await deleteAt(store, epoch, offset);
    const result = await store.commit(commitAt(epoch, offset));
    if (result.kind !== "ok") throw new Error(JSON.stringify(result));
    say(`o ${++offset}`);
    return offset;
  };
}

if (role === "owner") {
  const commit = await owner();
  const upkeep = await engine.openUpkeep(0);
  for (;;) {
    const offset = await commit();
    for (let n = 0; n < 12; n++) {
      const step = await upkeep.step(taskAt(offset, offset % 4 === 0));
      if (step.kind === "idle") break;
    }
  }
} else if (role === "upkeep") {
  const upkeep = await engine.openUpkeep(0);
  const reader = await engine.openReader(0);
  for (let n = 0; ; n++) {
    const snapshot = await reader.snapshot();
    const { offset } = await snapshot.state();
    snapshot.close();
    const step = await upkeep.step(taskAt(offset, n % 50 < 25));
    say(`u ${step.kind === "worked" ? step.work : step.kind}`);
    // Others get the processor.
    if (step.kind === "idle") await new Promise((resolve) => void setTimeout(resolve, 2));
  }
} else {
  const commit = await owner();
  await commit();
  for (let left = Number(count); left > 0; left--) {
    const worker = new Worker(new URL(import.meta.url), { workerData: ["upkeep", folder] });
    for (let lines = 1 + Math.floor(Math.random() * 40); lines > 0; lines--) {
      await once(worker, "message");
      if (lines % 4 === 0) await commit();
    }
    await worker.terminate();
    say("t");
    await commit();
  }
  process.exit(0);
}
