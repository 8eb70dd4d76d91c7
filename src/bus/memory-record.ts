// The record of the memory bus: streams and buckets as a broker keeps them, without connections. What nats-server
// promises and our code rests on, and nothing more: sequences, caps, duplicate windows, revisions.
import type { Clock } from "../base/clock.ts";
import { Outage } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { KvEntry, KvOptions, PublishAck, RecordedFrame, StreamBegin, StreamState } from "./bus.ts";
import { streamName } from "./subjects.ts";

/** What a frame costs the cap beside its bytes, about as on disk. */
const frameOverheadBytes = 64;

export class MemoryStream {
  readonly incarnation: string;
  bytesMax = 0;
  duplicateWindowMs = 0;
  readonly #name: string;
  readonly #clock: Clock;
  /** In the order of the sequences. */
  #frames: RecordedFrame[] = [];
  #ids = new Map<string, { sequence: number; atMs: number }>();
  #last = 0;
  #bytes = 0;

  constructor(shard: number, clock: Clock, random: Random, begin?: StreamBegin) {
    this.#name = streamName(shard);
    this.#clock = clock;
    this.incarnation = begin?.incarnation ?? Buffer.from(random.bytes(16)).toString("hex");
    this.#last = (begin?.firstSequence ?? 1) - 1;
  }

  /** Throws stream-full. */
  add(messageId: string, data: Uint8Array): PublishAck {
    const nowMs = this.#clock.nowMs();
    for (const [id, known] of this.#ids) {
      if (known.atMs + this.duplicateWindowMs > nowMs) break;
      this.#ids.delete(id);
    }
    const known = this.#ids.get(messageId);
    if (known !== undefined) return { sequence: known.sequence, duplicate: true };
    const bytes = data.length + frameOverheadBytes;
    if (this.bytesMax >= 0 && this.#bytes + bytes > this.bytesMax)
      throw new Outage("stream-full", `publish to ${this.#name}: maximum bytes exceeded`);
    this.#last += 1;
    this.#bytes += bytes;
    // Not data.slice(): that of a Buffer is a view.
    this.#frames.push({ sequence: this.#last, timeMs: nowMs, data: Uint8Array.from(data) });
    this.#ids.set(messageId, { sequence: this.#last, atMs: nowMs });
    return { sequence: this.#last, duplicate: false };
  }

  state(): StreamState {
    return {
      incarnation: this.incarnation,
      firstSequence: this.#frames[0]?.sequence ?? (this.#last === 0 ? 0 : this.#last + 1),
      lastSequence: this.#last,
      messages: this.#frames.length,
      bytes: this.#bytes,
      bytesMax: this.bytesMax,
    };
  }

  /** The first frame with a sequence >= `sequence`. */
  from(sequence: number): RecordedFrame | undefined {
    let low = 0;
    let high = this.#frames.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#frames[middle]?.sequence ?? 0) < sequence) low = middle + 1;
      else high = middle;
    }
    return this.#frames[low];
  }

  trim(sequence: number): void {
    this.#keep((frame) => frame.sequence > sequence);
  }

  /** Removes single frames, leaving holes. */
  remove(sequences: readonly number[]): void {
    const gone = new Set(sequences);
    this.#keep((frame) => !gone.has(frame.sequence));
  }

  missing(): number[] {
    return this.#frames.flatMap(({ sequence }, i) => {
      const before = this.#frames[i - 1]?.sequence ?? sequence - 1;
      return Array.from({ length: sequence - before - 1 }, (_, k) => before + 1 + k);
    });
  }

  /** Back to what it was at `sequence`: what came later never was, as after a restored backup. */
  rewind(sequence: number): void {
    this.#keep((frame) => frame.sequence <= sequence);
    this.#last = Math.min(this.#last, sequence);
    for (const [id, known] of this.#ids) if (known.sequence > sequence) this.#ids.delete(id);
  }

  #keep(stays: (frame: RecordedFrame) => boolean): void {
    this.#frames = this.#frames.filter(stays);
    this.#bytes = this.#frames.reduce((sum, frame) => sum + frame.data.length + frameOverheadBytes, 0);
  }
}

export class MemoryBucket {
  readonly name: string;
  ttlMs = 0;
  readonly #clock: Clock;
  readonly #entries = new Map<string, { value: Uint8Array | undefined; revision: number; atMs: number }>();
  #revision = 0;
  readonly #onChange = new Set<(entry: KvEntry) => void>();

  constructor(name: string, clock: Clock, options: KvOptions) {
    this.name = name;
    this.#clock = clock;
    this.ttlMs = options.ttlMs ?? 0;
  }

  /** Calls back with each put and delete, not with what the TTL takes away. */
  onChange(callback: (entry: KvEntry) => void): () => void {
    this.#onChange.add(callback);
    return () => this.#onChange.delete(callback);
  }

  get(key: string): KvEntry | undefined {
    const entry = this.#entries.get(key);
    if (entry?.value === undefined) return undefined;
    if (this.ttlMs > 0 && entry.atMs + this.ttlMs <= this.#clock.nowMs()) return undefined;
    return { key, value: entry.value, revision: entry.revision };
  }

  all(): KvEntry[] {
    return [...this.#entries.keys()].map((key) => this.get(key)).filter((entry) => entry !== undefined);
  }

  /** `expected`: the revision the key must have, 0 for none, undefined for any. Throws revision-conflict. */
  put(key: string, value: Uint8Array | undefined, expected?: number): number {
    const have = this.get(key)?.revision ?? 0;
    if (expected !== undefined && expected !== have)
      throw new Outage("revision-conflict", `${key} in ${this.name} has revision ${have}, not ${expected}`);
    this.#revision += 1;
    const kept = value?.slice();
    this.#entries.set(key, { value: kept, revision: this.#revision, atMs: this.#clock.nowMs() });
    const entry = { key, value: kept, revision: this.#revision };
    for (const callback of this.#onChange) callback(entry);
    return this.#revision;
  }

  wipe(): void {
    this.#entries.clear();
    this.#revision = 0;
  }
}
