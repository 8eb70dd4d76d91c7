// The other process of test/store/replay-kills.test.ts: what it does is its first argument.
//
//   owner FOLDER MAPVERSION   claims shard 0, lives the story of replay-story.ts from the store's state on: commits, one
//                             replay after the other, some slices of upkeep; says "o OFFSET" after each commit, "r ANSWER"
//                             after each call for a replay
//   upkeep FOLDER             nothing but upkeep; says "u WORK" after each slice, "u idle" or "u overtaken"
import { systemClock } from "../../src/base/clock.ts";
import { createLmdbEngine } from "../../src/store/lmdb.ts";
import type { Replay } from "../../src/store/state.ts";
import type { ShardStore, ShardUpkeep } from "../../src/store/store.ts";
import { smallUpkeep } from "./lmdb-helpers.ts";
import { commitAt, partAt, range, task } from "./replay-story.ts";

const [role, folder = "", number = "0"] = process.argv.slice(2);
const say = (text: string) => void process.stdout.write(`${text}\n`);
const engine = createLmdbEngine({ folder, mapBytes: 256 << 20, clock: systemClock, upkeep: smallUpkeep });

async function steps(upkeep: ShardUpkeep, most: number, all: boolean): Promise<void> {
  for (let left = most; left > 0; left--) {
    const step = await upkeep.step({ ...task, all });
    say(`u ${step.kind === "worked" ? step.work : step.kind}`);
    // Others get the processor.
    if (step.kind === "idle") return void (await new Promise((resolve) => void setTimeout(resolve, 2)));
  }
}

/** What is next for the replay that the store has. */
async function replayOn(store: ShardStore, epoch: number, replay: Replay | undefined): Promise<void> {
  if (replay === undefined) say(`r ${(await store.beginReplay(epoch, range)).kind}`);
  else if (replay.state === "building") {
    const to = Math.min(replay.offset, replay.done + 5);
    say(`r ${(await store.stage(epoch, replay.id, partAt(replay.id, replay.done, to))).kind}`);
  } else if (replay.state === "staged") {
    if (replay.id % 5 === 0) say(`r given up ${await store.abandonReplay(epoch, replay.id)}`);
    else say(`r ${await store.swap(epoch, replay.id)}`);
  }
}

if (role === "owner") {
  const store = await engine.openShard(0);
  const claim = await store.claim({ node: "n", mapVersion: Number(number), instance: "i" });
  if (claim.kind !== "claimed") throw new Error(JSON.stringify(claim));
  const { epoch } = claim.state;
  let { offset } = claim.state;
  const upkeep = await engine.openUpkeep(0);
  for (;;) {
    const result = await store.commit(commitAt(epoch, offset));
    if (result.kind !== "ok") throw new Error(JSON.stringify(result));
    say(`o ${++offset}`);
    const now = await store.resume(epoch);
    if (now.kind !== "claimed") throw new Error(JSON.stringify(now));
    await replayOn(store, epoch, now.state.replays[0]);
    await steps(upkeep, 6, offset % 2 === 0);
  }
} else {
  const upkeep = await engine.openUpkeep(0);
  for (let n = 0; ; n++) await steps(upkeep, 20, n % 2 === 0);
}
