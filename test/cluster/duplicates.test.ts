// P2 without the broker's help: what is in the record twice, because its duplicate window was over, counts once.
import { strict as assert } from "node:assert";
import { test, type TestContext } from "node:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import { streamName, streamSubject } from "../../src/bus/subjects.ts";
import { decodeFrame, messageId } from "../../src/metric/frame.ts";
import { eventually, System } from "../harness/system.ts";

const shard = 0;

async function oneShard(t: TestContext): Promise<System> {
  const system = await System.start({
    shards: 1,
    env: { MILLRACE_DUPLICATE_WINDOW: "1s", MILLRACE_COMMIT_MS: "50" },
  });
  t.after(() => system.close());
  return system;
}

/** Does something with the record itself, behind the system's back. */
async function withRecord<T>(
  system: System,
  act: (record: {
    frames(): Promise<Uint8Array[]>;
    /** Sends a frame again, with its own id, until the window is over and the record takes it a second time. */
    again(data: Uint8Array): Promise<void>;
  }) => Promise<T>,
): Promise<T> {
  const nats = await connect({ servers: `127.0.0.1:${system.natsPort}` });
  try {
    const { streams } = await jetstreamManager(nats);
    const publisher = jetstream(nats);
    return await act({
      async frames() {
        const { state } = await streams.info(streamName(shard));
        const found: Uint8Array[] = [];
        for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
          const message = await streams.getMessage(streamName(shard), { seq });
          if (message !== null) found.push(message.data);
        }
        return found;
      },
      async again(data) {
        const decoded = decodeFrame(data);
        assert(decoded.kind === "frame");
        const msgID = messageId(shard, decoded.frame.identity);
        await eventually("the end of the duplicate window", async () => {
          const ack = await publisher.publish(streamSubject(shard), data, { msgID });
          return !ack.duplicate;
        });
      },
    });
  } finally {
    await nats.close();
  }
}

async function metric(system: System, line: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${system.apiPort}/metrics`)).text();
  const found = text.split("\n").find((each) => each.startsWith(`${line} `));
  return Number(found?.split(" ").at(-1) ?? Number.NaN);
}

/** The sum of a series, once everything that the record holds now is committed. */
async function settledSum(system: System, name: string, frames: number): Promise<number> {
  await eventually(`offset ${frames}`, async () => {
    const { shards } = await system.nodeHealth();
    return (shards[shard]?.progress?.offset ?? 0) >= frames;
  });
  return (await system.sums(system.demo.readKey, `${name}:sum`)).get(`${name}:sum`) ?? 0;
}

test("frames that are in the record twice count once, before and after a restart of everything", async (t) => {
  const system = await oneShard(t);
  const { writeKey } = system.demo;
  assert.equal((await system.sink(writeKey, "twice.plain 3\n")).status, 202);
  assert.equal((await system.sink(writeKey, "twice.keyed 5\n", { "Idempotency-Key": "k" })).status, 202);
  const first = await withRecord(system, (record) => record.frames());
  assert.equal(first.length, 2);

  await withRecord(system, async (record) => {
    for (const frame of first) await record.again(frame);
  });
  assert.equal(await settledSum(system, "twice.plain", 4), 3);
  assert.equal(await settledSum(system, "twice.keyed", 4), 5);
  await eventually("both duplicates counted", async () => {
    return (await metric(system, 'shard_duplicates_total{shard="0"}')) === 2;
  });

  await system.stop();
  await system.up();
  await withRecord(system, async (record) => {
    for (const frame of first) await record.again(frame);
    assert.equal((await record.frames()).length, 6, "the record really holds each of them three times");
  });
  assert.equal(await settledSum(system, "twice.plain", 6), 3);
  assert.equal(await settledSum(system, "twice.keyed", 6), 5);
  assert.equal((await system.sink(writeKey, "twice.plain 4\n")).status, 202);
  assert.equal(await settledSum(system, "twice.plain", 7), 7);
});

test("a keyed request repeated after the window is acknowledged again and counts once", async (t) => {
  const system = await oneShard(t);
  const body = Array.from({ length: 5000 }, (_, i) => `repeated.s${i % 10} 1\n`).join("");
  const request = async (key: string) => {
    const response = await system.sink(system.demo.writeKey, body, { "Idempotency-Key": key });
    assert.equal(response.status, 202);
    assert.deepEqual(await response.json(), { accepted: 5000, refused: [] });
  };
  const recorded = () => withRecord(system, async (record) => (await record.frames()).length);
  /** Repeats the request until the record has it once more. */
  const repeat = async () => {
    const before = await recorded();
    await eventually("the request in the record once more", async () => {
      await request("same");
      return (await recorded()) > before;
    });
    return recorded();
  };
  const counts = async (frames: number) => {
    await settledSum(system, "repeated.s0", frames);
    return system.sums(system.demo.readKey, "repeated.*:count");
  };
  const times = (n: number) =>
    new Map(Array.from({ length: 10 }, (_, i) => [`repeated.s${i}:count`, 500 * n]));

  await request("same");
  assert.deepEqual(await counts(await repeat()), times(1));
  await system.stop();
  await system.up();
  assert.deepEqual(await counts(await repeat()), times(1));
  await request("other");
  assert.deepEqual(await counts(await recorded()), times(2));
});
