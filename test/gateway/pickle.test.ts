// Pickles on their way to shards: framing, bounds, whose they are, who waits.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { Counters } from "../../src/base/counters.ts";
import { seededRandom } from "../../src/base/random.ts";
import { readSettings } from "../../src/config/settings.ts";
import { openGateway } from "../../src/gateway/gateway.ts";
import { PickleSink, Unpickler } from "../../src/gateway/pickle.ts";
import { PickleReader } from "../../src/metric/pickle.ts";
import type { LineSink } from "../../src/gateway/sink.ts";
import { volatile } from "./volatile.ts";
import { fromLatin1 } from "../fuzz/fuzzer.ts";
import { little } from "../fuzz/pickle-text.ts";
import { eventually } from "../harness/system.ts";
import { anyPorts, withGateway, type GatewayWorld } from "./world.ts";

/** (name, (seconds, value)); numbers as text. */
const point = (name: string, value: string, seconds = "-1") =>
  `X${little(name.length, 4)}${name}F${seconds}\nF${value}\n\x86\x86`;
const pickle = (...elements: string[]) => `\x80\x02](${elements.join("")}e.`;

function message(text: string): Buffer {
  const body = fromLatin1(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** Takes lines; told to wait, it takes a copy and looks at it only then. */
class Lines implements LineSink {
  taken: string[] = [];
  /** Lines given, taken or not. */
  given = 0;
  wait: Promise<void> | undefined;
  ended = false;

  take(chunk: Buffer): Promise<void> | undefined {
    this.given += chunk.toString("latin1").split("\n").length - 1;
    const text = chunk.toString("latin1");
    const take = () => void this.taken.push(...text.split("\n").slice(0, -1));
    if (this.wait !== undefined) return this.wait.then(take);
    take();
    return undefined;
  }

  end(): undefined {
    this.ended = true;
  }
}

function sinkOf(unpickler = new Unpickler(new Counters())) {
  const lines = new Lines();
  const hung = { up: false };
  return { lines, hung, sink: volatile(new PickleSink(unpickler, lines, () => (hung.up = true))) };
}

test("messages may be cut anywhere; bad ones cost themselves; a length over the bound ends the connection", async () => {
  const random = seededRandom(Number(process.env["MILLRACE_SEED"] ?? 5));
  const counters = new Counters();
  const unpickler = new Unpickler(counters);
  const bytes = Buffer.concat([
    message(pickle(point("a", "1"), point("b", "2"))),
    message(""),
    message("cos\nsystem\n(S'true'\ntR."),
    message(pickle()),
    message(pickle(point("c".repeat(9000), "3"))),
    message("]"),
    message(pickle(point("d", "4"))),
    Buffer.from([0, 0x10, 0, 1]),
    message(pickle(point("e", "5"))),
  ]);
  for (let round = 0; round < 60; round++) {
    const { lines, hung, sink } = sinkOf(unpickler);
    for (let at = 0; at < bytes.length; ) {
      const to = round === 0 ? bytes.length : round === 1 ? at + 1 : at + 1 + random.below(3000);
      await sink.take(bytes.subarray(at, to));
      at = to;
    }
    assert.deepEqual(lines.taken, ["a 1 -1", "b 2 -1", `${"c".repeat(9000)} 3 -1`, "d 4 -1"]);
    assert.ok(hung.up);
    assert.equal(sink.held, 0);
  }
  const text = counters.text();
  assert.match(text, /gateway_pickle_messages_total 240\n/);
  assert.match(text, /messages_refused_total\{reason="cut"\} 120\n/);
  assert.match(text, /messages_refused_total\{reason="code"\} 60\n/);
  assert.match(text, /connections_ended_total\{reason="too-long"\} 60\n/);
});

test("a sink that takes no more stops the reading, and what others send meanwhile does not mix with it", async () => {
  const unpickler = new Unpickler(new Counters());
  const one = sinkOf(unpickler);
  const other = sinkOf(unpickler);
  // Several batches: 20,000 points of one name that stands in the message once.
  const name = "n".repeat(200);
  const times = 20_000;
  const long = pickle(`X${little(200, 4)}${name}q\x000`, `h\0K\x01K\x02\x86\x86`.repeat(times));
  let release = () => {};
  one.lines.wait = new Promise((resolve) => (release = resolve));
  const waiting = one.sink.take(Buffer.concat([message(long), message(pickle(point("after", "1")))]));
  assert.ok(waiting !== undefined);
  const first = one.lines.given;
  assert.ok(first > 500 && first < times / 2, `${first} lines at first`);
  assert.equal(other.sink.take(message(pickle(point("other", "1")))), undefined);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(one.lines.given, first);
  one.lines.wait = undefined;
  release();
  // Between any two batches others have their turn.
  const turns = setInterval(() => void other.sink.take(message(pickle(point("other", "1")))), 0);
  await waiting;
  clearInterval(turns);
  assert.equal(one.lines.taken.length, times + 1);
  assert.ok(one.lines.taken.slice(0, times).every((line) => line === `${name} 2 1`));
  assert.equal(one.lines.taken[times], "after 1 -1");
  assert.ok(other.lines.taken.every((line) => line === "other 1 -1"));
});

test("K3: long messages on many connections are read twice each, and a short one does not wait for them", async (t) => {
  const read = t.mock.method(PickleReader.prototype, "read");
  const unpickler = new Unpickler(new Counters());
  const count = 20_000;
  // All elements name the one text by the memo: 2.5 MB of lines, ten batches.
  const long = message(
    `\x80\x02]X${little(110, 4)}${"n".repeat(110)}q\0a(${"h\0K\x01K\x01\x86\x86".repeat(count)}e.`,
  );
  const sinks = Array.from({ length: 5 }, () => sinkOf(unpickler));
  const waits = sinks.map(({ sink }) => Promise.resolve(sink.take(long)));
  const short = sinkOf(unpickler);
  assert.equal(short.sink.take(message(pickle(point("short", "1")))), undefined);
  assert.equal(short.lines.given, 1);
  await Promise.all(waits);
  // The text itself stands before the elements, and is none.
  for (const { lines } of sinks) assert.equal(lines.given, count + 1);
  assert.equal(read.mock.callCount(), 2 * sinks.length + 1);
});

test("unfinished messages of all together are bounded: the connection that holds most ends", () => {
  const counters = new Counters();
  const unpickler = new Unpickler(counters, 3 << 20);
  const start = Buffer.from([0, 0x10, 0, 0]);
  const senders = Array.from({ length: 10 }, () => sinkOf(unpickler));
  // The length alone takes nothing.
  for (const { sink } of senders) assert.equal(sink.take(start), undefined);
  assert.deepEqual(
    senders.map(({ sink }) => sink.held),
    senders.map(() => 0),
  );
  const [big, ...others] = senders;
  void big?.sink.take(Buffer.alloc(900_000));
  for (const { sink } of others) void sink.take(Buffer.alloc(250_000));
  assert.deepEqual(
    senders.map(({ hung }) => hung.up),
    senders.map((each) => each === big),
  );
  assert.match(counters.text(), /connections_ended_total\{reason="memory"\} 1\n/);
  // The others end in peace; what they had begun is counted.
  for (const { sink, lines } of others) {
    assert.equal(sink.end(), undefined);
    assert.ok(lines.ended);
  }
  assert.match(counters.text(), /messages_refused_total\{reason="cut"\} 9\n/);
  assert.ok(senders.every(({ sink }) => sink.held === 0));
});

async function withDoor(
  body: (world: GatewayWorld, dial: () => Promise<Socket>) => Promise<void>,
): Promise<void> {
  await withGateway(async (world) => {
    const { own, directory, counters } = world;
    const gateway = await openGateway({
      settings: readSettings({ MILLRACE_HOME: world.folder, ...anyPorts, MILLRACE_SHARDS: "2" }),
      bus: own,
      directory,
      clock: systemClock,
      random: seededRandom(2),
      counters,
      log: world.heard.log,
    });
    const sockets: Socket[] = [];
    try {
      await body(world, async () => {
        const socket = connect(gateway.addresses["pickle"]?.port ?? 0, "127.0.0.1");
        socket.on("error", () => {});
        sockets.push(socket);
        await once(socket, "connect");
        return socket;
      });
    } finally {
      for (const socket of sockets) socket.destroy();
      assert.equal(await gateway.close(3000), 0);
    }
  });
}

test("by the door: points go to their tenants; a bad element costs itself, on the account of the key in it", async () => {
  await withDoor(async (world, dial) => {
    const [a, b] = world.members;
    const key = a.writeKey;
    const now = Math.floor(systemClock.nowMs() / 1000);
    const socket = await dial();
    socket.write(
      message(
        pickle(
          point(`${key}.one`, "1.5", String(now)),
          "N",
          point(`${key}.nan`, "nan"),
          point(`${key}.inf`, "inf"),
          point(`${key}.time`, "1", "inf"),
          point(`${key}.old`, "1", "5"),
          point(`${key}.forged 1\n${key}.line`, "2"),
          point(`${key}.two words`, "2"),
          point("nobody.one", "1"),
          point("nokey", "1"),
          point("", "1"),
          `X${little(key.length + 5, 4)}${key}.flatK\x01K\x02\x87`,
          point(`${key}.${"x".repeat(1001)}`, "1"),
          `X${little(key.length + 2, 4)}${key}.\xffK\x01K\x02\x86\x86`,
          point(`${b.writeKey}.two`, "-0.0", `${now}.9`),
          point(`${key}.three`, "3"),
        ),
      ),
    );
    socket.write(message("garbage"));
    socket.write(message(pickle(point(`${key}.four`, "1e300"))));
    await eventually("the lines", async () => (await world.lines(0)).length === 3);
    assert.deepEqual(await world.lines(0), ["four 1e+300 -1", `one 1.5 ${now}`, "three 3 -1"]);
    await eventually("the other tenant's line", async () => (await world.lines(1)).length === 1);
    assert.deepEqual(await world.lines(1), [`two -0 ${now}`]);
    await eventually("refusals", async () => (await world.refusals(0)).length === 8);
    assert.deepEqual(await world.refusals(0), [
      "bad-name 2",
      "bad-timestamp 1",
      "bad-value 1",
      "malformed 1",
      "name-too-long 1",
      "nan 1",
      "not-utf8 1",
      "too-old 1",
    ]);
    assert.deepEqual(await world.refusals(1), []);
    for (const frame of [...(await world.frames(0)), ...(await world.frames(1))])
      for (const { door, kind } of frame.sections) assert.deepEqual([door, kind], ["pickle", "plaintext"]);
    const text = world.counters.text();
    assert.match(text, /refused_total\{door="pickle",reason="no-key"\} 3\n/);
    assert.match(text, /refused_total\{door="pickle",reason="unknown-key"\} 1\n/);
    assert.match(text, /gateway_pickle_messages_refused_total\{reason="cut"\} 1\n/);
    assert.doesNotMatch(world.heard.text.join("") + text, new RegExp(`${key}|${b.writeKey}`));
  });
});

test("by the door: a plaintext line closes the connection, what came before it is stored", async () => {
  await withDoor(async (world, dial) => {
    const socket = await dial();
    const closed = once(socket, "close");
    socket.write(message(pickle(point(`${world.members[0].writeKey}.before`, "1"))));
    socket.write("mal.p111 1 1700000000\n");
    await closed;
    await eventually("the line", async () => (await world.lines(0)).length === 1);
    assert.deepEqual(await world.lines(0), ["before 1 -1"]);
  });
});
