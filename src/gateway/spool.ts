// One shard's share of the gateway's disk spool: frames that the record can't take now, in their order, on the disk.
//
// S1. What was written is handed out again, in order, until `done`: also by the next process, after a kill at any
//     moment. A frame may be handed out twice, by two processes; it never changes, so it counts once (P2).
// S2. Disk and memory are bounded: `hasRoom` says no first. A disk that fails or is full is a spool that is full: what
//     was taken stays in memory, in order, and is written, or handed out from there, when it can be.
// S3. A damaged place costs the records it touches; they are counted and said.
// S4. Nothing here waits for the disk but its own promises; a process that writes is never held up.
//
// A killed process loses what was not yet written: what the queue holds, some milliseconds. A machine that loses its
// power may lose a second more: files are synced once a second. Raw doors acknowledge nothing, so more than that would
// buy nothing: a sender that is cut off does not know either what of its last second was read.
import type { Clock } from "../base/clock.ts";
import type { Counters } from "../base/counters.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { shardInFlightBytesMax } from "../config/limits.ts";
import { decodeFrame, messageId } from "../metric/frame.ts";
import type { SpoolFile, SpoolFiles } from "./spool-files.ts";
import { leftSegments, noteFile, SegmentReader, segmentFile, type Segment } from "./spool-reader.ts";
import { recordHead, recordHeadBytes, segmentHead, segmentHeadBytes } from "./spool-record.ts";
import { SpoolVoice } from "./spool-voice.ts";

export interface SpoolOptions {
  shard: number;
  folder: string;
  bytesMax: number;
  files: SpoolFiles;
  clock: Clock;
  random: Random;
  counters: Counters;
  log: Log;
}

/** A frame as it was taken. */
export interface SpooledFrame {
  id: string;
  data: Uint8Array;
  receivedAtMs: number;
}

interface Entry extends SpooledFrame {
  done: boolean;
}

const segmentBytesMost = 8 << 20;
const segmentBytesLeast = 256 << 10;
/** Frames that wait for the disk in memory: what was in flight when the outage began, and some more. */
const queueBytesMax = shardInFlightBytesMax + (4 << 20);
const writeBytesMax = 4 << 20;
const syncMs = 1000;
const noteMs = 1000;
const tryAgainMs = 1000;
/** A segment that can't be read so many times, a second apart, is set aside: what lies behind it must not wait longer. */
const readTriesMax = 5;

export class ShardSpool {
  readonly #options: SpoolOptions;
  readonly #segmentBytes: number;
  /** In their order; the last one is written to while #tail is there. */
  #segments: Segment[] = [];
  #tail: { file: SpoolFile; marker: Uint8Array; segment: Segment; dirty: boolean } | undefined;
  #reader: { reader: SegmentReader; segment: Segment } | undefined;
  #queue: Entry[] = [];
  #queueBytes = 0;
  #diskBytes = 0;
  /** The end of the record that `next` handed out last, or the entry. */
  #handed: { segment: Segment; end: number } | Entry | undefined;
  #next = 1;
  #opened = false;
  #failing = false;
  #writing: Promise<void> | undefined;
  #syncWanted = false;
  #cancelSync: (() => void) | undefined;
  #cancelNote: (() => void) | undefined;
  #cancelRetry: (() => void) | undefined;
  #closed = false;
  readonly #voice: SpoolVoice;
  /** Called when there may be room again. */
  onRoom: () => void = () => {};

  private constructor(options: SpoolOptions) {
    this.#options = options;
    const share = Math.floor(options.bytesMax / 8);
    this.#segmentBytes = Math.min(segmentBytesMost, Math.max(segmentBytesLeast, share));
    this.#voice = new SpoolVoice(options);
  }

  /** A disk that fails is no obstacle: the spool is full until it works. */
  static async open(options: SpoolOptions): Promise<ShardSpool> {
    const spool = new ShardSpool(options);
    try {
      await spool.#open();
    } catch (error) {
      spool.#fail(error);
    }
    spool.#show();
    return spool;
  }

  get isEmpty(): boolean {
    return this.#queue.every(({ done }) => done) && this.#segments.every((s) => s.doneTo >= s.bytes);
  }

  /** Whether so many bytes more fit on the disk. */
  fits(bytes: number): boolean {
    return !this.#failing && this.#diskBytes + this.#queueBytes + bytes <= this.#options.bytesMax;
  }

  /** S2. */
  hasRoom(bytes: number): boolean {
    if (this.fits(bytes)) return this.#queueBytes <= queueBytesMax;
    this.#voice.full(this.#diskBytes + this.#queueBytes);
    return false;
  }

  /** The caller has asked hasRoom or fits. */
  append(frame: SpooledFrame): void {
    this.#queue.push({ ...frame, done: false });
    this.#queueBytes += recordHeadBytes + frame.data.length;
    this.#voice.written.value++;
    this.#voice.frames.value++;
    if (this.#voice.oldestMs === 0) this.#voice.oldestMs = frame.receivedAtMs;
    this.#show();
    this.#kick();
  }

  /**
   * The oldest frame; the same one until `done`. undefined: there is none. One caller at a time. Waits while the disk
   * can't be read, for a bounded time: then that segment is left for the next start.
   */
  async next(): Promise<SpooledFrame | undefined> {
    while (!this.#closed) {
      const segment = this.#segments[0];
      if (segment !== undefined && segment.doneTo < segment.bytes) {
        const frame = await this.#read(segment);
        if (frame !== undefined) return this.#at(frame);
      } else if (segment !== undefined && segment !== this.#tail?.segment) {
        await this.#drop(segment);
      } else {
        const entry = this.#queue.find(({ done }) => !done);
        this.#handed = entry;
        return entry === undefined ? undefined : this.#at(entry);
      }
    }
    return undefined;
  }

  /** The record has the frame that `next` answered. */
  done(): void {
    const handed = this.#handed;
    this.#handed = undefined;
    if (handed === undefined) return;
    this.#voice.forwarded.value++;
    if ("end" in handed) {
      handed.segment.doneTo = handed.end;
      // Frames of an earlier process were never counted.
      if (handed.segment.frames > 0) {
        handed.segment.frames--;
        this.#voice.frames.value--;
      }
      this.#note();
    } else {
      handed.done = true;
      this.#voice.frames.value--;
      if (this.#writing === undefined) this.#forgetDone();
    }
    if (this.isEmpty) this.#voice.oldestMs = 0;
    this.#kick();
    this.#show();
    this.#roomAgain();
  }

  /** Settles when everything taken is written, or the disk has failed; answers how many frames are in memory only. */
  async written(): Promise<number> {
    this.#kick();
    while (this.#writing !== undefined) await this.#writing;
    return this.unwritten;
  }

  /** Frames that are in memory only. */
  get unwritten(): number {
    return this.#queue.filter(({ done }) => !done).length;
  }

  /** Writes what is there, syncs, and lets go of the files. */
  async close(): Promise<number> {
    this.#syncWanted = true;
    const left = await this.written();
    this.#closed = true;
    for (const cancel of [this.#cancelSync, this.#cancelNote, this.#cancelRetry]) cancel?.();
    await this.#writeNote();
    const files = [this.#tail?.file, this.#reader?.reader];
    this.#tail = undefined;
    this.#reader = undefined;
    for (const file of files) await file?.close().catch((error: unknown) => this.#voice.failed(error));
    return left;
  }

  status(): { bytes: number; frames: number; oldestMs: number; full: boolean; failing: boolean } {
    return {
      bytes: this.#diskBytes + this.#queueBytes,
      frames: this.#voice.frames.value,
      oldestMs: this.#voice.oldestMs,
      full: this.#voice.isFull,
      failing: this.#failing,
    };
  }

  async #open(): Promise<void> {
    const { files, folder } = this.#options;
    await files.makeFolder(folder);
    const found = await leftSegments(files, folder);
    this.#opened = true;
    this.#segments = [...found, ...this.#segments];
    this.#diskBytes += found.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#next = Math.max(this.#next, (found.at(-1)?.number ?? 0) + 1);
    if (this.#diskBytes > 0) this.#voice.leftBehind(this.#diskBytes);
    // Begun, never written.
    for (const segment of found) if (segment.bytes === 0) await this.#drop(segment);
  }

  /** The next good frame of the segment, or undefined after damage. */
  async #read(segment: Segment): Promise<SpooledFrame | undefined> {
    const { files, shard, clock } = this.#options;
    for (let tries = 1; ; tries++) {
      try {
        if (this.#reader?.segment !== segment) {
          await this.#letGo();
          this.#reader = { reader: new SegmentReader(await files.open(segment.path)), segment };
        }
        const piece = await this.#reader.reader.read(segment.doneTo, segment.bytes);
        if (piece.kind === "damaged") return this.#skip(piece.torn ? "torn" : "corrupt", segment, piece.end);
        const decoded = decodeFrame(piece.data);
        if (decoded.kind === "corrupt" || decoded.frame.identity.kind !== "boot")
          return this.#skip("corrupt", segment, piece.end);
        this.#handed = { segment, end: piece.end };
        const { receivedAtMs, data } = piece;
        return { id: messageId(shard, decoded.frame.identity), data, receivedAtMs };
      } catch (error) {
        if (this.#closed) return undefined;
        this.#voice.failed(error);
        await this.#letGo();
        if (tries < readTriesMax) await clock.sleep(tryAgainMs);
        else {
          this.#skip("unreadable", segment, segment.bytes);
          this.#forget(segment);
          if (this.#tail?.segment === segment) await this.#endTail();
          return undefined;
        }
      }
    }
  }

  /** S3. */
  #skip(why: "torn" | "corrupt" | "unreadable", segment: Segment, to: number): undefined {
    this.#voice.lost(why, segment.path, segment.doneTo, to);
    segment.doneTo = to;
    if (this.isEmpty) this.#voice.oldestMs = 0;
  }

  async #letGo(): Promise<void> {
    const { reader } = this.#reader ?? {};
    this.#reader = undefined;
    await reader?.close().catch((error: unknown) => this.#voice.failed(error));
  }

  /** All of it is recorded. */
  async #drop(segment: Segment): Promise<void> {
    if (!this.#forget(segment)) return;
    if (this.#reader?.segment === segment) await this.#letGo();
    try {
      await this.#options.files.remove(segment.path);
    } catch (error) {
      // It is forwarded once more after the next start: harmless.
      this.#voice.failed(error);
    }
    this.#show();
    this.#roomAgain();
  }

  #forget(segment: Segment): boolean {
    if (!this.#segments.includes(segment)) return false;
    this.#segments = this.#segments.filter((other) => other !== segment);
    this.#diskBytes -= segment.bytes;
    this.#voice.frames.value -= segment.frames;
    segment.frames = 0;
    return true;
  }

  #kick(): void {
    if (this.#writing !== undefined || this.#closed || this.#failing) return;
    if (!this.#queue.some(({ done }) => !done) && !this.#syncWanted && !this.#firstIsDone()) return;
    this.#writing = this.#write().then(() => {
      this.#writing = undefined;
      this.#show();
      this.#roomAgain();
      this.#kick();
    });
  }

  #firstIsDone(): boolean {
    const segment = this.#segments[0];
    return segment !== undefined && segment.doneTo >= segment.bytes;
  }

  /** S4. One at a time; never rejects. */
  async #write(): Promise<void> {
    try {
      if (!this.#opened) await this.#open();
      this.#forgetDone();
      if (this.#queue.length > 0) await this.#writeSome();
      else if (this.#firstIsDone()) {
        // Its frames were recorded while they were written: nobody asks for them. The next one begins a new file.
        const [segment] = this.#segments;
        if (this.#tail?.segment === segment) await this.#endTail();
        if (segment !== undefined) await this.#drop(segment);
      }
      if (this.#syncWanted && this.#tail?.dirty === true) {
        this.#tail.dirty = false;
        await this.#tail.file.sync();
      }
      this.#syncWanted = false;
      this.#voice.works();
    } catch (error) {
      this.#fail(error);
      const { segment } = this.#tail ?? {};
      await this.#endTail();
      if (segment?.bytes === 0) await this.#drop(segment);
    }
  }

  async #writeSome(): Promise<void> {
    const tail = this.#tail ?? (await this.#newTail());
    const { segment, marker } = tail;
    let bytes = segment.bytes === 0 ? segmentHeadBytes : 0;
    const pieces: Uint8Array[] = bytes === 0 ? [] : [segmentHead(marker)];
    const batch: { entry: Entry; end: number }[] = [];
    for (const entry of this.#queue) {
      const length = recordHeadBytes + entry.data.length;
      const over = segment.bytes + bytes + length > this.#segmentBytes || bytes + length > writeBytesMax;
      if (batch.length > 0 && over) break;
      pieces.push(recordHead(marker, entry.receivedAtMs, entry.data), entry.data);
      bytes += length;
      batch.push({ entry, end: segment.bytes + bytes });
    }
    await tail.file.write(pieces, segment.bytes);
    tail.dirty = true;
    segment.bytes += bytes;
    this.#diskBytes += bytes;
    for (const { entry, end } of batch) {
      this.#queue.shift();
      this.#queueBytes -= recordHeadBytes + entry.data.length;
      if (entry.done) segment.doneTo = end;
      // Handed out from memory while it was being written.
      else if (this.#handed === entry) this.#handed = { segment, end };
      if (!entry.done) segment.frames++;
    }
    if (segment.bytes >= this.#segmentBytes) await this.#endTail();
    else this.#syncSoon();
  }

  async #newTail() {
    const { files, folder, random } = this.#options;
    const number = this.#next++;
    const path = segmentFile(folder, number);
    const file = await files.create(path);
    const segment: Segment = { number, path, bytes: 0, doneTo: 0, frames: 0 };
    this.#segments.push(segment);
    this.#tail = { file, marker: random.bytes(8), segment, dirty: false };
    return this.#tail;
  }

  /** No more is written to the last file. */
  async #endTail(): Promise<void> {
    const tail = this.#tail;
    this.#tail = undefined;
    if (tail === undefined) return;
    try {
      if (tail.dirty) await tail.file.sync();
    } catch (error) {
      this.#voice.failed(error);
    }
    await tail.file.close().catch((error: unknown) => this.#voice.failed(error));
  }

  /** Not while they are being written. */
  #forgetDone(): void {
    while (this.#queue[0]?.done === true) {
      this.#queueBytes -= recordHeadBytes + this.#queue[0].data.length;
      this.#queue.shift();
    }
  }

  #syncSoon(): void {
    this.#cancelSync ??= this.#options.clock.after(syncMs, () => {
      this.#cancelSync = undefined;
      this.#syncWanted = true;
      this.#kick();
    });
  }

  /** Where the next process begins: a hint, what it gets twice it forwards twice (S1). */
  #note(): void {
    if (this.#closed) return;
    this.#cancelNote ??= this.#options.clock.after(noteMs, () => {
      this.#cancelNote = undefined;
      void this.#writeNote();
    });
  }

  async #writeNote(): Promise<void> {
    const first = this.#segments[0];
    if (first === undefined || first.doneTo === 0 || first.doneTo >= first.bytes) return;
    const { files, folder } = this.#options;
    try {
      await files.replaceSmall(noteFile(folder), `${first.number} ${first.doneTo}\n`);
    } catch (error) {
      this.#voice.failed(error);
    }
  }

  /** S2. */
  #fail(error: unknown): void {
    this.#failing = true;
    this.#voice.failed(error);
    this.#cancelRetry ??= this.#options.clock.after(tryAgainMs, () => {
      this.#cancelRetry = undefined;
      this.#failing = false;
      if (!this.#opened) this.#syncWanted = true;
      this.#kick();
      this.#roomAgain();
    });
  }

  /** Full ends when a tenth is free: else it would be said with each frame. */
  #roomAgain(): void {
    if (this.fits(this.#options.bytesMax / 10)) this.#voice.notFull();
    if (this.fits(1)) this.onRoom();
  }

  #at(frame: SpooledFrame): SpooledFrame {
    this.#voice.oldestMs = frame.receivedAtMs;
    return frame;
  }

  #show(): void {
    this.#voice.bytes.value = this.#diskBytes + this.#queueBytes;
  }
}
