// Owners and upkeep that are killed at random moments of replays: each point is of one generation, and there once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { claimed, withSnapshot } from "../contract/store-helpers.ts";
import { upkeepUntilIdle } from "../contract/store-life.ts";
import { engineIn, smallUpkeep, startFile, withFolder, type Child } from "./lmdb-helpers.ts";
import { checkStory, task } from "./replay-story.ts";

const start = (...args: string[]) => startFile("replay-child", ...args);

/** How often each line was said, offsets apart. */
async function killed(seed: number, kills: number): Promise<Map<string, number>> {
  const random = seededRandom(seed);
  const said = new Map<string, number>();
  const note = (child: Child) => {
    for (const line of child.lines.filter((each) => !each.startsWith("o ")))
      said.set(line, (said.get(line) ?? 0) + 1);
  };
  await withFolder(async (folder) => {
    let beside: Child | undefined;
    let offset = 0;
    // Until there was what is to be tested, and that many times.
    for (let kill = 1; kill <= kills || (said.get("r swapped") ?? 0) < 2; kill++) {
      assert.ok(kill < 10 * kills, `swaps happen: ${JSON.stringify([...said])}`);
      const owner = start("owner", folder, String(kill));
      await owner.line("o ");
      beside ??= start("upkeep", folder);
      await beside.line("u ");
      const until = systemClock.monotonicMs() + 100 + random.below(400);
      while (systemClock.monotonicMs() < until) await owner.output();
      if (random.below(3) > 0) {
        await beside.kill();
        note(beside);
        beside = undefined;
      }
      await owner.kill();
      note(owner);
      const answered = Number(owner.lines.findLast((line) => line.startsWith("o "))?.slice(2) ?? 0);
      const least = Math.max(offset, answered);
      offset = await withSnapshot(engineIn(folder), 0, (snapshot) => checkStory(snapshot, least));
    }
    await beside?.kill();
    if (beside !== undefined) note(beside);
    const engine = engineIn(folder, 256 << 20, smallUpkeep);
    const store = await engine.openShard(0);
    const { epoch, replays } = await claimed(store, "n", 1000);
    for (const { id } of replays) await store.abandonReplay(epoch, id);
    await upkeepUntilIdle(engine, { ...task, all: true });
    await withSnapshot(engine, 0, async (snapshot) => {
      assert.deepEqual((await snapshot.state()).replays, []);
      await checkStory(snapshot, offset);
    });
    await store.close();
  });
  return said;
}

const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);

test(`C1, C8: kill -9 of owners and of upkeep in replays (MILLRACE_SEED=${seed})`, async () => {
  const seen = await killed(seed, 8);
  for (const what of ["r swapped", "u replay", "u fragments", "u merge"])
    assert.ok((seen.get(what) ?? 0) > 0, `${what} happened: ${JSON.stringify([...seen])}`);
});
