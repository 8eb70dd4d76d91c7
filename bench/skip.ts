// A shard with a long backlog: skipped to live, filled behind live data, and then a tenant's time rebuilt from the record.
//
//   npm run bench -- skip [--backlog 10000000] [--series 10000] [--rate 20000] [--window 1] [--shards 4] [--json]
//
// The real system. A shard is paused while a tenant of it sends the backlog; then it is resumed and skipped at once. The
// backfill's rate is measured alone and beside a steady live load; how late live data is to be seen, on the shard itself
// and on a sibling, is measured with the backfill paused and at full speed, in turns of --window seconds each
// as long as the backlog lasts; a window in which it ends is not counted. Points that are not there once at the end are an error.
import { parseArgs } from "node:util";
import { System, type Keys } from "../test/harness/system.ts";
import { round } from "./figures.ts";
import type { Sender } from "./sending.ts";
import { counted, shardOf, startLoad, tenantOnEach } from "./shard-load.ts";
import { machine } from "./store-place.ts";
import { latenciesOf, probeFor } from "./visible.ts";

const victim = 0;
const sibling = 1;
const aloneSeconds = 2;
const turnsMost = 12;
const lookMs = 200;

interface Stage {
  system: System;
  live: Sender;
  tenants: Keys[];
  rate: number;
  windowSeconds: number;
}

interface Probes {
  own: number[];
  sibling: number[];
}

export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: {
      backlog: { type: "string", default: "10000000" },
      series: { type: "string", default: "10000" },
      rate: { type: "string", default: "20000" },
      window: { type: "string", default: "1" },
      shards: { type: "string", default: "4" },
      "disk-budget": { type: "string", default: "16GB" },
      json: { type: "boolean", default: false },
    },
  });
  const shards = Number(values.shards);
  const series = Number(values.series);
  const backlog = Number(values.backlog);
  const system = await System.start({ shards, env: { MILLRACE_DISK_BUDGET: values["disk-budget"] } });
  const senders: Sender[] = [];
  try {
    const tenants = await tenantOnEach(system, shards);
    const behind = await tenantOn(system, victim);
    const live = await startLoad(system, tenants, series, 0);
    senders.push(live);
    const late = await startLoad(system, [behind], series, series);
    senders.push(late);
    const stage: Stage = {
      system,
      live,
      tenants,
      rate: Number(values.rate),
      windowSeconds: Number(values.window),
    };
    const shard = String(victim);

    await system.millrace("backfill", "pause", shard);
    await system.millrace("shard", "pause", shard);
    const { done } = await late.send(backlog, 0);
    await done;
    await untilQuiet(system);
    say(await system.millrace("shard", "skip", shard, "--dry-run"));
    const skip = await skipped(system, tenants[victim] as Keys, shard);
    say(`skip: ${JSON.stringify(skip)}`);

    const alone = await filledIn(system, async () => {
      await system.millrace("backfill", "resume", shard);
      await sleep(aloneSeconds * 1000);
      await system.millrace("backfill", "pause", shard);
    });
    say(`backfill alone: ${alone} points a second`);
    const backfill = { alonePointsPerSecond: alone, ...(await takeTurns(stage, shard)) };
    say(`backfill: ${JSON.stringify(backfill)}`);
    await system.millrace("backfill", "resume", shard);
    await until(() => hasDrained(system));
    const sum = async (name: string) => (await counted(system, name)).get(victim) ?? 0;
    const [lived, filled] = [await sum("shard_points_total"), await sum("fill_points_total")];
    say(`shard ${shard}: ${lived} points committed live, ${filled} behind it`);

    const replay = await replayed(stage, behind, backlog + series);
    const result = {
      bench: "skip",
      backlog,
      series,
      skip,
      backfill,
      replay,
      shards,
      machine: machine(),
    };
    say(JSON.stringify(result, null, 2));
    if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  } finally {
    for (const sender of senders) await sender.end();
    await system.close();
  }
}

function say(text: string): void {
  process.stderr.write(`${text.trim()}\n`);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(lookMs);
}

async function tenantOn(system: System, shard: number): Promise<Keys> {
  for (let i = 0; ; i++) {
    const keys = await system.addTenant(`behind${i}`);
    if ((await shardOf(system, keys)) === shard) return keys;
  }
}

async function hasDrained(system: System): Promise<boolean> {
  return (JSON.parse(await system.millrace("backfill", "list", "--json")) as unknown[]).length === 0;
}

/** Doors have recorded what they took: the shard's record grows no more. */
async function untilQuiet(system: System): Promise<void> {
  let before = -1;
  await until(async () => {
    const { last } = JSON.parse(await system.millrace("shard", "show", String(victim), "--json")) as {
      last: number;
    };
    const same = last === before;
    before = last;
    return same;
  });
}

/** `tookMs`: as the program says; `visibleMs`: from the person's command until a new point of the shard is to be seen. */
async function skipped(system: System, tenant: Keys, shard: string) {
  await system.millrace("shard", "resume", shard);
  const started = performance.now();
  const { tookMs } = JSON.parse(await system.millrace("shard", "skip", shard, "--yes", "--json")) as {
    tookMs: number;
  };
  await probeFor(system, tenant, "probe.skipped", 1);
  return { tookMs, visibleMs: Math.round(performance.now() - started) };
}

/** Points that the fill lane committed in a second while this went on. */
async function filledIn(system: System, work: () => Promise<void>): Promise<number> {
  const before = (await counted(system, "fill_points_total")).get(victim) ?? 0;
  const started = performance.now();
  await work();
  const filled = ((await counted(system, "fill_points_total")).get(victim) ?? 0) - before;
  return round(filled / ((performance.now() - started) / 1000), 0);
}

/** Paused and at full speed, in turns. */
async function takeTurns(stage: Stage, shard: string) {
  const { system } = stage;
  const paused: Probes = { own: [], sibling: [] };
  const full: Probes = { own: [], sibling: [] };
  const rates: number[] = [];
  for (let turn = 0; turn < turnsMost; turn++) {
    const before: Probes = { own: [], sibling: [] };
    const during: Probes = { own: [], sibling: [] };
    await probe(stage, `paused${turn}`, before);
    await system.millrace("backfill", "resume", shard);
    const rate = await filledIn(system, () => probe(stage, `full${turn}`, during));
    if (await hasDrained(system)) break;
    await system.millrace("backfill", "pause", shard);
    rates.push(rate);
    for (const where of ["own", "sibling"] as const) {
      paused[where].push(...before[where]);
      full[where].push(...during[where]);
    }
  }
  if (rates.length === 0) throw new Error("the backlog ended in the first window: make it longer");
  return {
    besideLivePointsPerSecond: rates,
    paused: { own: latenciesOf(paused.own), sibling: latenciesOf(paused.sibling) },
    full: { own: latenciesOf(full.own), sibling: latenciesOf(full.sibling) },
  };
}

/** The live load and its probes for one window. */
async function probe(
  { system, live, tenants, rate, windowSeconds }: Stage,
  name: string,
  into: Probes,
): Promise<void> {
  const { done } = await live.send(rate * windowSeconds, rate);
  const probes = (shard: number) =>
    probeFor(system, tenants[shard] as Keys, `probe.${name}`, windowSeconds * 1000);
  const [own, other] = await Promise.all([probes(victim), probes(sibling)]);
  into.own.push(...own);
  into.sibling.push(...other);
  await done;
}

/** From the command until readers see what was rebuilt, beside the live load. */
async function replayed(stage: Stage, tenant: Keys, points: number) {
  const { system } = stage;
  const during: Probes = { own: [], sibling: [] };
  const now = Math.floor(Date.now() / 1000);
  const words = ["--tenant", tenant.name, "--from", String(now - 7200), "--to", String(now + 7200)];
  say(await system.millrace("replay", ...words, "--dry-run"));
  const started = performance.now();
  let isOver = false;
  const rebuilt = system.millrace("replay", ...words, "--yes", "--watch").then((text) => {
    isOver = true;
    say(text);
    return performance.now() - started;
  });
  for (let turn = 0; !isOver; turn++) await probe(stage, `replay${turn}`, during);
  const tookMs = await rebuilt;
  return {
    points,
    seconds: round(tookMs / 1000),
    pointsPerSecond: Math.round(points / (tookMs / 1000)),
    own: latenciesOf(during.own),
    sibling: latenciesOf(during.sibling),
  };
}
