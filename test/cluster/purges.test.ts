// Deleted tenants are purged: only after their grace, wholly, and nobody else; whatever dies or does not answer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readPurge, readPurges } from "../../cluster/purge-progress.ts";
import { Purges, type PurgesOptions } from "../../cluster/purges.ts";
import type { Question, Requested } from "../../cluster/requests.ts";
import { Counters } from "../../src/base/counters.ts";
import { seededRandom } from "../../src/base/random.ts";
import { type MemoryBus } from "../../src/bus/memory.ts";
import { clusterBucket, tenantsBucket } from "../../src/bus/subjects.ts";
import { addTenant, findTenant, listTenants } from "../../src/tenant/admin.ts";
import { beginPurge, deleteTenant, undeleteTenant } from "../../src/tenant/states.ts";
import type { Tenant } from "../../src/tenant/tenant.ts";
import { claimed, columns, commitOf, key } from "../contract/store-helpers.ts";
import type { ManualClock } from "../harness/clock.ts";
import { silentLog } from "../harness/log.ts";
import { World } from "../workers/world.ts";

const graceMs = 60_000;

/** A directory that is always caught up, unless it is told not to be. */
async function copyOf(bus: MemoryBus) {
  const bucket = await bus.kv(tenantsBucket);
  const copy = { live: true, generation: 0, tenants: [] as Tenant[], all: (): Tenant[] => copy.tenants };
  const look = async () => {
    copy.tenants = await listTenants(bucket);
    copy.generation++;
  };
  bucket.watch({ onSnapshot: () => {}, onChange: () => void look(), onLost: () => {} });
  await look();
  return copy;
}

interface Parts {
  bus: MemoryBus;
  clock: ManualClock;
  request: (shard: number, question: Question) => Promise<Requested>;
  owned?: number[];
  shards?: number;
}

async function purgesOf({ bus, clock, request, owned = [0], shards = 1 }: Parts) {
  const tenants = await copyOf(bus);
  const options: PurgesOptions = {
    tenants,
    open: async () => ({ bucket: await bus.kv(tenantsBucket), kv: await bus.kv(clusterBucket) }),
    supervisor: { owned: () => owned, request },
    shards,
    clock,
    counters: new Counters(),
    log: silentLog,
  };
  const purges = new Purges(options);
  purges.start();
  return {
    tenants,
    /** As a clean end of the node. */
    async stop() {
      const stopped = purges.stop();
      await clock.pass(1000);
      await stopped;
    },
  };
}

async function added(bus: MemoryBus, clock: ManualClock, name: string): Promise<Tenant> {
  const made = await addTenant(await bus.kv(tenantsBucket), name, {
    clock,
    random: seededRandom(name.length),
  });
  assert.ok(made.kind === "added");
  return made.tenant;
}

test("what was read before the tombstone goes too, what comes later is refused; the others' series stay", async () => {
  const world = await World.start();
  const { bus, clock } = world;
  const [gone, other] = [await added(bus, clock, "gone"), await added(bus, clock, "other")];
  const running = world.run({ commitMs: 5000 });
  const bucket = await bus.kv(tenantsBucket);
  const job = await purgesOf({
    bus,
    clock,
    request: async (_shard, question) => {
      assert.ok(question.kind !== "refused-lines");
      return { kind: "answered", answer: { request: 1, ...(await running.actor.chore(question)) } };
    },
  });
  let n = 0;
  const send = async (tenant: Tenant, ...lines: string[]) =>
    void (await world.record(world.frame(lines, { tenant: tenant.id, n: n++ })));
  await send(gone, "a 1", "b.c;tag=x 1", "d:1 2");
  await send(other, "a 1", "z 1");
  for (let sent = 0; sent < 1200; sent += 400)
    await send(gone, ...Array.from({ length: 400 }, (_, i) => `bad ${sent + i} x`));
  await send(other, "bad");
  await clock.pass(6000);
  assert.equal((await world.letters()).length, 1000, "more than one slice of them, of a page");
  await deleteTenant(bucket, gone.id, { clock, graceMs });
  await clock.pass(graceMs - 1000);
  const living = async () => (await world.engine.openShard(0)).tenantSeries(gone.id);
  assert.equal(await living(), 3);
  await clock.pass(500);
  for (let i = 0; i < 20; i++) {
    await send(gone, `new${i} 1`); // read before and after the tombstone, committed long after it
    await send(other, "a 1");
    await clock.pass(100);
  }
  await clock.pass(10_000);

  const record = await findTenant(bucket, gone.id);
  assert.deepEqual([record?.state, record?.keys, typeof record?.purgedMs], ["purging", [], "number"]);
  assert.equal(await living(), 0);
  assert.deepEqual(
    (await world.letters()).map((each) => each.replace(/^\d+/, "")),
    [" malformed bad"],
  );
  assert.deepEqual(await world.sums(other.id), ["a 21 21", "z 1 1"]);
  const [dead, ...books] = await world.books(gone.id);
  assert.equal(dead, "tcp dead bad-timestamp 1200", "they stay in the books");
  assert.equal(books.length, 2);
  const [refused = 0, stored = 0] = books.map((row) => Number(/\d+$/.exec(row)?.[0]));
  assert.match(books[0] ?? "", /^tcp refused tenant-deleted /);
  assert.equal(refused + stored, 23);
  assert.ok(stored > 3, "some were read before the tombstone");
  assert.deepEqual([...(await readPurges(await bus.kv(clusterBucket)))], []);
  running.actor.stop();
  await running.ended;
  await job.stop();
});

test("an undelete within the grace, or a directory that is not live, and nothing is begun", async () => {
  const world = await World.start();
  const { bus, clock } = world;
  const tenant = await added(bus, clock, "acme");
  const bucket = await bus.kv(tenantsBucket);
  const asked: Question[] = [];
  const request = async (_shard: number, question: Question): Promise<Requested> => {
    asked.push(question);
    return { kind: "none", why: "its actor does not run" };
  };
  const job = await purgesOf({ bus, clock, request });
  await deleteTenant(bucket, tenant.id, { clock, graceMs });
  await clock.pass(graceMs - 1);
  await undeleteTenant(bucket, tenant.id);
  await clock.pass(graceMs);
  await deleteTenant(bucket, tenant.id, { clock, graceMs });
  job.tenants.live = false;
  await clock.pass(2 * graceMs);
  assert.equal((await findTenant(bucket, tenant.id))?.state, "deleted");
  assert.equal(asked.length, 0);
  job.tenants.live = true;
  await clock.pass(20_000);
  assert.equal((await findTenant(bucket, tenant.id))?.state, "purging");
  assert.ok(asked.length > 0 && asked.length < 10, `asked again, but not all the time: ${asked.length}`);
  await job.stop();
});

for (const seed of [1, 2, 3, 4, 5, 6])
  test(`two nodes of four shards that answer when they like, and are started anew: all is gone (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const { bus, clock, engine } = new World();
    const bucket = await bus.kv(tenantsBucket);
    const kv = await bus.kv(clusterBucket);
    const tenants = [
      await added(bus, clock, "a"),
      await added(bus, clock, "bb"),
      await added(bus, clock, "ccc"),
    ];
    const counts = [3, 1200, 501, 11_000];
    const stores = await Promise.all(
      counts.map(async (count, shard) => {
        const store = await engine.openShard(shard);
        const { epoch } = await claimed(store);
        for (const [i, { id }] of tenants.entries()) {
          const names = Array.from({ length: i === 1 ? 2 : count }, (_, at) => `m${at % 7}.s${at}`);
          const rows = names.map((_, series) => ({ series, fresh: true, bucket: 1_700_000_000 }));
          const newSeries = names.map((name) => key(name, id));
          const commit = commitOf(epoch, i, i + 1, { newSeries, deltas: columns(rows) });
          assert.equal((await store.commit(commit)).kind, "ok");
        }
        return { store, epoch };
      }),
    );
    const request = async (shard: number, question: Question): Promise<Requested> => {
      const progress = await readPurge(kv, "tenant" in question ? question.tenant : "");
      assert.ok(progress?.done.includes(shard) !== true, "a shard that is done is not asked again");
      const none: Requested = { kind: "none", why: "its actor ended meanwhile" };
      const luck = random.below(10);
      if (luck === 0) return none;
      const { store, epoch } = stores[shard] ?? assert.fail();
      let answer: Requested = none;
      if (question.kind === "bury") {
        assert.equal(await store.bury(epoch, question.tenant), "ok");
        answer = { kind: "answered", answer: { kind: "buried", request: 1 } };
      } else if (question.kind === "purge") {
        const { names } = await store.purge(epoch, question.tenant, question.most);
        const letters = await store.purgeLetters(epoch, question.tenant, question.most);
        const left = await store.tenantSeries(question.tenant);
        answer = {
          kind: "answered",
          answer: { kind: "purged", request: 1, series: names.length, letters, left },
        };
      } else assert.fail(`nobody asks for ${question.kind}`);
      return luck === 1 ? none : answer;
    };
    const begin = () =>
      Promise.all(
        [
          [0, 1],
          [2, 3],
        ].map((owned) => purgesOf({ bus, clock, request, owned, shards: counts.length })),
      );
    let nodes = await begin();
    const [first, kept, last] = tenants;
    assert.ok(first !== undefined && kept !== undefined && last !== undefined);
    for (const { id } of [first, last]) {
      await deleteTenant(bucket, id, { clock, graceMs });
      await beginPurge(bucket, id, { clock, now: true });
    }
    const isOver = async () =>
      (await listTenants(bucket)).filter(({ purgedMs }) => purgedMs !== undefined).length === 2;
    for (let lives = 0; !(await isOver()); lives++) {
      assert.ok(lives < 500, "it comes to an end");
      await clock.pass(random.below(3000));
      if (random.below(3) > 0) continue;
      await Promise.all(nodes.map((node) => node.stop()));
      nodes = await begin();
    }
    await clock.pass(2000);
    await Promise.all(nodes.map((node) => node.stop()));
    for (const [shard, { store }] of stores.entries()) {
      const living = await Promise.all(tenants.map(({ id }) => store.tenantSeries(id)));
      assert.deepEqual(living, [0, 2, 0], `shard ${shard}`);
    }
    assert.deepEqual([...(await readPurges(kv))], []);
  });
