// A tenant's rules in its record: how they change, what is kept of older ones, and what unreadable ones cost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAggregationFile, parseSchemasFile } from "../../src/graphite/rule-files.ts";
import { type Ladder, parseLadder } from "../../src/metric/bucket.ts";
import {
  compileLadderRules,
  ladderText,
  oldestHeld,
  type SchemaRule,
  type SchemasSince,
} from "../../src/metric/ladder-rules.ts";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { addKey, changeRules, findTenant } from "../../src/tenant/admin.ts";
import { decodeTenant, encodeJson, tenantKeyOf } from "../../src/tenant/record.ts";
import {
  changeHoldsFrom,
  changeSchemas,
  noRules,
  readRules,
  rulesOf,
  storeRules,
  tenantReach,
} from "../../src/tenant/rules.ts";
import type { Tenant } from "../../src/tenant/tenant.ts";
import { follow, random, until, withWorld } from "./directory-world.ts";

const day = 86_400;
const now = 1_795_341_600;
const standard = ladder("10s:2d,60s:30d");

function ladder(text: string): Ladder {
  const parsed = parseLadder(text);
  assert.ok(parsed.kind === "ladder");
  return parsed.ladder;
}

function rules(...texts: string[]): SchemaRule[] {
  return texts.map((text, i) => ({ name: `r${i}`, pattern: `^r${i}`, ladder: ladder(text) }));
}

/** `from: ladders` a set, times counted from `now`. */
function shown(sets: readonly SchemasSince[]): string[] {
  return sets.map(
    ({ fromSeconds, rules: list }) =>
      `${fromSeconds === 0 ? 0 : fromSeconds - now}: ${list.map((rule) => ladderText(rule.ladder)).join(" ")}`,
  );
}

test("R2: a change holds from the next full hour that is at least a minute ahead", () => {
  const f = (seconds: number, expected: number) => assert.equal(changeHoldsFrom(seconds) - now, expected);
  assert.equal(now % 3600, 0);
  f(now, 3600);
  f(now + 3540, 3600);
  f(now + 3541, 7200);
  f(now - 60, 0);
  f(now - 59, 3600);
});

test("R2, R3: what a change leaves", () => {
  const a = rules("60s:1d");
  const b = rules("60s:2d");
  const first = changeSchemas([], a, now, standard);
  assert.deepEqual(shown(first), ["0: ", "3600: 60s:86400s"]);
  assert.equal(changeSchemas(first, a, now + 10, standard), first, "the same rules again change nothing");
  assert.deepEqual(shown(changeSchemas([], [], now, standard)), []);
  // What was still to come is replaced, or taken back.
  assert.deepEqual(shown(changeSchemas(first, b, now + 10, standard)), ["0: ", "3600: 60s:172800s"]);
  assert.deepEqual(shown(changeSchemas(first, [], now + 10, standard)), []);
  // Too late to replace it: it holds for an hour.
  const late = changeSchemas(first, b, now + 3599, standard);
  assert.deepEqual(shown(late), ["0: ", "3600: 60s:86400s", "7200: 60s:172800s"]);
  // The default ladder reaches back 30 days, so a set goes 30 days after the next one began.
  const after = (seconds: number) => shown(changeSchemas(late, a, now + seconds, standard));
  assert.deepEqual(after(30 * day + 3599).length, 4);
  assert.deepEqual(after(30 * day + 3600), [
    "0: 60s:86400s",
    "7200: 60s:172800s",
    `${30 * day + 7200}: 60s:86400s`,
  ]);
  assert.deepEqual(after(30 * day + 7200), ["0: 60s:172800s", `${30 * day + 3600 * 3}: 60s:86400s`]);
  assert.deepEqual(shown(changeSchemas(late, [], now + 7200, standard)).at(-1), "10800: ");
});

test("R3: at most 8 sets and 16 ladders; the oldest go first", () => {
  let sets: readonly SchemasSince[] = [];
  for (let i = 0; i < 20; i++) {
    sets = changeSchemas(sets, rules(`60s:${i + 1}d`), now + i * 3600, standard);
    assert.ok(sets.length <= 8 && sets[0]?.fromSeconds === 0);
    assert.equal(readRules(storeRules({ schemas: sets, aggregation: [] })).kind, "rules");
  }
  assert.deepEqual([shown(sets)[0], shown(sets).at(-1)], [`0: 60s:${13 * day}s`, `72000: 60s:${20 * day}s`]);
  const many = (from: number) => rules(...Array.from({ length: 10 }, (_, n) => `60s:${from + n}d`));
  let wide = changeSchemas([], many(1), now, standard);
  wide = changeSchemas(wide, many(7), now + 3600, standard);
  assert.deepEqual(
    wide.map((set) => set.rules.length),
    [0, 10, 10],
  );
  wide = changeSchemas(wide, many(8), now + 7200, standard);
  assert.deepEqual(
    wide.map((set) => set.rules.length),
    [10, 10],
    "17 ladders were one too many",
  );
});

test("how far back points may lie: a longer ladder reaches back to its own beginning, not further", () => {
  function f(sets: [fromDays: number, spanDays: number][], oldestDays: number): void {
    const reach = sets.map(([from, span]) => ({ fromSeconds: from * day, spanSeconds: span * day }));
    assert.equal(oldestHeld(1000 * day, reach), oldestDays * day);
  }
  f([[0, 30]], 970);
  f(
    [
      [0, 30],
      [990, 100],
    ],
    970,
  );
  f(
    [
      [0, 30],
      [980, 100],
    ],
    970,
  );
  f(
    [
      [0, 30],
      [960, 100],
    ],
    960,
  );
  f(
    [
      [0, 30],
      [800, 100],
    ],
    900,
  );
  f(
    [
      [0, 300],
      [900, 1],
    ],
    700,
  );
  f(
    [
      [0, 50],
      [900, 1],
    ],
    999,
  );
  f(
    [
      [0, 30],
      [1001, 300],
    ],
    970,
  );
  f([[0, 2000]], 1 / day);
});

test("a record's rules are read back as they were, and judged", () => {
  const sets = changeSchemas([], rules("60s:1d,300s:30d", "1s:1h"), now, standard);
  const aggregation = [{ name: "c", pattern: "\\.count$", view: "sum" as const, xFilesFactor: 0 }];
  const stored = JSON.parse(JSON.stringify(storeRules({ schemas: sets, aggregation }))) as object;
  const read = readRules(stored);
  assert.ok(read.kind === "rules");
  assert.deepEqual(
    { schemas: read.rules.schemas, aggregation: read.rules.aggregation },
    { schemas: sets, aggregation },
  );
  assert.deepEqual(readRules(undefined), { kind: "rules", rules: noRules });
  const set = { fromSeconds: 0, rules: [{ name: "a", pattern: "a", ladder: "60s:1d" }] };
  const ok = { schemas: [set], aggregation: [] };
  assert.equal(readRules(ok).kind, "rules");
  for (const bad of [
    null,
    [],
    "x",
    {},
    { schemas: [set] },
    { schemas: [], aggregation: [{}] },
    { schemas: [], aggregation: [{ ...aggregation[0], view: "median" }] },
    { schemas: [], aggregation: [{ ...aggregation[0], xFilesFactor: 2 }] },
    { schemas: [{ ...set, fromSeconds: 5 }], aggregation: [] },
    { schemas: [set, set], aggregation: [] },
    { schemas: [{ ...set, rules: [{ name: "a", pattern: "(a+)+", ladder: "60s:1d" }] }], aggregation: [] },
    { schemas: [{ ...set, rules: [{ name: "a", pattern: "a", ladder: "60s" }] }], aggregation: [] },
    { schemas: [{ ...set, rules: [{ name: "a", pattern: "a", ladder: "1s:30y" }] }], aggregation: [] },
    { schemas: [{ ...set, rules: Array.from({ length: 65 }, () => set.rules[0]) }], aggregation: [] },
    { schemas: Array.from({ length: 9 }, (_, i) => ({ ...set, fromSeconds: i })), aggregation: [] },
  ])
    assert.equal(readRules(bad).kind, "invalid", JSON.stringify(bad));
});

test("set by compare-and-set, seen by the directory; upkeep and doors get what they need", async () => {
  await withWorld(async (world) => {
    const { bus, clock } = world;
    const kv = await bus.kv(tenantsBucket);
    const { tenant, writeKey } = await world.add("acme");
    const directory = await world.open();
    await follow(directory, bus);
    const schemas = parseSchemasFile("[a]\npattern = ^a\\.\nretentions = 1s:1h,60s:60d\n");
    const aggregation = parseAggregationFile("[c]\npattern = count$\naggregationMethod = sum\n");
    assert.ok(schemas.kind === "rules" && aggregation.kind === "rules");
    const change = { schemas: schemas.rules };
    const both = await Promise.all([
      changeRules(kv, tenant.id, change, clock, standard),
      changeRules(kv, tenant.id, { aggregation: aggregation.rules }, clock, standard),
    ]);
    assert.deepEqual(
      both.map(({ kind }) => kind),
      ["changed", "changed"],
    );
    assert.equal((await changeRules(kv, tenant.id, change, clock, standard)).kind, "unchanged");
    assert.equal((await changeRules(kv, "nobody", change, clock, standard)).kind, "unknown-tenant");
    await addKey(kv, tenant.id, "read", { clock, random });
    await until(directory, () => directory.byId(tenant.id)?.keys.length === 3);
    const seen = directory.byId(tenant.id);
    assert.ok(seen !== undefined);
    assert.equal(rulesOf(seen).schemas.length, 2);
    assert.equal(rulesOf(seen).aggregation.length, 1);
    assert.equal(rulesOf(seen), rulesOf(seen), "judged once");
    assert.deepEqual(
      tenantReach(seen, standard).map(({ spanSeconds }) => spanSeconds / day),
      [30, 60],
    );
    assert.deepEqual(tenantReach(tenant, standard), [{ fromSeconds: 0, spanSeconds: 30 * day }]);
    const upkeep = compileLadderRules(3, standard, new Map([[tenant.id, rulesOf(seen).schemas]]));
    const from = changeHoldsFrom(Math.floor(clock.nowMs() / 1000));
    assert.deepEqual(
      upkeep.laddersOf(tenant.id, "a.b").map((each) => `${each.fromSeconds} ${ladderText(each.ladder)}`),
      [`0 ${ladderText(standard)}`, `${from} 1s:3600s,60s:5184000s`],
    );
    assert.equal(upkeep.laddersOf(tenant.id, "b.a").length, 1);
    assert.equal(upkeep.laddersOf("other", "a.b").length, 1);
    assert.equal(directory.lookupKey(writeKey).kind, "known");
    await directory.close();
  });
});

test("D3: rules that can't be read cost the rules: the last good ones stay, or there are none", async () => {
  await withWorld(async (world) => {
    const { bus, clock, counters } = world;
    const kv = await bus.kv(tenantsBucket);
    const { tenant, writeKey } = await world.add("acme");
    const other = await world.add("other");
    const good = await changeRules(kv, tenant.id, { schemas: rules("60s:60d") }, clock, standard);
    assert.ok(good.kind === "changed");
    const directory = await world.open();
    await follow(directory, bus);
    const spoil = async (of: Tenant) => {
      const entry = await kv.get(tenantKeyOf(of.id));
      assert.ok(entry?.value !== undefined);
      const record = decodeTenant(of.id, entry.value);
      assert.ok(record.kind === "tenant");
      const spoilt = { ...record.tenant, keys: record.tenant.keys.toReversed(), rules: { schemas: "?" } };
      await kv.update(tenantKeyOf(of.id), encodeJson(spoilt), entry.revision);
      await until(directory, () => directory.byId(of.id)?.keys[0]?.kind === "read");
    };
    await spoil(tenant);
    await spoil(other.tenant);
    assert.deepEqual(directory.byId(tenant.id)?.rules, good.tenant.rules);
    assert.equal(directory.byId(other.tenant.id)?.rules, undefined);
    assert.deepEqual(
      [directory.lookupKey(writeKey).kind, directory.lookupKey(other.readKey).kind],
      ["known", "known"],
    );
    assert.match(counters.text(), /tenant_records_invalid_total 2/);
    // A key added meanwhile does not throw away what somebody may still want to read.
    await addKey(kv, tenant.id, "read", { clock, random });
    assert.deepEqual((await findTenant(kv, "acme"))?.rules, { schemas: "?" });
    // New rules do.
    const mended = await changeRules(kv, tenant.id, { schemas: rules("60s:9d") }, clock, standard);
    assert.ok(mended.kind === "changed" && rulesOf(mended.tenant).schemas.length === 2);
    await directory.close();
  });
});
