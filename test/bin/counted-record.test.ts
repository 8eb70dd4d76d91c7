// The record counted up to a place, and on to the next one: always what a store at that place has booked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { CountedRecord } from "../../bin/counted-record.ts";
import { Recount } from "../../bin/recount.ts";
import type { Interval, LedgerRow } from "../../src/store/store.ts";
import { bootB, World } from "../workers/world.ts";

const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
const everything = { from: 0, until: 2 ** 32 };

test("gaps are left out until they are filled, and of a frame in part its first lines count", async () => {
  const world = await World.start();
  const minute = Math.floor(world.clock.nowMs() / 60_000) * 60;
  // Frame s has s lines and refuses 100.
  for (let s = 1; s <= 6; s++) {
    const lines = Array.from({ length: s }, (_, i) => `a${i} 1`);
    const refusals = [{ tenant: "t1", door: "udp" as const, reason: "nan", count: 100, minute }];
    await world.record(world.frame(lines, { n: s, refusals }));
  }
  const recount = new Recount();
  const counted = new CountedRecord(world.bus, world.clock, 0, (frame, from, to) =>
    recount.add(frame, undefined, from, to),
  );
  type Place = { offset: number; gaps?: Interval[]; parts?: { sequence: number; lines: number }[] };
  const f = async ({ offset, gaps = [], parts = [] }: Place, lines: number, frames: number) => {
    assert.equal(await counted.upTo({ offset, gaps, parts }), true);
    const booked = (door: "tcp" | "udp", fate: "received" | "refused", count: number): LedgerRow => ({
      tenant: "t1",
      door,
      minute,
      fate,
      reason: fate === "refused" ? "nan" : "",
      count,
    });
    const refused = 100 * frames;
    assert.deepEqual(
      recount.differences(
        "t1",
        [
          booked("tcp", "received", lines),
          booked("udp", "received", refused),
          booked("udp", "refused", refused),
        ],
        everything,
      ),
      [],
    );
  };
  await f({ offset: 1 }, 1, 1);
  await f({ offset: 4, gaps: [[2, 3]] }, 1 + 4, 2);
  await f({ offset: 4, gaps: [[2, 3]], parts: [{ sequence: 5, lines: 2 }] }, 1 + 4 + 2, 2);
  await f({ offset: 5, gaps: [[2, 3]], parts: [{ sequence: 2, lines: 1 }] }, 1 + 4 + 5 + 1, 3);
  await f({ offset: 5, gaps: [[3, 3]] }, 1 + 2 + 4 + 5, 4);
  await f({ offset: 6, parts: [] }, 1 + 2 + 3 + 4 + 5 + 6, 6);
  assert.equal(await counted.upTo({ offset: 5, gaps: [], parts: [] }), false);
  assert.equal(await counted.upTo({ offset: 6, gaps: [[4, 4]], parts: [] }), false);
});

test(`wherever a store is, each frame counts once, resent ones too (MILLRACE_SEED=${seed})`, async () => {
  const random = seededRandom(seed);
  for (let round = 0; round < 20; round++) {
    const world = await World.start({ duplicateWindowMs: 1 });
    const count = 5 + random.below(20);
    const sizes: number[] = [];
    const frames: Buffer[] = [];
    const numbers: number[] = []; // by sequence, from 1 on
    for (let at = 0; at < count; at++) {
      const n = random.below(4) === 0 && frames.length > 0 ? random.below(frames.length) : frames.length;
      if (n === frames.length) {
        sizes.push(1 + random.below(4));
        const lines = Array.from({ length: sizes.at(-1) as number }, (_, i) => `a${i} 1`);
        frames.push(world.frame(lines, { boot: bootB, n }));
      }
      numbers.push(n);
      await world.record(frames[n] as Buffer);
      await world.clock.pass(10);
    }
    const recount = new Recount();
    const counted = new CountedRecord(world.bus, world.clock, 0, (frame, from, to) =>
      recount.add(frame, undefined, from, to),
    );
    // The store: a live lane that skips at times, and a fill lane.
    const done = new Set<number>();
    let offset = 0;
    const gaps: number[] = [];
    while (offset < count || gaps.length > 0) {
      if (offset < count && random.below(3) > 0) {
        offset++;
        if (random.below(3) === 0) gaps.push(offset);
        else done.add(offset);
      } else if (gaps.length > 0) done.add(gaps.shift() as number);
      if (random.below(3) > 0 && (offset < count || gaps.length > 0)) continue;
      const set = gaps.map((sequence): Interval => [sequence, sequence]);
      assert.equal(await counted.upTo({ offset, gaps: set, parts: [] }), true);
      const applied = new Set([...done].map((sequence) => numbers[sequence - 1] as number));
      assert.equal(
        recount.lines,
        [...applied].reduce((sum, n) => sum + (sizes[n] ?? 0), 0),
        `round ${round}, offset ${offset}, gaps ${gaps.join(" ")}`,
      );
    }
  }
});
