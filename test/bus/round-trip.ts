// Frames of many sizes through a real server and back, by a given transport: what is read is what was published, though
// memory is used again on both sides.
import assert from "node:assert/strict";
import { systemRandom } from "../../src/base/random.ts";
import type { Bus, RecordedFrame } from "../../src/bus/bus.ts";
import { Heard } from "./listen.ts";

const caps = { bytesMax: 64 << 20, duplicateWindowMs: 60_000 };
const sizes = [0, 1, 4_000, 70_000, 262_144, 300_000, 1_048_576, 1_300_000];
/** Of the frames that come, each third is kept while the others are given back. */
const keepEvery = 3;

/** What frame n holds: every byte differs from that of the next frame, and of the next place. */
function fill(n: number, into: Uint8Array): Uint8Array {
  for (let at = 0; at < into.length; at++) into[at] = n * 7 + at * 31 + (at >> 8);
  return into;
}

export function frameOf(n: number): Uint8Array {
  return fill(n, new Uint8Array(sizes[n % sizes.length] ?? 0));
}

/** Publishes `count` frames, one after the other out of one buffer. */
export async function publishFrames(bus: Bus, shard: number, count: number): Promise<void> {
  await bus.ensureStream(shard, caps);
  const boot = Buffer.from(systemRandom.bytes(8)).toString("hex");
  const buffer = new Uint8Array(Math.max(...sizes));
  for (let n = 1; n <= count; n++) {
    const data = fill(n, buffer.subarray(0, sizes[n % sizes.length]));
    assert.deepEqual(await bus.publish(shard, `${boot}.${n}`, data), { sequence: n, duplicate: false });
    buffer.fill(0xff);
  }
}

/** Reads frames `from` to `to`, and gives back what it does not keep. Rejects when the reader ends before. */
export async function readFrames(bus: Bus, shard: number, from: number, to: number): Promise<void> {
  const heard = new Heard();
  const kept: RecordedFrame[] = [];
  const wrong: number[] = [];
  let next = from;
  let end: Error | undefined;
  const reader = await bus.read(shard, from, {
    onFrame(frame) {
      if (frame.sequence !== next || !holds(frame)) wrong.push(frame.sequence);
      next = frame.sequence + 1;
      if (frame.sequence % keepEvery === 0) kept.push(frame);
      else bus.release(frame.data);
      heard.changed();
    },
    onEnd(error) {
      end = error;
      heard.changed();
    },
  });
  await heard.until(() => next > to || end !== undefined);
  if (end !== undefined) throw end;
  await reader.close();
  wrong.push(...kept.filter((frame) => !holds(frame)).map(({ sequence }) => sequence));
  assert.deepEqual(wrong, [], "frames that were not as they were published");
}

function holds({ sequence, data }: RecordedFrame): boolean {
  return Buffer.compare(data, frameOf(sequence)) === 0;
}
