// Finding among very many names, in a store that real commits have made: no network, no record, one thread.
//
//   npm run bench -- find [--json] [--names 1000000] [--folder /somewhere]
//
// Names: nine in ten `servers.dc3.rack07.host00123.cpu.user` (8 data centres, 40 racks in each, 20 readings to a host),
// one in ten tagged. Each pattern is asked again and again for about a second, in a snapshot of its own. With --json the
// last line is one object: p50 and p99 in ms.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../src/base/clock.ts";
import { createLmdbEngine, type LmdbShardStore } from "../src/store/lmdb.ts";
import {
  newSeriesFlag,
  type Commit,
  type DeltaColumns,
  type ShardReader,
  type SeriesKey,
} from "../src/store/store.ts";

const tenant = "bench";
const commitNames = 20_000;
const dataCentres = 8;
const racks = 40;
const parts = ["cpu", "mem", "disk", "net"];
const readings = ["user", "system", "idle", "wait", "load"];
const perHost = parts.length * readings.length;
const perPatternMs = 1000;
const triesMost = 500;

/** Name `i`: hosts one after the other over data centres and racks. */
function nameOf(i: number): string {
  const host = Math.floor(i / perHost);
  const dc = host % dataCentres;
  const rack = Math.floor(host / dataCentres) % racks;
  const part = parts[i % parts.length];
  const reading = readings[Math.floor(i / parts.length) % readings.length];
  const tagged = (i * 2_654_435_761) % 2 ** 32 < 2 ** 32 / 10;
  const where = `dc${dc}.rack${String(rack).padStart(2, "0")}.host${String(host).padStart(6, "0")}`;
  return tagged
    ? `requests.${part}.${reading};dc=dc${dc};host=host${String(host).padStart(6, "0")};i=${i % perHost}`
    : `servers.${where}.${part}.${reading}`;
}

function rowsOf(count: number): DeltaColumns {
  const ones = new Float64Array(count).fill(1);
  const bucket = new Uint32Array(count).fill(1_790_000_000);
  return {
    count,
    series: Uint32Array.from({ length: count }, (_, i) => newSeriesFlag + i),
    bucket,
    points: new Uint32Array(count).fill(1),
    sum: ones,
    min: ones,
    max: ones,
    last: ones,
    lastSeconds: bucket,
    lastReceivedAtMs: new Float64Array(count).fill(1_790_000_000_000),
  };
}

async function build(store: LmdbShardStore, names: number): Promise<void> {
  const claim = await store.claim({ node: "bench", mapVersion: 1, instance: "i" });
  if (claim.kind !== "claimed") throw new Error("the store is somebody else's");
  const { epoch } = claim.state;
  for (let from = 0, offset = 0; from < names; from += commitNames, offset++) {
    const count = Math.min(commitNames, names - from);
    const newSeries: SeriesKey[] = Array.from({ length: count }, (_, i) => ({
      tenant,
      name: Buffer.from(nameOf(from + i)),
    }));
    const commit: Commit = {
      epoch,
      from: offset,
      to: offset + 1,
      incarnation: "bench",
      frameTimeMs: 1_790_000_000_000,
      receivedAtMs: 1_790_000_000_000,
      newSeries,
      // A row each is the least that an actor's commit has for a new name; what it takes is reported apart.
      deltas: rowsOf(count),
      boots: [],
      keyed: [],
      ledger: [],
      dead: [],
      holes: [],
    };
    const result = await store.commit(commit);
    if (result.kind !== "ok") throw new Error(`a commit was answered ${result.kind}`);
  }
}

/** What is asked; `nodes` as /metrics/find does, else series as /render does. */
function questions(names: number): Record<string, { pattern: string; nodes?: true }> {
  let at = Math.floor(names / 2);
  while (nameOf(at).includes(";")) at++;
  const middle = nameOf(at);
  return {
    literal: { pattern: middle },
    oneLevel: { pattern: "servers.dc3.*", nodes: true },
    allHostsOfARack: { pattern: "servers.dc3.rack07.*", nodes: true },
    prefix: { pattern: `${middle.split(".").slice(0, 3).join(".")}.host0*.cpu.user` },
    middleGlobs: { pattern: "servers.*.rack0*.host00004*.*.user" },
    deep: { pattern: "servers.*.*.*.cpu.user" },
    hits50000: { pattern: "servers.*.*.*.*.*" },
    tagged: { pattern: "requests.cpu.user;dc=dc3;host=host000*" },
    taggedScan: { pattern: "requests.*.user;dc=dc3;host=*7;i=1*" },
    nothing: { pattern: "servers.nosuch.*.*" },
  };
}

async function ask(reader: ShardReader, pattern: string, nodes: boolean) {
  const taken: number[] = [];
  let hits = 0;
  const until = performance.now() + perPatternMs;
  while (taken.length < triesMost && (taken.length < 3 || performance.now() < until)) {
    const started = performance.now();
    const snapshot = await reader.snapshot();
    const found = nodes
      ? await snapshot.findNodes(tenant, pattern, 50_000)
      : await snapshot.findSeries(tenant, pattern, 50_000);
    snapshot.close();
    taken.push(performance.now() - started);
    hits = found.length;
  }
  taken.sort((a, b) => a - b);
  const at = (share: number) =>
    round(taken[Math.min(taken.length - 1, Math.floor(taken.length * share))] ?? 0);
  return { hits, tries: taken.length, p50Ms: at(0.5), p99Ms: at(0.99) };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: {
      names: { type: "string", default: "1000000" },
      folder: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const names = Number(values.names);
  const folder = mkdtempSync(join(values.folder ?? tmpdir(), "millrace-find-"));
  try {
    const engine = createLmdbEngine({ folder, mapBytes: 64 * 2 ** 30, clock: systemClock });
    const store = await engine.openShard(0);
    const started = performance.now();
    await build(store, names);
    const buildSeconds = round((performance.now() - started) / 1000);
    const { usedBytes } = store.space();
    const reader = await engine.openReader(0);
    const found: Record<string, unknown> = {};
    for (const [title, { pattern, nodes }] of Object.entries(questions(names))) {
      found[title] = await ask(reader, pattern, nodes ?? false);
      process.stderr.write(`${title} ${pattern}: ${JSON.stringify(found[title])}\n`);
    }
    const result = {
      bench: "find",
      names,
      buildSeconds,
      namesPerSecond: Math.round(names / buildSeconds),
      bytesPerName: round(usedBytes / names),
      fileMb: Math.round(statSync(join(folder, "shard-0", "data.mdb")).size / 2 ** 20),
      rssMb: Math.round(process.memoryUsage().rss / 2 ** 20),
      heapMb: Math.round(process.memoryUsage().heapUsed / 2 ** 20),
      found,
    };
    await reader.close();
    await store.close();
    process.stderr.write(`${JSON.stringify(result, null, 2)}\n`);
    if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
