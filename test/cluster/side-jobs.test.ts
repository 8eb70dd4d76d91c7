// Jobs behind actors: who has a place, and what ends one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SideJobs, type SideJob } from "../../cluster/side-jobs.ts";
import { Outage } from "../../src/base/errors.ts";
import type { ShardProgress } from "../../src/store/store.ts";
import { ManualClock } from "../harness/clock.ts";
import { silentLog } from "../harness/log.ts";

class Job implements SideJob {
  isOpen = false;
  isOver = false;
  end(): Promise<void> {
    this.isOpen = false;
    this.isOver = true;
    return Promise.resolve();
  }
}

test("a few jobs have a place; one ends where its shard needs none, or went elsewhere, and no other does", async () => {
  const clock = new ManualClock();
  let here = [0, 1, 2, 3];
  let needs = [0, 1, 2];
  const dark = new Set<number>();
  const jobs = new SideJobs<Job>({
    what: "jobs",
    clock,
    log: silentLog,
    running: () => here.map((shard) => ({ shard, epoch: 7 })),
    readHead: async (shard) => {
      if (dark.has(shard)) throw new Outage("store-unavailable", "as the test wished");
      return { offset: shard } as Partial<ShardProgress> as ShardProgress;
    },
    jobOf: (shard, _head, known) => (needs.includes(shard) ? (known ?? new Job()) : undefined),
    look: (job, _head, epoch, hasPlace) => {
      assert.equal(epoch, 7);
      job.isOpen ||= hasPlace;
    },
  });
  const open = () => [0, 1, 2, 3].filter((shard) => jobs.of(shard)?.isOpen === true);
  jobs.start();
  await clock.pass(1000);
  assert.deepEqual([open(), jobs.all().length], [[0, 1], 3]);
  const first = jobs.of(0);
  needs = [1, 2, 3];
  dark.add(1);
  await clock.pass(1000);
  assert.equal(first?.isOver, true);
  assert.deepEqual([open(), jobs.of(0)], [[1, 2], undefined], "who can't be read keeps its job");
  here = [0, 2, 3];
  await clock.pass(1000);
  assert.deepEqual(open(), [2, 3]);
  const last = jobs.all();
  const stopped = jobs.stop();
  await clock.pass(1000);
  await stopped;
  assert.deepEqual(
    last.map(({ isOver }) => isOver),
    [true, true],
  );
});
