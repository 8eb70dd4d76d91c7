// The disk fails: the store can't be written, the disk is full, a shard's budget is used up. What was acknowledged is
// kept, what can't be kept is refused with 503, and everything goes on by itself when there is room again.
import { strict as assert } from "node:assert";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { smallDisk, type SmallDisk } from "../harness/disk.ts";
import { eventually, freePorts, System, systemPorts, temporaryHome } from "../harness/system.ts";

/** Sends batches of points of value 1, each under a key until it is acknowledged: afterwards `sent` is the truth. */
class Sender {
  sent = 0;
  readonly #system: System;
  readonly #name: string;
  readonly #points: number;
  #batch = 0;
  #body: string | undefined;

  constructor(system: System, name: string, points: number) {
    this.#system = system;
    this.#name = name;
    this.#points = points;
  }

  /** One try of the present batch. */
  async send(): Promise<number> {
    const seconds = Math.floor(Date.now() / 1000);
    this.#body ??= `${this.#name} 1 ${seconds}\n`.repeat(this.#points);
    const headers = { "Idempotency-Key": `${this.#name}-${this.#batch}` };
    const response = await this.#system
      .sink(this.#system.demo.writeKey, this.#body, headers)
      .catch(() => undefined);
    const text = await response?.text();
    const status = response?.status ?? 0;
    assert([0, 202, 503].includes(status), `HTTP ${status} is no answer to a good batch: ${text}`);
    if (status !== 202) return status;
    this.sent += this.#points;
    this.#batch++;
    this.#body = undefined;
    return status;
  }
  async until(status: number, withinMs = 40_000): Promise<void> {
    await eventually(`${status} for ${this.#name}`, async () => (await this.send()) === status, withinMs);
  }

  async acknowledged(batches: number): Promise<void> {
    for (let i = 0; i < batches; i++) await this.until(202);
  }

  /** All that was acknowledged is there, once. */
  async allThereOnce(): Promise<void> {
    const target = `${this.#name}:count`;
    const stored = async () => (await this.#system.sums(this.#system.demo.readKey, target)).get(target) ?? 0;
    await eventually(`${this.sent} points of ${this.#name}`, async () => (await stored()) >= this.sent);
    assert.equal(await stored(), this.sent);
  }
}

/** A system whose home, or a folder of it, is a small disk; undefined where the machine can't make one. */
async function onSmallDisk(
  t: TestContext,
  folder: string,
  megabytes: number,
): Promise<{ system: System; disk: SmallDisk } | undefined> {
  const home = temporaryHome();
  const system = new System({ home, env: { MILLRACE_DISK_BUDGET: "60MB" } }, await freePorts(systemPorts));
  t.after(() => system.close());
  const disk = smallDisk(t, join(home, folder), megabytes);
  t.after(() => rmSync(home, { recursive: true }));
  if (disk === undefined) return undefined;
  await system.up();
  return { system, disk };
}

async function renderStatus(system: System, name: string): Promise<number> {
  const url = `http://127.0.0.1:${system.apiPort}/t/${system.demo.readKey}/render?target=${name}`;
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  await response.arrayBuffer();
  return response.status;
}

test("the disk is full: 503, all comes back although killed, nothing lost or doubled", async (t) => {
  const made = await onSmallDisk(t, "", 128);
  if (made === undefined) return;
  const { system, disk } = made;
  const sender = new Sender(system, "disk.full", 2000);
  await sender.acknowledged(10);
  await sender.allThereOnce();
  disk.fill();
  await sender.until(503);
  for (const name of ["nats-server", "node", "gateway", "api", "coordinator"]) {
    const process_ = name === "nats-server" ? "nats" : name;
    const again = system.nextLog(
      ({ process, msg }) => process === process_ && msg === "ready",
      `${name} again`,
    );
    process.kill(system.pid(name), "SIGKILL");
    await again;
  }
  assert.equal(await sender.send(), 503);
  await eventually("queries", async () => (await renderStatus(system, "disk.full")) === 200);
  disk.free();
  await sender.acknowledged(5);
  await sender.allThereOnce();
});

test("only the disk of the store is full: the doors go on, the shard waits and says why", async (t) => {
  const made = await onSmallDisk(t, "store", 32);
  if (made === undefined) return;
  const { system, disk } = made;
  const sender = new Sender(system, "store.full", 2000);
  await sender.acknowledged(5);
  await sender.allThereOnce();
  disk.fill();
  let isFull = false;
  const waits = system
    .nextLog((line) => line["code"] === "store-full", "a word about the full store")
    .finally(() => (isFull = true));
  // Some commits still fit into pages that the file has already.
  while (!isFull) await sender.acknowledged(1);
  assert.match(String((await waits)["why"]), new RegExp(`${system.home}/store/shard-\\d: `));
  await eventually("the waiting shard in /health", async () => {
    const health = await system.nodeHealth();
    return !health.ok && health.shards.some((shard) => /^store-full: .*store.shard-/.test(shard.why));
  });
  assert.equal(await renderStatus(system, "store.full"), 200);
  disk.free();
  await sender.acknowledged(5);
  await sender.allThereOnce();
});

test("only the disk of NATS is full: 503, queries go on, and it goes on by itself", async (t) => {
  const made = await onSmallDisk(t, "nats", 64);
  if (made === undefined) return;
  const { system, disk } = made;
  const sender = new Sender(system, "nats.full", 2000);
  await sender.acknowledged(5);
  disk.fill();
  await sender.until(503);
  assert.equal(await renderStatus(system, "nats.full"), 200);
  disk.free();
  await sender.acknowledged(5);
  await sender.allThereOnce();
});
