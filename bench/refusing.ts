// What refusing costs a gateway: CPU seconds for a million lines of a tenant that is deleted, suspended or unknown,
// beside those of one that is active. One thread, kernel and batchers as in a gateway, a bus in memory.
//
//   npm run bench -- refusing [--json] [--lines 2000000]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../src/base/clock.ts";
import { Counters } from "../src/base/counters.ts";
import { makeLog } from "../src/base/log.ts";
import { systemRandom } from "../src/base/random.ts";
import { createMemoryBus } from "../src/bus/memory.ts";
import { tenantsBucket } from "../src/bus/subjects.ts";
import { RawSink } from "../src/gateway/accept.ts";
import { ShardBatcher } from "../src/gateway/batch.ts";
import { KeyCache } from "../src/gateway/key-cache.ts";
import { Refusals } from "../src/gateway/refusals.ts";
import { RefusedLines } from "../src/gateway/refused-lines.ts";
import { Routes } from "../src/gateway/routes.ts";
import { Tally } from "../src/gateway/tally.ts";
import { UnwantedSenders } from "../src/gateway/unwanted-senders.ts";
import { createKernelRouter } from "../src/kernel/kernel-router.ts";
import { createStatsdRouter } from "../src/kernel/statsd-router.ts";
import { addTenant } from "../src/tenant/admin.ts";
import { Directory } from "../src/tenant/directory.ts";
import { makeKey } from "../src/tenant/keys.ts";
import { deleteTenant, suspendTenant } from "../src/tenant/states.ts";

const chunkLines = 1000;
const warmUpLines = 200_000;
const clock = systemClock;
const random = systemRandom;

export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: { json: { type: "boolean", default: false }, lines: { type: "string", default: "2000000" } },
  });
  const lines = Number(values.lines);
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-refusing-"));
  const bus = createMemoryBus({ clock, random });
  const bucket = await bus.kv(tenantsBucket);
  await bus.ensureStream(0, { bytesMax: 256e6, duplicateWindowMs: 1000 });
  const directory = await Directory.open({ file: join(folder, "tenants.json"), clock });
  directory.follow(bucket);

  const keys: Record<string, string> = { "unknown key": makeKey("write", random) };
  for (const name of ["active", "suspended", "deleted"]) {
    const added = await addTenant(bucket, name, { clock, random });
    if (added.kind !== "added") throw new Error(added.kind);
    keys[name] = added.writeKey;
    if (name === "suspended") await suspendTenant(bucket, added.tenant.id);
    if (name === "deleted") await deleteTenant(bucket, added.tenant.id, { clock, graceMs: 1e9 });
  }
  await clock.sleep(100);

  const counters = new Counters();
  const log = makeLog("bench", "error");
  const batcher = new ShardBatcher({ shard: 0, boot: random.bytes(16), bus, clock, counters, log });
  const ladder = { rungs: [{ stepSeconds: 10, spanSeconds: 172_800 }] };
  const routes = new Routes(directory, [batcher], clock, ladder);
  const refusals = new Refusals(new RefusedLines(clock), new UnwantedSenders(clock, counters));
  const common = { keys: new KeyCache(routes), bus, clock, refusals, peer: "127.0.0.1" };
  const kinds = {
    plaintext: { router: createKernelRouter(), door: "tcp", tail: " 17.25" },
    statsd: { router: createStatsdRouter(), door: "statsd", tail: ":17|c" },
  } as const;

  const secondsFor = async (kind: keyof typeof kinds, key: string, count: number): Promise<number> => {
    const { router, door, tail } = kinds[kind];
    const sink = new RawSink({ ...common, kind, router, door, tally: new Tally(counters, door) });
    const text = Array.from({ length: chunkLines }, (_, i) => `${key}.web.host${i}.requests${tail}\n`).join(
      "",
    );
    const chunk = Buffer.from(text);
    const before = process.cpuUsage();
    for (let sent = 0; sent < count; sent += chunkLines) await sink.take(Buffer.from(chunk));
    await batcher.drain();
    const { user, system } = process.cpuUsage(before);
    // The record must not fill up, and is not what is measured.
    await bus.trim(0, (await bus.streamState(0)).lastSequence);
    return (user + system) / 1e6;
  };

  const results: Record<string, number> = {};
  for (const kind of Object.keys(kinds) as (keyof typeof kinds)[])
    for (const name of ["active", "suspended", "deleted", "unknown key"]) {
      const key = keys[name] ?? "";
      await secondsFor(kind, key, warmUpLines);
      let seconds = 0;
      for (let sent = 0; sent < lines; sent += warmUpLines)
        seconds += await secondsFor(kind, key, warmUpLines);
      const row = `${kind}, ${name}`;
      results[row] = Math.round((seconds / lines) * 1e6 * 1000) / 1000;
      process.stderr.write(`${row}: ${results[row]} CPU s per million lines\n`);
    }
  if (values.json) process.stdout.write(`${JSON.stringify({ bench: "refusing", ...results })}\n`);
  await directory.close();
  rmSync(folder, { recursive: true, force: true });
}
