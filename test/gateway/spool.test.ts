// One shard's spool on a disk of the test's own: order, restarts, torn and damaged files, a disk that fails or fills.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Counters } from "../../src/base/counters.ts";
import { seededRandom } from "../../src/base/random.ts";
import { ShardSpool } from "../../src/gateway/spool.ts";
import { encodeFrame, messageId } from "../../src/metric/frame.ts";
import { ManualClock } from "../harness/clock.ts";
import { hearLog } from "../harness/log.ts";
import { MemoryDisk } from "./spool-disk.ts";

const boot = seededRandom(5).bytes(16);

const timeOf = (n: number) => 1_000_000 + 1000 * n;

function frameOf(n: number, bytes: number) {
  const identity = { kind: "boot" as const, boot, n };
  const lines = Buffer.alloc(bytes, "x");
  const section = { tenant: "t", door: "tcp" as const, kind: "plaintext" as const, lineCount: 1, lines };
  const data = encodeFrame({ identity, receivedAtMs: timeOf(n), sections: [section], refusals: [] });
  return { id: messageId(3, identity), data, receivedAtMs: timeOf(n) };
}

class Bench {
  readonly disk = new MemoryDisk();
  readonly clock = new ManualClock();
  counters = new Counters();
  heard = hearLog();
  spool!: ShardSpool;
  #n = 0;
  #lives = 0;

  /** As a new process would: nobody told the old one. */
  async open(bytesMax = 64 << 20): Promise<ShardSpool> {
    this.counters = new Counters();
    this.heard = hearLog();
    this.spool = await ShardSpool.open({
      shard: 3,
      folder: "spool/shard-3",
      bytesMax,
      files: this.disk,
      clock: this.clock,
      random: seededRandom(++this.#lives),
      counters: this.counters,
      log: this.heard.log,
    });
    return this.spool;
  }

  /** Appends frames 0, 1, 2 and so on. */
  put(count: number, bytes = 1000): void {
    for (let i = 0; i < count; i++) this.spool.append(frameOf(this.#n++, bytes));
  }

  /** Takes up to `count` frames out; answers their numbers. Each is whole. */
  async take(count = Number.POSITIVE_INFINITY): Promise<number[]> {
    const out: number[] = [];
    while (out.length < count) {
      const frame = await this.spool.next();
      if (frame === undefined) break;
      const n = Number(frame.id.split(".")[2]);
      assert.deepEqual(
        Buffer.from(frame.data),
        Buffer.from(frameOf(n, frame.data.length - overhead(n)).data),
      );
      assert.equal(frame.receivedAtMs, timeOf(n));
      out.push(n);
      this.spool.done();
    }
    return out;
  }

  count(name: string): number {
    return Number(
      new RegExp(`^gateway_spool_${name}\\{.*\\} (\\d+)$`, "m").exec(this.counters.text())?.[1] ?? 0,
    );
  }
}

function overhead(n: number): number {
  // The bin header of `lines` grows with its length: 2, 3 or 5 bytes.
  const empty = frameOf(n, 1000).data.length - 1000;
  return empty;
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

test("frames come out in their order, from memory and from the disk; then nothing is left of the files", async () => {
  const bench = new Bench();
  const spool = await bench.open();
  bench.put(3);
  assert.deepEqual(await bench.take(1), [0]);
  assert.equal(await spool.written(), 0);
  bench.put(30_000);
  assert.deepEqual([await spool.written(), spool.isEmpty], [0, false]);
  assert(bench.disk.segments().length > 3, "several segments");
  assert.deepEqual([bench.count("frames"), bench.count("oldest_seconds")], [30_002, 1000]);
  assert.deepEqual(await bench.take(), range(1, 30_003));
  await spool.written();
  assert.deepEqual([spool.isEmpty, bench.disk.segments(), bench.count("bytes")], [true, [], 0]);
  bench.put(2);
  assert.deepEqual(await bench.take(), [30_003, 30_004]);
});

test("S1: killed at any moment, the next process hands out what was written, in order, and little of it twice", async () => {
  const bench = new Bench();
  const random = seededRandom(Number(process.env["MILLRACE_SEED"] ?? 9));
  await bench.open();
  const seen = new Set<number>();
  let written = 0;
  for (let life = 0; life < 20; life++) {
    const out = await bench.take(random.below(40));
    assert.deepEqual(
      out,
      [...out].sort((a, b) => a - b),
    );
    for (const n of out) seen.add(n);
    const count = random.below(60);
    bench.put(count, 1000);
    written += count;
    await bench.spool.written();
    if (random.next() < 0.5) await bench.clock.pass(1000);
    await bench.open();
  }
  const last = await bench.take();
  for (const n of last) seen.add(n);
  assert.deepEqual(
    [...seen].sort((a, b) => a - b),
    range(0, written),
  );
  assert.equal(bench.count("dropped_total"), 0);
});

test("what was forwarded is noted once a second: the next process begins there", async () => {
  const bench = new Bench();
  await bench.open();
  bench.put(100);
  await bench.spool.written();
  await bench.take(40);
  await bench.clock.pass(1000);
  await bench.take(10);
  await bench.open();
  assert.deepEqual(await bench.take(), range(40, 100));
});

test("S3: a torn end costs the record that it tore; damage in the middle costs what it touches, and is said", async () => {
  const f = async (damage: (bytes: Buffer) => Buffer, expected: number[], why: string | undefined) => {
    const fresh = new Bench();
    await fresh.open();
    fresh.put(10);
    await fresh.spool.written();
    const [path = ""] = fresh.disk.segments();
    fresh.disk.change(path, damage);
    await fresh.open();
    assert.deepEqual(await fresh.take(), expected);
    const dropped = /dropped_total\{shard="3",why="(\w+)"\} 1$/m.exec(fresh.counters.text())?.[1];
    assert.equal(dropped, why);
    assert.equal(fresh.heard.text.join("").includes("can't be forwarded"), why !== undefined);
    await fresh.spool.written();
    assert.deepEqual(fresh.disk.segments(), []);
  };
  const at = (n: number) => 24 + range(0, n).reduce((sum, m) => sum + frameOf(m, 1000).data.length + 24, 0);
  const flip = (place: number) => (bytes: Buffer) => {
    bytes[place] = (bytes[place] ?? 0) ^ 0x40;
    return bytes;
  };
  const all = range(0, 10);
  const without = (n: number) => all.filter((m) => m !== n);
  await f((bytes) => bytes, all, undefined);
  await f((bytes) => bytes.subarray(0, bytes.length - 1), without(9), "torn");
  await f((bytes) => bytes.subarray(0, at(9) + 5), without(9), "torn");
  await f((bytes) => bytes.subarray(0, at(9)), without(9), undefined);
  await f((bytes) => Buffer.concat([bytes, Buffer.alloc(5000)]), all, "torn");
  await f(flip(at(4) + 500), without(4), "corrupt");
  await f(flip(at(4)), without(4), "corrupt"); // its marker
  await f(flip(at(4) + 11), without(4), "corrupt"); // its length, now far too long
  await f(flip(at(4) + 9), without(4), "corrupt"); // its length, now a little wrong
  await f(flip(at(0) + 13), without(0), "corrupt"); // its time
  await f(
    (bytes) => Buffer.concat([bytes.subarray(0, at(3) + 100), bytes.subarray(at(5))]),
    all.filter((n) => n < 3 || n > 4),
    "corrupt",
  );
  await f(flip(3), [], "torn"); // not a segment of ours
  await f(() => Buffer.alloc(0), [], undefined);
});

test("D2: a record that a sender wrote into its lines is not found behind a damaged place", async () => {
  const bench = new Bench();
  await bench.open();
  bench.put(1);
  await bench.spool.written();
  const [path = ""] = bench.disk.segments();
  // A whole record of another segment as the payload of a line, in a frame that is then damaged.
  const forged = Buffer.from(bench.disk.contents.get(path) ?? []).subarray(24);
  await bench.take();
  const inner = frameOf(1, 1000);
  const data = Buffer.concat([inner.data, forged]);
  bench.spool.append({ ...inner, data });
  await bench.spool.written();
  const [next = ""] = bench.disk.segments();
  bench.disk.change(next, (bytes) => {
    bytes[60] = (bytes[60] ?? 0) ^ 1;
    return bytes;
  });
  await bench.open();
  assert.deepEqual(await bench.take(), []);
});

test("S2: the bound of bytes holds, also across a restart; room comes back as frames go", async () => {
  const bench = new Bench();
  await bench.open(1 << 20);
  let taken = 0;
  for (; bench.spool.hasRoom(1100) && taken < 5000; taken++) bench.put(1);
  await bench.spool.written();
  assert(taken > 900 && taken < 1000, String(taken));
  assert(bench.disk.bytes <= 1 << 20);
  await bench.open(1 << 20);
  assert.equal(bench.spool.hasRoom(1100), false);
  assert.equal(bench.spool.status().full, true);
  let room = 0;
  bench.spool.onRoom = () => room++;
  assert.equal((await bench.take(500)).length, 500);
  assert.deepEqual([bench.spool.hasRoom(1100), room > 0, bench.spool.status().full], [true, true, false]);
  const said = bench.heard.text.join("");
  assert.equal(said.match(/spool: full/g)?.length, 1);
});

test("S2: a disk that fills, fails or is read-only makes the spool full; frames wait, go on in order, and can leave", async () => {
  for (const fault of ["full", "write", "create", "sync", "list"] as const) {
    const bench = new Bench();
    if (fault === "list") bench.disk.fails = { verbs: ["list"], code: "EIO" };
    await bench.open();
    if (fault !== "list") {
      bench.put(5);
      await bench.spool.written();
    }
    const started = fault === "list" ? 0 : 5;
    if (fault === "full") bench.disk.bytesMax = bench.disk.bytes + 1500;
    else if (fault !== "list")
      bench.disk.fails = { verbs: [fault], code: fault === "write" ? "EIO" : "EROFS" };
    if (fault === "create") bench.put(9000); // over the end of the segment
    bench.put(5);
    if (fault === "sync") await bench.clock.pass(1500);
    await bench.spool.written();
    assert.equal(bench.spool.hasRoom(1000), false, fault);
    const until = fault === "create" ? 9010 : started + 5;
    assert.deepEqual(await bench.take(started + 2), range(0, started + 2), fault);
    assert(bench.count("errors_total") > 0, fault);
    for (let i = 0; i < 5; i++) await bench.clock.pass(1000);
    assert.equal(bench.heard.text.join("").match(/the disk fails/g)?.length, 1, fault);
    bench.disk.fails = undefined;
    bench.disk.bytesMax = Number.POSITIVE_INFINITY;
    await bench.clock.pass(1500);
    assert.equal(await bench.spool.written(), 0, fault);
    assert.equal(bench.spool.hasRoom(1000), true, fault);
    bench.put(3);
    assert.deepEqual(await bench.take(), range(started + 2, until + 3), fault);
    assert.match(bench.heard.text.join(""), /the disk works again/, fault);
    await bench.spool.written();
    assert.deepEqual(bench.disk.segments(), [], fault);
  }
});

test("a segment that can't be read is tried again, then left for the next start; the rest comes", async () => {
  const bench = new Bench();
  await bench.open();
  bench.put(5);
  await bench.spool.written();
  await bench.open();
  bench.put(5);
  await bench.spool.written();
  const [first = ""] = bench.disk.segments();
  bench.disk.fails = { verbs: ["read"], code: "EIO", path: first };
  const once = bench.take(1);
  await bench.clock.pass(3500);
  bench.disk.fails = undefined;
  await bench.clock.pass(500);
  assert.deepEqual(await once, [0]);
  await bench.open();
  bench.disk.fails = { verbs: ["read"], code: "EIO", path: first };
  const rest = bench.take();
  await bench.clock.pass(5000);
  assert.deepEqual(await rest, range(5, 10));
  assert.match(bench.counters.text(), /dropped_total\{shard="3",why="unreadable"\} 1$/m);
  bench.disk.fails = undefined;
  await bench.open();
  assert.deepEqual(await bench.take(), range(1, 5));
});

test("S2, S4: while the disk is slow, memory is bounded, and what waits can be handed out before it is written", async () => {
  const bench = new Bench();
  await bench.open();
  let open = () => {};
  bench.disk.gate = new Promise((resolve) => {
    open = resolve;
  });
  let taken = 0;
  for (; bench.spool.hasRoom(100_000) && taken < 5000; taken++) bench.put(1, 100_000);
  assert(taken > 150 && taken < 260, String(taken));
  const first = await bench.spool.next();
  assert.equal(first?.receivedAtMs, timeOf(0));
  bench.spool.done();
  const second = await bench.spool.next();
  assert.equal(second?.receivedAtMs, timeOf(1));
  open();
  bench.disk.gate = undefined;
  await bench.spool.written();
  bench.spool.done();
  const third = await bench.spool.next();
  assert.equal(third?.receivedAtMs, timeOf(2), "done in memory is done on the disk");
});
