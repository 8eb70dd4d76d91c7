// Ladders at work: what each rung holds, late points, retention, rules that change.
import assert from "node:assert/strict";
import { spanOf } from "../../src/store/work.ts";
import { withSnapshot, type Case } from "./store-helpers.ts";
import { day, hour, ladderOf, Owner, rulesOf, sums, t0, upkeepUntilIdle } from "./store-life.ts";

const text = "10s:1h,60s:1d,600s:7d";
const ladders = rulesOf(text);

/** From when on a rung of the ladder holds points at `now`. */
function keptOf(ladder: string, rung: number, now: number): number {
  const parsed = ladderOf(ladder);
  return spanOf(parsed, rung, now - (parsed.rungs[rung]?.spanSeconds ?? 0));
}

export function rulesCases(f: Case): void {
  f("retention: what is too old for a rung answers from the next one", async ({ engine }) => {
    const owner = await Owner.of(engine);
    const at = t0 + 24 * 60 + 8; // 8 s after a multiple of 10, 60 and 240 s
    await owner.put(
      t0 + hour,
      { name: "a", at, sum: 1 },
      { name: "a", at: at + 10, sum: 2 },
      { name: "x", at },
    );
    const fine = [at - 8, 10, 6] as const;
    const seen = async (now: number, expected: (number | null)[]) => {
      await owner.put(now, { name: "x", at: now });
      await upkeepUntilIdle(engine, { nowSeconds: now, ladders, all: true });
      assert.deepEqual(await sums(engine, "a", fine), expected, `${now - t0} s`);
    };
    await seen(t0 + hour, [1, 2, null, null, null, null]);
    await seen(keptOf(text, 0, at) + 3 * hour - 1, [1, 2, null, null, null, null]); // held until the span ends
    await seen(t0 + 3 * hour, [3, null, null, null, null, null]);
    assert.deepEqual(await sums(engine, "a", [t0 + 20 * 60, 60, 6]), [null, null, null, null, 3, null]);
    assert.deepEqual(await sums(engine, "a", [t0, 3600, 1]), [3]);
    await seen(t0 + 3 * day, [null, null, null, null, null, null]); // at 10 s: in the bucket of 20:00 now
    assert.deepEqual(await sums(engine, "a", [t0 + 20 * 60, 10, 2]), [3, null]);
    assert.deepEqual(await sums(engine, "a", [t0 + 20 * 60, 60, 6]), [3, null, null, null, null, null]);
    assert.deepEqual(await sums(engine, "a", [t0, 86_400, 1]), [3]);
    await seen(t0 + 12 * day, [null, null, null, null, null, null]);
    assert.deepEqual(await sums(engine, "a", [t0, 86_400, 1]), [null]);
    await owner.store.close();
  });

  f("retention goes by the record's time where the clock is ahead of it", async ({ engine }) => {
    const owner = await Owner.of(engine);
    await owner.put(t0 + hour, { name: "a", at: t0 + 18, sum: 1 });
    await upkeepUntilIdle(engine, { nowSeconds: t0 + 300 * day, ladders, all: true });
    assert.deepEqual(await sums(engine, "a", [t0, 10, 3]), [null, 1, null]);
    // And by the clock where the record is ahead: a sender of frames can't make it forget.
    await owner.put(t0 + 300 * day, { name: "a", at: t0 + 19, sum: 2 });
    await upkeepUntilIdle(engine, { nowSeconds: t0 + hour, ladders, all: true });
    assert.deepEqual(await sums(engine, "a", [t0, 10, 3]), [null, 3, null]);
    await owner.store.close();
  });

  f("late points reach each rung that still holds their time, and no other", async ({ engine }) => {
    const owner = await Owner.of(engine);
    const now = t0 + 30 * day;
    const old = now - 20 * hour; // held at 60 s and 600 s
    const older = now - 6 * day; // held at 600 s
    const gone = keptOf(text, 2, now) - 1;
    const puts = [now - 600, old, older, gone].map((at) => ({ name: "a", at }));
    const expected = async (times: number) => {
      await owner.put(now, ...puts);
      await upkeepUntilIdle(engine, { nowSeconds: now, ladders, all: true });
      for (const [at, stepSeconds, sum] of [
        [now - 600, 10, times],
        [old, 10, times],
        [old, 60, times],
        [old, 600, times],
        [older, 10, times],
        [older, 60, times],
        [older, 600, times],
        [gone, 600, null],
      ] as const)
        assert.deepEqual(await sums(engine, "a", [at - (at % 600), stepSeconds, 600 / stepSeconds]), [
          sum,
          ...Array.from({ length: 600 / stepSeconds - 1 }, () => null),
        ]);
    };
    for (let times = 1; times <= 4; times++) await expected(times);
    const later = now + 3 * hour; // by now the 60 s have to answer for the newest
    await owner.put(later, { name: "x", at: later });
    await upkeepUntilIdle(engine, { nowSeconds: later, ladders, all: true });
    assert.deepEqual(await sums(engine, "a", [now - 600, 60, 2]), [4, null]);
    const size = await withSnapshot(engine, 0, (s) => s.tenantSize("t1"));
    assert.equal(size.points, 3 * 4 + 1);
    await owner.store.close();
  });

  f("a point too late for every rung is read until upkeep comes, then it is gone", async ({ engine }) => {
    const owner = await Owner.of(engine);
    const now = t0 + 30 * day;
    await owner.put(now, { name: "a", at: now });
    await upkeepUntilIdle(engine, { nowSeconds: now, ladders, all: true });
    await owner.put(now, { name: "a", at: t0 }, { name: "b", at: t0 + 5 });
    assert.deepEqual(await sums(engine, "a", [t0, 600, 1]), [1]);
    await upkeepUntilIdle(engine, { nowSeconds: now, ladders, all: true });
    for (const name of ["a", "b"]) assert.deepEqual(await sums(engine, name, [t0, 600, 1]), [null]);
    assert.deepEqual(await sums(engine, "a", [now, 600, 1]), [1]);
    await owner.store.close();
  });

  f("no rung passes points that upkeep has not come to", async ({ engine }) => {
    const owner = await Owner.of(engine);
    await owner.put(t0 + 60, { name: "x", at: t0 });
    await upkeepUntilIdle(engine, { nowSeconds: t0 + 60, ladders, all: true });
    for (const later of [0, 2 * hour, 26 * hour, 4 * day]) {
      const now = t0 + later;
      await owner.put(now, { name: "a", at: t0 + 1210 }, { name: "a", at: now });
      const held = async () => {
        const [sum, ...rest] = await sums(engine, "a", [t0, 3600, 2]);
        return (sum ?? 0) + (later === hour ? (rest[0] ?? 0) : 0);
      };
      const before = await held();
      await upkeepUntilIdle(engine, { nowSeconds: now, ladders, all: false }, async () => {
        assert.equal(await held(), before);
      });
      assert.equal(await held(), before);
    }
    await upkeepUntilIdle(engine, { nowSeconds: t0 + 4 * day, ladders, all: true });
    assert.deepEqual(await sums(engine, "a", [t0, 86_400, 1]), [4 + 1 + 1]);
    await owner.store.close();
  });

  f("retention keeps on while nobody asks for everything", async ({ engine }) => {
    const owner = await Owner.of(engine);
    await owner.put(t0, { name: "a", at: t0 });
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    await owner.put(t0 + 40 * day, { name: "b", at: t0 + 40 * day });
    await upkeepUntilIdle(engine, { nowSeconds: t0 + 40 * day, ladders, all: false });
    assert.deepEqual(await sums(engine, "a", [t0, 600, 1]), [null]);
    await owner.store.close();
  });

  f("ladders by pattern and tenant, odd ones too", async ({ engine }) => {
    const odd = "7s:100s,49s:1000s,490s:20000s";
    const rules = rulesOf(text, { t2: [[0, { "^odd": odd, "^short": "1s:60s" }]] });
    const owner = await Owner.of(engine);
    const start = 980 * Math.ceil(t0 / 980);
    const names = ["odd.a", "short.a", "other.a"];
    const seconds = 5000;
    for (let s = 0; s < seconds; s += 500) {
      const at = Array.from({ length: 500 }, (_, i) => start + s + i);
      for (const tenant of ["t1", "t2"])
        await owner.put(
          start + s + 500,
          ...names.flatMap((name) => at.map((second) => ({ name, tenant, at: second }))),
        );
      if (s % 1500 === 0)
        await upkeepUntilIdle(engine, { nowSeconds: start + s + 500, ladders: rules, all: true });
    }
    const now = start + seconds;
    await upkeepUntilIdle(engine, { nowSeconds: now, ladders: rules, all: true });
    const whole = async (name: string, tenant: string, stepSeconds: number) =>
      (await sums(engine, name, [start, stepSeconds, Math.ceil(seconds / stepSeconds)], tenant)).map(
        (n) => n ?? 0,
      );
    const total = (list: number[]) => list.reduce((sum, n) => sum + n, 0);
    for (const stepSeconds of [7, 10, 49, 98, 490, 980])
      for (const name of ["odd.a", "other.a"])
        assert.equal(total(await whole(name, "t2", stepSeconds)), seconds, `${name} ${stepSeconds}`);
    for (const name of names) assert.equal(total(await whole(name, "t1", 10)), seconds);
    // Where nothing finer is left, buckets of 49 s; before, buckets of 7.
    const fine = await whole("odd.a", "t2", 7);
    const edge = Math.ceil((keptOf(odd, 0, now) - start) / 7);
    assert.ok(edge > 0 && fine.slice(edge, -1).every((n) => n === 7));
    assert.ok(fine.slice(0, edge).every((n, i) => n === (i % 7 === 0 ? 49 : 0)));
    const short = await whole("short.a", "t2", 1);
    const left = keptOf("1s:60s", 0, now) - start;
    assert.deepEqual(
      short,
      [...short.keys()].map((i) => (i >= left ? 1 : 0)),
    );
    await owner.store.close();
  });

  f(
    "a rung that reaches less far back than a finer one cuts no bucket of a coarser one",
    async ({ engine }) => {
      const odd = "7s:100s,49s:1000s,490s:20000s";
      const rules = rulesOf(odd);
      // Spans end where they end: at some times the second rung's just has, and the first one's has not for long.
      let edge = 17_640 * Math.ceil(t0 / 17_640);
      while (keptOf(odd, 0, edge + 1000) >= edge || keptOf(odd, 0, edge + 1000) % 490 === 0) edge += 17_640;
      const now = edge + 1000;
      assert.ok(keptOf(odd, 0, now) < keptOf(odd, 1, now));
      const owner = await Owner.of(engine);
      const start = edge - (edge % 490) - 4900;
      for (let at = start; at < now; at += 490)
        await owner.put(now, ...Array.from({ length: 490 }, (_, i) => ({ name: "a", at: at + i })));
      await upkeepUntilIdle(engine, { nowSeconds: now, ladders: rules, all: true });
      const seconds = 490 * Math.ceil((now - start) / 490);
      for (const stepSeconds of [7, 10, 14, 49, 98, 490]) {
        const from = start - (start % stepSeconds);
        const width = Math.ceil((start + seconds + 490 - from) / stepSeconds);
        const all = await sums(engine, "a", [from, stepSeconds, width]);
        assert.equal(
          all.reduce<number>((sum, n) => sum + (n ?? 0), 0),
          seconds,
          `at ${stepSeconds} s`,
        );
      }
      await owner.store.close();
    },
  );

  f("a changed rule holds from a time on; reads go across it", async ({ engine }) => {
    const change = t0 + 2 * hour;
    const first: [number, Record<string, string>] = [0, { "^a": "10s:12h,60s:3d" }];
    const before = rulesOf(text, { t1: [first] });
    const after = rulesOf(text, { t1: [first, [change, { "^a": "60s:4h,300s:2d" }]] }, 2);
    const owner = await Owner.of(engine);
    const put = async (now: number, ...times: number[]) =>
      await owner.put(now, ...times.map((at) => ({ name: "a", at })));
    const every = (from: number) => Array.from({ length: 12 }, (_, i) => from + i * 10);
    await put(change, ...every(change - 120));
    await upkeepUntilIdle(engine, { nowSeconds: change, ladders: before, all: true });
    await put(change + 120, ...every(change), ...every(change - 120)); // the latter are late: the old ladder's
    await upkeepUntilIdle(engine, { nowSeconds: change + 120, ladders: after, all: true });
    const none = (count: number) => Array.from({ length: count }, () => null);
    assert.deepEqual(await sums(engine, "a", [change - 120, 10, 24]), [
      ...Array.from({ length: 12 }, () => 2),
      6,
      ...none(5),
      6,
      ...none(5),
    ]);
    assert.deepEqual(await sums(engine, "a", [change - 120, 60, 4]), [12, 12, 6, 6]);
    assert.deepEqual(await sums(engine, "a", [change - 600, 300, 3]), [null, 24, 12]);
    assert.deepEqual(await sums(engine, "a", [change - 7200, 14_400, 1]), [36]);
    // A day later the new ladder's 60 s are gone, of the old one nothing is: it ends 12 hours back.
    const later = change + 13 * hour;
    await owner.put(later, { name: "x", at: later });
    await upkeepUntilIdle(engine, { nowSeconds: later, ladders: after, all: true });
    assert.deepEqual(await sums(engine, "a", [change, 60, 5]), [12, null, null, null, null]);
    assert.deepEqual(await sums(engine, "a", [change - 120, 60, 2]), [12, 12]);
    const last = change + 30 * day;
    await owner.put(last, { name: "x", at: last });
    await upkeepUntilIdle(engine, { nowSeconds: last, ladders: after, all: true });
    assert.deepEqual(await sums(engine, "a", [t0, 14_400, 1]), [null]);
    await owner.store.close();
  });

  f("rules that go back to an earlier ladder", async ({ engine }) => {
    const fine = { ".": "10s:12h,60s:3d" };
    const rules = rulesOf(text, {
      t1: [
        [0, fine],
        [t0 + 600, { ".": "60s:4h" }],
        [t0 + 1200, fine],
      ],
    });
    const owner = await Owner.of(engine);
    const put = async (name: string) => {
      const times = Array.from({ length: 180 }, (_, i) => t0 + i * 10);
      await owner.put(t0 + 1800, ...times.map((at) => ({ name, at })));
    };
    for (const name of ["a", "b", "a"]) await put(name);
    await upkeepUntilIdle(engine, { nowSeconds: t0 + 1800, ladders: rules, all: true });
    const expected = Array.from({ length: 180 }, (_, i) =>
      i < 60 || i >= 120 ? 2 : i % 6 === 0 ? 12 : null,
    );
    assert.deepEqual(await sums(engine, "a", [t0, 10, 180]), expected);
    assert.deepEqual(
      await sums(engine, "b", [t0, 10, 180]),
      expected.map((n) => (n === null ? null : n / 2)),
    );
    await owner.store.close();
  });
}
