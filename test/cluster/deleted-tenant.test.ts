// A tenant is suspended, deleted, brought back, given another key and deleted for good while it sends on every door,
// beside one that nobody touches: each change holds everywhere within a second, what was accepted is stored, what was
// not is counted, and the other one's points are all there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { askShard } from "../../bin/ask-shard.ts";
import { deletePreview, weightOf } from "../../bin/tenant-leaving.ts";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { connectNats } from "../../src/bus/nats.ts";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { addKey, findTenant, removeKey } from "../../src/tenant/admin.ts";
import { hashKey } from "../../src/tenant/keys.ts";
import {
  activateTenant,
  beginPurge,
  deleteTenant,
  suspendTenant,
  undeleteTenant,
} from "../../src/tenant/states.ts";
import { silentLog } from "../harness/log.ts";
import {
  allSenders,
  pickleSender,
  statsdSender,
  tcpSender,
  tryingSender,
  udpSender,
  type StartSender,
} from "../../bin/drill/senders.ts";
import { eventually, System, type Keys } from "../harness/system.ts";

/** Everywhere, from the moment that the change is recorded. */
const effectMsMax = 1000;
const rawSenders: Record<string, StartSender> = {
  tcp: tcpSender,
  pickle: pickleSender,
  udp: udpSender,
  statsd: statsdSender,
};
const targets: Record<string, string> = {
  http: "out.http.*:count",
  nats: "out.nats.*:count",
  tcp: "out.tcp.*:count",
  pickle: "out.pickle.*:count",
  udp: "out.udp.*:count",
  statsd: "stats.counters.out.statsd.*.count",
};

test("deleted while it sends on every door: within a second everywhere, nothing accepted lost, and back", {
  timeout: 240_000,
}, async (t) => {
  const system = await System.start();
  t.after(() => system.close());
  const [gone, stays] = [await system.addTenant("gone"), await system.addTenant("stays")];
  const bus = await connectNats({
    url: `nats://127.0.0.1:${system.natsPort}`,
    name: "test",
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  t.after(() => bus.close());
  const bucket = await bus.kv(tenantsBucket);
  const others = await Promise.all(allSenders.map((start) => start(system, stays)));
  const raw = new Map(
    await Promise.all(
      Object.entries(rawSenders).map(async ([door, start]) => [door, await start(system, gone)] as const),
    ),
  );
  const asking = await Promise.all(["http", "nats"].map((door) => tryingSender(system, gone, door)));

  /** All doors answer or count as `reason` says, and soon. */
  const f = async (change: () => Promise<unknown>, status: number, reason: string) => {
    const counted = (await refusedBy(system, reason)) ?? new Map<string, number>();
    await change();
    const fromMs = performance.now();
    for (const sender of asking) sender.seen.clear();
    const tookMs = new Map<string, number>();
    await eventually(`${reason} on every door`, async () => {
      const now = await refusedBy(system, reason);
      const holds = [
        ...[...raw.keys()].filter((door) => (now.get(door) ?? 0) > (counted.get(door) ?? 0)),
        ...asking.filter(({ seen }) => seen.has(status)).map(({ door }) => door),
      ];
      for (const door of holds)
        if (!tookMs.has(door)) tookMs.set(door, Math.round(performance.now() - fromMs));
      return tookMs.size === raw.size + asking.length;
    });
    for (const [door, ms] of tookMs) assert.ok(ms < effectMsMax, `${reason}: ${door} took ${ms} ms`);
  };
  const flows = async (keys: Keys, doors: readonly string[]) => {
    const before = await countsOf(system, keys);
    await eventually("more points by every door", async () => {
      const now = await countsOf(system, keys);
      return doors.every((door) => (now.get(door) ?? 0) > (before.get(door) ?? 0));
    });
  };
  const doors = Object.keys(targets);
  const grace = { clock: systemClock, graceMs: 3_600_000 };

  await flows(gone, doors);
  await f(() => suspendTenant(bucket, gone.id), 403, "tenant-suspended");
  await activateTenant(bucket, gone.id);
  await flows(gone, doors);
  const before = await countsOf(system, gone);
  const weight = await weightOf(bus, gone.id, [0, 1], Date.now());
  assert.match(
    deletePreview("gone", weight, 0),
    /^tenant gone: \d+ series in shard \d; sends [\d,]+ points\/s now; gone for good on 1970/,
  );
  await f(() => deleteTenant(bucket, gone.id, grace), 410, "tenant-deleted");
  await assert.rejects(system.render(gone.readKey, "out.*"), /render 410/);
  const listed = JSON.parse(await system.millrace("senders", "--deleted", "--json")) as {
    door: string;
    tenant: string;
  }[];
  assert.deepEqual(
    listed
      .filter(({ tenant }) => tenant === gone.id)
      .map(({ door }) => door)
      .toSorted(),
    doors.toSorted(),
  );
  assert.equal((await undeleteTenant(bucket, gone.id)).kind, "changed");
  await eventually("the read key opens again", async () => (await countsOf(system, gone)).size > 0);
  const back = await countsOf(system, gone);
  for (const [door, count] of before) assert.ok((back.get(door) ?? 0) >= count, `${door} has what it had`);
  await flows(gone, doors);
  const key = await addKey(bucket, gone.id, "write", { clock: systemClock, random: systemRandom });
  assert.ok(key.kind === "added");
  await f(() => removeKey(bucket, gone.id, hashKey(gone.writeKey)), 401, "unknown-key");
  await system.knows({ ...gone, writeKey: key.key });
  assert.equal((await system.sink(key.key, "out.http.s0 1\n")).status, 202);

  // Everything it sent is stored, or refused for a reason that is counted.
  const accepted = new Map<string, number>([["http", 1]]);
  for (const [door, sender] of raw) {
    const sent = await sender.stop();
    await eventually(`each of ${sent} lines by ${door} counted`, async () => {
      const stored = (await countsOf(system, gone)).get(door) ?? 0;
      return stored + (await refusedAt(system, door)) === sent;
    });
  }
  for (const sender of asking)
    accepted.set(sender.door, (accepted.get(sender.door) ?? 0) + (await sender.stop()));
  for (const [door, count] of accepted)
    await eventually(`${count} by ${door}`, async () => (await countsOf(system, gone)).get(door) === count);
  const ledger = JSON.parse(await system.millrace("ledger", "gone", "--by", "total", "--json")) as {
    balances: boolean;
  };
  assert.equal(ledger.balances, true, JSON.stringify(ledger));

  await deleteTenant(bucket, gone.id, grace);
  await beginPurge(bucket, gone.id, { clock: systemClock, now: true });
  await eventually("it is purged", async () => {
    const tenant = await findTenant(bucket, gone.id);
    return tenant?.purgedMs !== undefined && tenant.keys.length === 0;
  });
  for (const shard of [0, 1]) {
    const question = { kind: "series-list", shard, tenant: gone.id, pattern: "**", most: 10 } as const;
    assert.deepEqual(await askShard(bus, question), { kind: "series", names: [], more: false });
  }

  for (const other of others) {
    const sent = await other.stop();
    const count = async () => total(await system.sums(stays.readKey, other.target));
    await eventually(`${sent} points of ${other.target}`, async () => (await count()) >= sent);
    assert.equal(await count(), sent, other.target);
  }
  await system.millrace("ledger", "--check");
});

function total(sums: Map<string, number>): number {
  return [...sums.values()].reduce((sum, value) => sum + value, 0);
}

/** Points by door that are there to be read; empty while the read key opens nothing. */
async function countsOf(system: System, { readKey }: Keys): Promise<Map<string, number>> {
  const out = new Map<string, number>();
  for (const [door, target] of Object.entries(targets)) {
    const sums = await system.sums(readKey, target).catch(() => undefined);
    if (sums !== undefined) out.set(door, total(sums));
  }
  return out;
}

async function refusals(system: System): Promise<{ door: string; reason: string; count: number }[]> {
  const text = await (await fetch(`http://127.0.0.1:${system.httpPort}/metrics`)).text();
  const rows = text.matchAll(/^gateway_lines_refused_total\{door="(\w+)",reason="([\w-]+)"\} (\d+)$/gm);
  return [...rows].map(([, door = "", reason = "", count]) => ({ door, reason, count: Number(count) }));
}

async function refusedBy(system: System, reason: string): Promise<Map<string, number>> {
  const rows = (await refusals(system)).filter((row) => row.reason === reason);
  return new Map(rows.map(({ door, count }) => [door, count]));
}

async function refusedAt(system: System, door: string): Promise<number> {
  const rows = (await refusals(system)).filter((row) => row.door === door);
  return rows.reduce((sum, { count }) => sum + count, 0);
}
