// Two lanes into the record: frames of raw doors by way of the disk when the record does not take them, frames of
// requests never.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PublishFault } from "../../src/bus/memory.ts";
import type { ShardBatcher } from "../../src/gateway/batch.ts";
import { Publisher } from "../../src/gateway/publisher.ts";
import { hex, messageId, type Door } from "../../src/metric/frame.ts";
import { withGateway, type GatewayWorld } from "./world.ts";

const spoolBytes = 64 << 20;

function line(batcher: ShardBatcher | undefined, text: string, door: Door = "tcp"): void {
  const bytes = Buffer.from(text);
  batcher?.frame(door);
  batcher?.append("t", door, "plaintext", bytes, 0, bytes.length);
}

/** The lines of a shard in the order of the record; a frame that is there twice counts once. */
async function order(world: GatewayWorld): Promise<string[]> {
  const seen = new Set<string>();
  return (await world.frames(0)).flatMap(({ identity, sections }) => {
    const name = messageId(0, identity);
    if (seen.has(name)) return [];
    seen.add(name);
    return sections.flatMap(({ lines }) => Buffer.from(lines).toString().split("\n").slice(0, -1));
  });
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `a ${from + i}`);

test("G5: without a bus raw frames go to the disk, in flight first, and come into the record in order, once", async () => {
  await withGateway(async (world) => {
    const [batcher] = world.batchers;
    let n = 0;
    const some = async (frames: number) => {
      for (let i = 0; i < frames; i++) {
        line(batcher, `a ${n++}`);
        await world.clock.pass(50);
      }
    };
    await some(3);
    world.fault = () => "lose-frame";
    await some(4); // in flight, unanswered
    world.own.disconnect();
    await some(5);
    assert.deepEqual([batcher?.spooling, batcher?.pendingFrames], [true, 0]);
    assert(world.disk.bytes > 500);
    world.fault = () => "none";
    world.own.reconnect();
    await some(3); // while it drains
    await world.clock.pass(3000);
    await some(2);
    assert.deepEqual(await order(world), numbers(0, n));
    assert.deepEqual([batcher?.spooling, world.disk.segments()], [false, []]);
    assert.match(world.counters.text(), /gateway_spool_bytes\{shard="0"\} 0/);
    const said = world.heard.text.join("");
    assert.deepEqual([said.match(/spool: in use/g)?.length, said.match(/all forwarded/g)?.length], [2, 2]);
  }, spoolBytes);
});

test("G5: a stream that refuses is spooled for at once, a shard that does not answer after a second", async () => {
  const f = async (fault: PublishFault, ms: number, spooling: boolean) =>
    withGateway(async (world) => {
      world.fault = (shard) => (shard === 0 ? fault : "none");
      line(world.batchers[0], "a 1");
      line(world.batchers[1], "b 1");
      await world.clock.pass(50 + ms);
      assert.deepEqual(
        world.batchers.map((b) => b.spooling),
        [spooling, false],
        `${fault} after ${ms}`,
      );
      assert.deepEqual(await world.lines(1), ["b 1"]);
    }, spoolBytes);
  await f("stream-full", 0, true);
  await f("bus-unavailable", 0, true);
  await f("lose-frame", 900, false);
  await f("lose-frame", 1300, true);
});

test("G5: requests never rest on the spool, and flow beside it while it drains", async () => {
  await withGateway(async (world) => {
    const [batcher] = world.batchers;
    const { tenant } = world.members[0];
    assert(batcher !== undefined);
    world.fault = () => "stream-full";
    for (let n = 0; n < 100; n++) {
      line(batcher, `a ${n}`);
      await world.clock.pass(50);
    }
    const refused = world.acceptor.accept(tenant, batcher, Buffer.from("r 1\n"));
    assert.deepEqual((await refused).kind, "not-recorded");
    // One more frame of the spool is taken, then each takes a try of its own: a drain that takes its time.
    let publishes = 0;
    world.fault = (_, id) => (id.startsWith("k.") || publishes++ % 2 === 0 ? "none" : "lose-frame");
    await world.clock.pass(2100);
    assert.equal(batcher.spooling, true);
    const verdict = world.acceptor.accept(tenant, batcher, Buffer.from("r 2\n"));
    const keyed = world.acceptor.acceptKeyed(tenant, batcher, Buffer.from("r 3\n"), "k");
    await world.clock.pass(200);
    assert.deepEqual(
      [(await verdict).kind, (await keyed).kind, batcher.spooling],
      ["recorded", "recorded", true],
    );
    for (const bytes of world.disk.contents.values()) assert.equal(bytes.includes("r 2"), false);
    await world.clock.pass(60_000);
    const all = await order(world);
    assert.deepEqual(
      all.filter((text) => text.startsWith("a")),
      numbers(0, 100),
    );
    assert(all.indexOf("r 2") < 99);
  }, spoolBytes);
});

test("P2: a gateway that is killed with a full spool: the next one of its name forwards it, before its own", async () => {
  await withGateway(async (world) => {
    world.own.disconnect();
    for (let n = 0; n < 40; n++) {
      line(world.batchers[0], `a ${n}`);
      await world.clock.pass(50);
    }
    // Days later.
    world.clock.advance(3 * 86_400_000);
    const [next] = await world.again();
    for (let n = 40; n < 50; n++) {
      line(next, `a ${n}`);
      await world.clock.pass(50);
    }
    world.own.reconnect();
    await world.clock.pass(10_000);
    assert.deepEqual(await order(world), numbers(0, 50));
    const boots = new Set(
      (await world.frames(0)).map(({ identity: i }) => (i.kind === "boot" ? hex(i.boot) : "")),
    );
    assert.equal(boots.size, 2);
  }, spoolBytes);
});

test("answers lost during the drain: frames are sent again, one after the other, and the order stays", async () => {
  await withGateway(async (world) => {
    world.own.disconnect();
    for (let n = 0; n < 60; n++) {
      line(world.batchers[0], `a ${n}`);
      await world.clock.pass(50);
    }
    let publishes = 0;
    world.fault = () =>
      publishes++ % 3 === 1 ? "lose-ack" : publishes % 7 === 1 ? "bus-unavailable" : "none";
    world.own.reconnect();
    await world.clock.pass(120_000);
    assert.deepEqual(await order(world), numbers(0, 60));
  }, spoolBytes);
});

test("full: raw doors have no room, nothing is lost; when it has drained they have room again", async () => {
  await withGateway(async (world) => {
    const [full] = world.batchers;
    world.fault = (shard) => (shard === 0 ? "stream-full" : "none");
    line(full, "a 0");
    await world.clock.pass(100);
    const text = (n: number) => `a ${n} ${"x".repeat(10_000)}`;
    let n = 1;
    for (; full?.hasRoom(11_000, "tcp") === true && n < 1000; n++) {
      line(full, text(n));
      if (n % 20 === 0) await world.clock.pass(50);
    }
    assert(n > 80 && n < 110, String(n));
    assert.deepEqual([full?.hasRoom(1000, "http"), full?.refusing], [true, true]);
    assert(world.disk.bytes < 1.1e6);
    let room = false;
    void full?.whenRoom().then(() => (room = true));
    await world.clock.pass(5000);
    world.fault = () => "none";
    await world.clock.pass(5000);
    assert.deepEqual([room, full?.hasRoom(11_000, "tcp")], [true, true]);
    assert.equal((await world.lines(0)).length, n);
  }, 2 << 20);
});

test("park: what the record has not taken is on the disk, and the next start forwards it", async () => {
  await withGateway(async (world) => {
    world.fault = () => "lose-frame";
    line(world.batchers[0], "a 0");
    await world.clock.pass(60);
    line(world.batchers[0], "a 1");
    const left = world.batchers[0]?.park();
    await world.clock.pass(0);
    assert.deepEqual([await left, world.batchers[0]?.pendingFrames], [0, 0]);
    world.fault = () => "none";
    await world.again();
    await world.clock.pass(1000);
    assert.deepEqual(await world.lines(0), ["a 0", "a 1"]);
  }, spoolBytes);
});

test("a keyed frame that the broker knows at its first try is booked as a duplicate; our own resend is not", async () => {
  await withGateway(async (world) => {
    const [batcher] = world.batchers;
    const { tenant } = world.members[0];
    assert(batcher !== undefined);
    const send = async (key: string) => {
      const verdict = world.acceptor.acceptKeyed(tenant, batcher, Buffer.from("r 1\nr 2\n"), key);
      await world.clock.pass(400);
      assert.equal((await verdict).kind, "recorded");
    };
    await send("one");
    await send("one");
    const faults: PublishFault[] = ["lose-ack"];
    world.fault = () => faults.shift() ?? "none";
    await send("two");
    await world.clock.pass(3000);
    assert.deepEqual(await world.refusals(0), ["duplicate 2"]);
  });
});

test("what is no outage is our own bug: it is thrown, not tried again", async () => {
  await withGateway(async (world) => {
    const { own: bus, clock, counters, heard } = world;
    let tries = 0;
    const broken = new Proxy(bus, {
      get: (target, name) =>
        name === "publish"
          ? () => Promise.reject(new TypeError(`at try ${++tries}`))
          : (Reflect.get(target, name, target) as unknown),
    });
    const publisher = new Publisher({ shard: 0, bus: broken, clock, counters, log: heard.log });
    await assert.rejects(publisher.publish("id", Buffer.from("x")), /at try 1/);
    assert.equal(tries, 1);
  });
});
