// What every bus must do (src/bus/bus.ts, B1 to B3), run by test/bus/memory.test.ts and test/bus/nats.test.ts.
import assert from "node:assert/strict";
import { isOutage, messageOf } from "../../src/base/errors.ts";
import type { PublishAck } from "../../src/bus/bus.ts";
import { bytes, connectedAgain, listen, text } from "../bus/listen.ts";
import { journalContract } from "./bus-journal.ts";
import { kvContract } from "./bus-kv.ts";
import { talkContract } from "./bus-talk.ts";
import { type BusWorld, cases, caps, outage } from "./bus-world.ts";

function faulty(): never {
  throw new Error("a bug of the receiver");
}

export function busContract(name: string, makeWorld: () => Promise<BusWorld>): void {
  const f = cases(name, makeWorld);
  talkContract(name, makeWorld);
  journalContract(name, makeWorld);

  f(
    "a frame is acknowledged with its sequence, and a resend within the window as duplicate",
    async (_, bus) => {
      await bus.ensureStream(0, caps);
      assert.deepEqual(await bus.publish(0, "a", bytes("1")), { sequence: 1, duplicate: false });
      assert.deepEqual(await bus.publish(0, "b", bytes("2")), { sequence: 2, duplicate: false });
      assert.deepEqual(await bus.publish(0, "a", bytes("1")), { sequence: 1, duplicate: true });
      assert.equal((await bus.streamState(0)).messages, 2);
    },
  );

  f("after the window the same id is recorded again", async (world, bus) => {
    await bus.ensureStream(0, { ...caps, duplicateWindowMs: 100 });
    await bus.publish(0, "a", bytes("1"));
    await world.passMs(400);
    assert.deepEqual(await bus.publish(0, "a", bytes("1")), { sequence: 2, duplicate: false });
  });

  f("shards have sequences and windows of their own", async (_, bus) => {
    for (const shard of [0, 1]) await bus.ensureStream(shard, caps);
    assert.deepEqual(await bus.publish(0, "a", bytes("x")), { sequence: 1, duplicate: false });
    assert.deepEqual(await bus.publish(1, "a", bytes("y")), { sequence: 1, duplicate: false });
    assert.equal(text((await bus.frameAt(1, 1))?.data), "y");
  });

  f("without a stream everything says stream-missing", async (_, bus) => {
    await outage("stream-missing", bus.publish(5, "a", bytes("1")));
    await outage("stream-missing", bus.streamState(5));
    await outage("stream-missing", bus.frameAt(5, 1));
    await outage("stream-missing", bus.trim(5, 1));
    await outage("stream-missing", listen(bus, 5, 1));
  });

  f("a new stream is empty, and ensuring it again changes caps but not the incarnation", async (_, bus) => {
    const made = await bus.ensureStream(0, caps);
    assert.deepEqual(
      { ...made, incarnation: "" },
      { incarnation: "", firstSequence: 0, lastSequence: 0, messages: 0, bytes: 0, bytesMax: caps.bytesMax },
    );
    await bus.publish(0, "a", bytes("1"));
    const bytesMax = 2 * caps.bytesMax;
    const [one, two] = await Promise.all([
      bus.ensureStream(0, { ...caps, bytesMax }),
      bus.ensureStream(0, { ...caps, bytesMax }),
    ]);
    for (const state of [one, two]) {
      assert.equal(state.incarnation, made.incarnation);
      assert.equal(state.bytesMax, bytesMax);
      assert.equal(state.lastSequence, 1);
    }
    assert.deepEqual(await bus.streamState(0), one);
  });

  f("two that make the same stream at once get the same incarnation", async (world, bus) => {
    const other = await world.another();
    const states = await Promise.all([bus, other, bus, other].map((each) => each.ensureStream(3, caps)));
    assert.equal(new Set(states.map((state) => state.incarnation)).size, 1);
    await other.close();
  });

  f(
    "a stream can begin behind a sequence, as if what came before had been trimmed; only when it is made",
    async (_, bus) => {
      const begin = { firstSequence: 1001, incarnation: "from a backup" };
      const made = await bus.ensureStream(0, { ...caps, begin });
      assert.deepEqual(
        [made.incarnation, made.firstSequence, made.lastSequence],
        ["from a backup", 1001, 1000],
      );
      assert.equal(await bus.frameAt(0, 1000), undefined);
      const listening = await listen(bus, 0, 1001);
      assert.deepEqual(await bus.publish(0, "a", bytes("1")), { sequence: 1001, duplicate: false });
      await listening.until(1);
      assert.equal(listening.frames[0]?.sequence, 1001);
      await listening.reader.close();
      const again = await bus.ensureStream(0, {
        ...caps,
        begin: { firstSequence: 5, incarnation: "another" },
      });
      assert.deepEqual(
        [again.incarnation, again.firstSequence, again.lastSequence],
        ["from a backup", 1001, 1001],
      );
    },
  );

  f("a stream deleted and made anew has another incarnation and starts at 1", async (world, bus) => {
    const before = await bus.ensureStream(0, caps);
    await bus.publish(0, "a", bytes("1"));
    await world.deleteStream(0);
    await outage("stream-missing", bus.publish(0, "b", bytes("2")));
    const after = await bus.ensureStream(0, caps);
    assert.notEqual(after.incarnation, before.incarnation);
    assert.deepEqual(await bus.publish(0, "a", bytes("1")), { sequence: 1, duplicate: false });
  });

  f("a full stream says stream-full, keeps what it has, and takes more after a trim", async (_, bus) => {
    await bus.ensureStream(0, { ...caps, bytesMax: 300_000 });
    const frame = new Uint8Array(100_000);
    assert.equal((await bus.publish(0, "a", frame)).sequence, 1);
    assert.equal((await bus.publish(0, "b", frame)).sequence, 2);
    await outage("stream-full", bus.publish(0, "c", frame));
    await outage("stream-full", bus.publish(0, "c", frame));
    const full = await bus.streamState(0);
    assert.equal(full.messages, 2);
    assert.ok(full.bytes > 200_000 && full.bytes <= 300_000);
    await bus.trim(0, 1);
    assert.deepEqual(await bus.publish(0, "c", frame), { sequence: 3, duplicate: false });
    const state = await bus.streamState(0);
    assert.deepEqual([state.firstSequence, state.lastSequence, state.messages], [2, 3, 2]);
  });

  f("trimming beyond the end empties the stream and moves no sequence", async (_, bus) => {
    await bus.ensureStream(0, caps);
    for (const id of ["a", "b", "c"]) await bus.publish(0, id, bytes(id));
    await bus.trim(0, 0);
    assert.equal((await bus.streamState(0)).messages, 3);
    await bus.trim(0, 99);
    const state = await bus.streamState(0);
    assert.deepEqual([state.firstSequence, state.lastSequence, state.messages], [4, 3, 0]);
    await bus.trim(0, 99);
    assert.deepEqual(await bus.publish(0, "d", bytes("d")), { sequence: 4, duplicate: false });
  });

  f(
    "single frames can be removed; what is missing is said, and the ends stay where they are",
    async (_, bus) => {
      await bus.ensureStream(0, caps);
      for (let n = 1; n <= 9; n++) await bus.publish(0, `${n}`, bytes(`frame ${n}`));
      assert.deepEqual(await bus.missing(0), []);
      await bus.removeFrames(0, [3, 5, 6]);
      await bus.removeFrames(0, [6, 7, 99]);
      assert.deepEqual(await bus.missing(0), [3, 5, 6, 7]);
      const { firstSequence, lastSequence, messages } = await bus.streamState(0);
      assert.deepEqual([firstSequence, lastSequence, messages], [1, 9, 5]);
      assert.equal(await bus.frameAt(0, 5), undefined);
      const listening = await listen(bus, 0, 2);
      await listening.until(4);
      assert.deepEqual(
        listening.frames.map(({ sequence }) => sequence),
        [2, 4, 8, 9],
      );
      await listening.reader.close();
      await bus.trim(0, 4);
      assert.deepEqual((await bus.streamState(0)).firstSequence, 8);
      assert.deepEqual(await bus.missing(0), []);
      await outage("stream-missing", bus.missing(5));
      await outage("stream-missing", bus.removeFrames(5, [1]));
    },
  );

  f("a reader gives what is there in order, then what comes, from the sequence asked for", async (_, bus) => {
    await bus.ensureStream(0, caps);
    for (let n = 1; n <= 500; n++) await bus.publish(0, `${n}`, bytes(`frame ${n}`));
    const whole = await listen(bus, 0, 1);
    const middle = await listen(bus, 0, 400);
    const ahead = await listen(bus, 0, 501);
    for (let n = 501; n <= 510; n++) await bus.publish(0, `${n}`, bytes(`frame ${n}`));
    await Promise.all([whole.until(510), middle.until(111), ahead.until(10)]);
    for (const [listening, from] of [
      [whole, 1],
      [middle, 400],
      [ahead, 501],
    ] as const) {
      assert.deepEqual(
        listening.frames.map((frame) => [frame.sequence, text(frame.data)]),
        Array.from({ length: 511 - from }, (_unused, i) => [from + i, `frame ${from + i}`]),
      );
      await listening.reader.close();
    }
  });

  f("megabytes come through whole, and more than a window of them", async (_, bus) => {
    await bus.ensureStream(0, { ...caps, bytesMax: 64 * 1024 * 1024 });
    const frames = Array.from({ length: 40 }, (_unused, i) => new Uint8Array(1024 * 1024).fill(i + 1));
    await Promise.all(frames.map((frame, i) => bus.publish(0, `${i}`, frame)));
    const listening = await listen(bus, 0, 1);
    await listening.until(40);
    const sums = listening.frames.map(
      (frame) => frame.data.reduce((sum, byte) => sum + byte, 0) / 1024 / 1024,
    );
    assert.deepEqual(
      sums,
      Array.from({ length: 40 }, (_unused, i) => i + 1),
    );
  });

  f("a trimmed start shows as a jump of the sequence", async (_, bus) => {
    await bus.ensureStream(0, caps);
    for (let n = 1; n <= 70; n++) await bus.publish(0, `${n}`, bytes("x"));
    await bus.trim(0, 62);
    const listening = await listen(bus, 0, 5);
    await listening.until(8);
    assert.deepEqual(
      listening.frames.map((frame) => frame.sequence),
      [63, 64, 65, 66, 67, 68, 69, 70],
    );
  });

  f("a closed reader gives nothing more and never ends", async (_, bus) => {
    await bus.ensureStream(0, caps);
    await bus.publish(0, "1", bytes("x"));
    const closed = await listen(bus, 0, 1);
    const open = await listen(bus, 0, 1);
    await closed.until(1);
    await closed.reader.close();
    await closed.reader.close();
    await bus.publish(0, "2", bytes("x"));
    await open.until(2);
    assert.equal(closed.frames.length, 1);
    assert.deepEqual(closed.ends, []);
  });

  f("what a receiver throws ends its reader with that error, and no other", async (_, bus) => {
    await bus.ensureStream(0, caps);
    const fine = await listen(bus, 0, 1);
    const ended = new Promise<Error>((resolve, reject) => {
      bus.read(0, 1, { onFrame: faulty, onEnd: resolve }).catch(reject);
    });
    await bus.publish(0, "1", bytes("x"));
    assert.equal((await ended).message, "a bug of the receiver");
    await bus.publish(0, "2", bytes("y"));
    await fine.until(2);
  });

  f("a reader ends once when its stream is deleted, also when it is made anew", async (world, bus) => {
    await bus.ensureStream(0, caps);
    for (let n = 1; n <= 3; n++) await bus.publish(0, `${n}`, bytes("old"));
    const listening = await listen(bus, 0, 1);
    await listening.until(3);
    await world.deleteStream(0);
    await bus.ensureStream(0, caps);
    for (let n = 1; n <= 5; n++) await bus.publish(0, `${n}`, bytes("new"));
    await listening.ended();
    assert.deepEqual(
      listening.frames.map((frame) => text(frame.data)),
      ["old", "old", "old"],
    );
    assert.equal(listening.ends.length, 1);
    assert.ok(isOutage(listening.ends[0]) && listening.ends[0].retryable);
  });

  f(
    "frameAt gives one frame, with the time a reader gives, and undefined where there is none",
    async (_, bus) => {
      await bus.ensureStream(0, caps);
      for (let n = 1; n <= 20; n++) await bus.publish(0, `${n}`, bytes(`frame ${n}`));
      await bus.trim(0, 2);
      const listening = await listen(bus, 0, 1);
      await listening.until(18);
      for (const frame of listening.frames) assert.deepEqual(await bus.frameAt(0, frame.sequence), frame);
      assert.ok(
        listening.frames.every((frame) => Math.abs(frame.timeMs - Date.now()) < 20 * 365 * 86_400_000),
      );
      for (const missing of [1, 2, 21, 1000]) assert.equal(await bus.frameAt(0, missing), undefined);
    },
  );

  f(
    "B2: a crash fails at once what is in flight; resent with the same ids it is recorded once",
    async (world, bus) => {
      await bus.ensureStream(0, caps);
      const listening = await listen(bus, 0, 1);
      const changes: boolean[] = [];
      bus.onConnection((connected) => changes.push(connected));
      const ids = Array.from({ length: 400 }, (_unused, i) => `id-${i}`);
      const acks = new Map<string, PublishAck>();
      const failures: string[] = [];
      const send = async (id: string) => {
        try {
          acks.set(id, await bus.publish(0, id, bytes(id.padEnd(5_000))));
        } catch (error) {
          failures.push(isOutage(error) ? error.code : messageOf(error));
        }
      };
      await send("id-0");
      const flight = Promise.all(ids.slice(1).map(send));
      await world.crash();
      await flight;
      await listening.ended();
      assert.equal(bus.connected, false);
      assert.deepEqual(
        [...new Set(failures)].filter((code) => code !== "bus-unavailable"),
        [],
      );
      await outage("bus-unavailable", bus.publish(0, "more", bytes("x")));
      await outage("bus-unavailable", bus.streamState(0));
      await outage("bus-unavailable", listen(bus, 0, 1));
      await world.recover();
      await connectedAgain(bus);
      await Promise.all(ids.filter((id) => !acks.has(id)).map(send));
      assert.deepEqual(changes, [false, true]);
      assert.equal(acks.size, ids.length);
      const again = await listen(bus, 0, 1);
      await again.until(ids.length);
      const recorded = again.frames.map((frame) => text(frame.data).trim());
      assert.deepEqual(recorded.toSorted(), ids.toSorted());
      for (const [id, ack] of acks) assert.equal(recorded[ack.sequence - 1], id);
      assert.equal(listening.ends.length, 1);
    },
  );

  f("questions reach all who serve; nobody serving is no answer", async (world, bus) => {
    const other = await world.another();
    const stop = await bus.serve("q", (question) => bytes(`1:${text(question)}`));
    await other.serve("q", async (question) => bytes(`2:${text(question)}`));
    await other.serve("q", () => {
      throw new Error("can't say");
    });
    const answers = async () => (await bus.ask("q", bytes("?"), 300)).map(text).sort();
    assert.deepEqual(await answers(), ["1:?", "2:?"]);
    stop();
    assert.deepEqual(await answers(), ["2:?"]);
    await other.close();
    assert.deepEqual(await bus.ask("nobody", bytes("?"), 300), []);
  });

  f("an answer that is enough ends the wait for others", async (world, bus) => {
    const other = await world.another();
    let speak = () => {};
    const silent = new Promise<Uint8Array>((resolve) => (speak = () => resolve(bytes("late"))));
    await bus.serve("q", () => silent);
    await other.serve("q", () => bytes("no"));
    await other.serve("q", () => bytes("yes"));
    // Were it not enough, this would take longer than a test may.
    const answers = await bus.ask("q", bytes("?"), 600_000, (answer) => text(answer) === "yes");
    assert.equal(answers.map(text).at(-1), "yes");
    speak();
    await other.close();
  });

  f("who serves goes on serving after a crash", async (world, bus) => {
    const other = await world.another();
    await other.serve("q", () => bytes("here"));
    await world.crash();
    await outage("bus-unavailable", bus.ask("q", bytes("?"), 100));
    await world.recover();
    await Promise.all([connectedAgain(bus), connectedAgain(other)]);
    let answers: Uint8Array[] = [];
    while (answers.length === 0) answers = await bus.ask("q", bytes("?"), 300);
    assert.deepEqual(answers.map(text), ["here"]);
    await other.close();
  });

  f("a closed bus says bus-unavailable to everything", async (_, bus) => {
    await bus.ensureStream(0, caps);
    const kv = await bus.kv("ONE");
    const listening = await listen(bus, 0, 1);
    await bus.close();
    await bus.close();
    assert.equal(bus.connected, false);
    await listening.ended();
    await outage("bus-unavailable", bus.publish(0, "a", bytes("1")));
    await outage("bus-unavailable", bus.ensureStream(0, caps));
    await outage("bus-unavailable", bus.kv("ONE"));
    await outage("bus-unavailable", kv.get("a"));
    await outage(
      "bus-unavailable",
      bus.serve("q", () => bytes("x")),
    );
  });

  kvContract(name, makeWorld);
}
