// A shard's frames on their way from the doors into the record.
//
// G1. A frame that was begun is sent, with the same id and the same bytes, until the record has it: frames are never
//     dropped while the process lives. What is not yet recorded is bounded in bytes and in frames.
// G2. A shard that says no fills its own bound only; other shards' frames flow.
// G3. Lines are judged by the receivedAtMs of the frame they go into: a replay meets the same judgement.
// G4. Refusals, which come however little the record takes, need no more room than one open frame.
// G5. Two lanes. Frames of doors that answer (http, nats) never touch the disk. Those of raw doors go to the spool when
//     the record does not take them, what is in flight first, and come out of it one at a time, in order; no newer raw
//     frame is sent before the spool is empty. Frames of requests flow beside it.
import type { Cell, Counters } from "../base/counters.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Bus, PublishAck } from "../bus/bus.ts";
import {
  frameAgeMsMax,
  frameBytesLoaded,
  frameBytesTarget,
  refusalAgeMsMax,
  shardInFlightBytesMax,
  shardInFlightFramesMax,
  spoolStuckMs,
} from "../config/limits.ts";
import { encodeFrame, messageId, type Door, type FrameIdentity, type Kind } from "../metric/frame.ts";
import { LargeBuffers } from "../base/large-buffers.ts";
import { OpenFrame } from "./open-frame.ts";
import { Publisher, reconnected, retryFirstMs } from "./publisher.ts";
import type { ShardSpool, SpooledFrame } from "./spool.ts";

/** A frame that was handed to the record. */
export interface SentFrame {
  /** Settles when the record has the frame. Never rejects: the frame is sent until then, or until the process ends. */
  readonly recorded: Promise<void>;
  isRecorded: boolean;
}

export interface BatcherOptions {
  shard: number;
  boot: Uint8Array;
  bus: Bus;
  clock: Clock;
  counters: Counters;
  log: Log;
  /** One for all batchers of a gateway; default: its own. */
  buffers?: LargeBuffers;
  /** Without one, frames of raw doors wait in memory alone. */
  spool?: ShardSpool | undefined;
}

/** Doors that answer have a frame of their own (G5). */
interface Lane {
  open: OpenFrame | undefined;
  cancelTimer: (() => void) | undefined;
}

/** A frame of a raw door on its way, not yet in the spool. */
interface DirectFrame extends SpooledFrame {
  spooled: boolean;
}

const lookAgainMs = 200;
/** From here on frames grow: the broker is the slower one. */
const loadedFrames = 4;

export class ShardBatcher {
  readonly shard: number;
  readonly #options: BatcherOptions;
  readonly #frames: Cell;
  readonly #publisher: Publisher;
  readonly #buffers: LargeBuffers;
  readonly #bytesGauge: Cell;
  readonly #unbooked: Cell;
  readonly #raw: Lane = { open: undefined, cancelTimer: undefined };
  readonly #asked: Lane = { open: undefined, cancelTimer: undefined };
  /** In the order of their numbers. */
  readonly #direct = new Set<DirectFrame>();
  #spooling = false;
  /** The frame out of the spool that is on its way, or none. */
  #forwarding = 0;
  #parked = false;
  #isLooking = false;
  #n = 0;
  #inFlightFrames = 0;
  #inFlightBytes = 0;
  #room: { promise: Promise<void>; settle: () => void } | undefined;
  #idleWaiters: (() => void)[] = [];
  /** When the record last took a frame, or the first of the present ones was sent; monotonic ms. */
  #progressMs = 0;

  constructor(options: BatcherOptions) {
    this.shard = options.shard;
    this.#options = options;
    this.#buffers = options.buffers ?? new LargeBuffers();
    const label = { shard: options.shard };
    this.#frames = options.counters.counter("gateway_frames_total", "Frames recorded", label);
    this.#publisher = new Publisher(options);
    this.#unbooked = options.counters.counter(
      "gateway_refusals_unbooked_total",
      "Refusals that found no room in the books",
      label,
    );
    this.#bytesGauge = options.counters.gauge("gateway_in_flight_bytes", "Bytes not yet recorded", label);
    const { bus, spool } = options;
    if (spool === undefined) return;
    spool.onRoom = () => this.#roomAgain();
    bus.onConnection((connected) => {
      if (!connected) this.#spill("the record can't be reached");
    });
    // No answer may still be a yes: such a shard is given a moment (#look).
    this.#publisher.onOutage = (outage) => {
      if (outage.code !== "bus-timeout") this.#spill(outage.message);
    };
    // What an earlier process left goes first.
    if (!spool.isEmpty) this.#spill("an earlier process left frames");
  }

  /** The frame that the door's next line goes into, opened at need. Its receivedAtMs is the "now" of its lines. */
  frame(door: Door): OpenFrame {
    return this.#frameOf(this.#laneOf(door));
  }

  /** Whether `bytes` more fit the bound. A single request larger than the bound passes when nothing else is there. */
  hasRoom(bytes: number, door: Door): boolean {
    const { spool } = this.#options;
    if (this.#spooling && spool !== undefined && this.#laneOf(door) === this.#raw)
      return spool.hasRoom((this.#raw.open?.bytes ?? 0) + bytes);
    const taken = this.#inFlightBytes + (this.#raw.open?.bytes ?? 0) + (this.#asked.open?.bytes ?? 0);
    if (this.#inFlightFrames >= shardInFlightFramesMax) return false;
    return taken === 0 || taken + bytes <= shardInFlightBytesMax;
  }

  /** Settles when something was recorded and there may be room again. */
  whenRoom(): Promise<void> {
    // One promise for all who wait: they may come back often while the shard is stuck.
    if (this.#room === undefined) {
      let settle = () => {};
      const promise = new Promise<void>((resolve) => {
        settle = resolve;
      });
      this.#room = { promise, settle };
    }
    return this.#room.promise;
  }

  /** How long the shard has taken nothing although something waits, ms; 0 when all is well. */
  stuckMs(): number {
    return this.#inFlightFrames === 0 ? 0 : this.#options.clock.monotonicMs() - this.#progressMs;
  }

  /** The stream itself said that it is full. */
  get refusing(): boolean {
    return this.#publisher.refusing;
  }

  /**
   * Appends bytes[from, to) and a line end. The caller has asked hasRoom, and judged the line by frame(). Answers the
   * frame it went into.
   */
  append(tenant: string, door: Door, kind: Kind, bytes: Buffer, from: number, to: number): OpenFrame {
    const lane = this.#laneOf(door);
    // Not stamped anew: the caller has judged the line by the frame as it is.
    const frame = lane.open ?? this.#frameOf(lane);
    frame.append(tenant, door, kind, bytes, from, to);
    this.#grown(lane, frame, 1);
    return frame;
  }

  /** The same for a text of whole lines, each with its line end. */
  appendLines(tenant: string, door: Door, kind: Kind, text: Uint8Array, lines: number): void {
    const lane = this.#laneOf(door);
    const frame = lane.open ?? this.#frameOf(lane);
    frame.appendLines(tenant, door, kind, text, lines);
    this.#grown(lane, frame, lines);
  }

  #grown(lane: Lane, frame: OpenFrame, lines: number): void {
    if (frame.bytes >= (this.#isLoaded ? frameBytesLoaded : frameBytesTarget)) this.#flush(lane);
    else if (frame.lineCount === lines) this.#arm(lane, frameAgeMsMax);
  }

  /** Books refusals of a tenant: they travel in the door's next frame. */
  refuse(tenant: string, door: Door, reason: string, count: number): void {
    const lane = this.#laneOf(door);
    const full =
      lane === this.#raw && this.#spooling
        ? !this.hasRoom(frameBytesTarget, door)
        : this.#inFlightFrames >= shardInFlightFramesMax;
    const taken = this.#frameOf(lane).refuse(tenant, door, reason, count);
    if (taken === "no-room" && full) this.#unbooked.value += count;
    else if (taken === "no-room") {
      this.#flush(lane);
      this.refuse(tenant, door, reason, count);
    } else if (lane.cancelTimer === undefined) this.#arm(lane, refusalAgeMsMax, false);
  }

  /** Sends the requests' open frame soon when nothing else is on its way: a lone one need not wait for company. */
  hurry(): void {
    if (this.#inFlightFrames === this.#forwarding && this.#asked.open !== undefined)
      this.#arm(this.#asked, 0);
  }

  /** Closes and sends the open frames now. */
  flush(): void {
    this.#flush(this.#raw);
    this.#flush(this.#asked);
  }

  /** A part of a keyed request, as a frame of its own. */
  sendKeyed(
    id: Uint8Array,
    receivedAtMs: number,
    section: { tenant: string; door: Door; lineCount: number; lines: Uint8Array },
  ): SentFrame {
    const identity: FrameIdentity = { kind: "keyed", id };
    const data = encodeFrame({
      identity,
      receivedAtMs,
      sections: [{ ...section, kind: "plaintext" }],
      refusals: [],
    });
    const { tenant, door, lineCount } = section;
    return this.#send(messageId(this.shard, identity), data, (ack, tries) => {
      // The sender has sent it twice. At a later try it may be our own resend that the broker has seen.
      if (ack.duplicate && tries === 0) this.refuse(tenant, door, "duplicate", lineCount);
    });
  }

  /** Sends what is open and settles when the record has everything, but for what is in the spool. */
  async drain(): Promise<void> {
    this.flush();
    while (this.#inFlightFrames > this.#forwarding)
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  /** At the end: frames of raw doors that the record does not have go to the spool. Answers how many could not. */
  async park(): Promise<number> {
    const { spool } = this.#options;
    if (spool === undefined) return 0;
    this.#parked = true;
    if (this.#direct.size > 0 || this.#raw.open !== undefined) this.#spill("the gateway stops");
    this.#flush(this.#raw);
    return spool.close();
  }

  /** Frames begun that neither the record nor the spool has. */
  get pendingFrames(): number {
    const open = [this.#raw, this.#asked].filter((lane) => lane.open !== undefined).length;
    return this.#inFlightFrames - this.#forwarding + open;
  }

  /** Frames of raw doors go to the spool, or come out of it. */
  get spooling(): boolean {
    return this.#spooling;
  }

  #laneOf(door: Door): Lane {
    return door === "http" || door === "nats" ? this.#asked : this.#raw;
  }

  #frameOf(lane: Lane): OpenFrame {
    if (lane.open !== undefined && lane.open.lineCount > 0) return lane.open;
    const receivedAtMs = this.#options.clock.nowMs();
    // A frame may have waited with refusals alone: its first line is of now.
    if (lane.open === undefined) lane.open = new OpenFrame(receivedAtMs, this.#buffers);
    else lane.open.restamp(receivedAtMs);
    return lane.open;
  }

  /** The broker, or the disk, is the slower one. */
  get #isLoaded(): boolean {
    return this.#spooling || this.#inFlightFrames >= loadedFrames;
  }

  /** Something of the lane is not yet in the record. */
  #waitsFor(lane: Lane): boolean {
    return this.#inFlightFrames > 0 || (lane === this.#raw && this.#spooling);
  }

  #flush(lane: Lane): void {
    lane.cancelTimer?.();
    lane.cancelTimer = undefined;
    const frame = lane.open;
    if (frame === undefined) return;
    lane.open = undefined;
    const { boot, bus, spool } = this.#options;
    const identity: FrameIdentity = { kind: "boot", boot, n: this.#n++ };
    const id = messageId(this.shard, identity);
    const data = encodeFrame(frame.close(identity), (bytes) => this.#buffers.take(bytes));
    frame.release();
    if (lane === this.#raw && spool !== undefined) {
      const { receivedAtMs } = frame;
      if (!bus.connected) this.#spill("the record can't be reached");
      if (this.#spooling) spool.append({ id, data, receivedAtMs });
      else this.#sendDirect({ id, data, receivedAtMs, spooled: false });
    } else frame.sent(this.#send(id, data));
  }

  #arm(lane: Lane, ms: number, replace = true): void {
    if (lane.cancelTimer !== undefined) {
      if (!replace) return;
      lane.cancelTimer();
    }
    lane.cancelTimer = this.#options.clock.after(ms, () => {
      lane.cancelTimer = undefined;
      // G4. Refusals alone wait until nothing is on its way, in the one open frame.
      if (lane.open?.lineCount === 0 && this.#waitsFor(lane)) this.#arm(lane, refusalAgeMsMax);
      else this.#flush(lane);
    });
  }

  #send(id: string, data: Uint8Array, onAck?: (ack: PublishAck, tries: number) => void): SentFrame {
    let settle = () => {};
    const recorded = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const frame = { isRecorded: false, recorded };
    this.#begin(data);
    // Not caught: what is no outage is our own bug, and ends the process.
    void this.#publisher.publish(id, data).then((answer) => {
      if (answer !== undefined) onAck?.(answer.ack, answer.tries);
      this.#end(data, true);
      this.#buffers.give(data);
      frame.isRecorded = true;
      settle();
    });
    return frame;
  }

  #sendDirect(frame: DirectFrame): void {
    this.#begin(frame.data);
    this.#direct.add(frame);
    const isSpooled = () => frame.spooled;
    void this.#publisher.publish(frame.id, frame.data, isSpooled).then(() => {
      if (frame.spooled) return;
      this.#direct.delete(frame);
      this.#end(frame.data, true);
      this.#buffers.give(frame.data);
    });
  }

  #begin(data: Uint8Array): void {
    if (this.#inFlightFrames === 0) this.#progressMs = this.#options.clock.monotonicMs();
    this.#inFlightFrames++;
    this.#inFlightBytes += data.length;
    this.#bytesGauge.value = this.#inFlightBytes;
    if (this.#options.spool !== undefined) this.#look();
  }

  #end(data: Uint8Array, recorded: boolean): void {
    if (recorded) {
      this.#frames.value++;
      this.#progressMs = this.#options.clock.monotonicMs();
    }
    this.#inFlightFrames--;
    this.#inFlightBytes -= data.length;
    this.#bytesGauge.value = this.#inFlightBytes;
    this.#roomAgain();
    if (this.#inFlightFrames === this.#forwarding) for (const wake of this.#idleWaiters.splice(0)) wake();
  }

  #roomAgain(): void {
    this.#room?.settle();
    this.#room = undefined;
  }

  /** G5. A shard that answers nothing is one that says no, a little later. */
  #look(ms = spoolStuckMs): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#options.clock.after(ms, () => {
      this.#isLooking = false;
      if (this.#inFlightFrames === 0) return;
      const isStuck = this.stuckMs() >= spoolStuckMs;
      // Seen twice: after a pause of this process the answers may lie there, unread.
      if (isStuck && ms === lookAgainMs) this.#spill("the shard does not answer");
      this.#look(isStuck ? lookAgainMs : spoolStuckMs);
    });
  }

  /**
   * G5. From now on frames of raw doors go to the spool, what is in flight first. Where the spool has no room for all
   * of it, it stays in memory and is sent from there, before anything of the spool.
   */
  #spill(why: string): void {
    const { spool, log } = this.#options;
    if (spool === undefined) return;
    const isNew = !this.#spooling;
    if (isNew) {
      log.warn({ shard: this.shard, why, inFlight: this.#direct.size }, "spool: in use");
      this.#spooling = true;
      if (!this.#parked) void this.#forward(spool);
    }
    // Later the spool holds newer ones. At the end, not to lose them counts for more than the order.
    if (this.#direct.size === 0 || !(isNew || this.#parked)) return;
    const bytes = [...this.#direct].reduce((sum, { data }) => sum + data.length, 0);
    if (!spool.fits(bytes)) return;
    for (const frame of this.#direct) {
      frame.spooled = true;
      spool.append(frame);
      this.#end(frame.data, false);
    }
    this.#direct.clear();
  }

  /** One at a time: so the order of the spool is the order of the record, whatever has to be sent again. */
  async #forward(spool: ShardSpool): Promise<void> {
    const { bus, clock, log } = this.#options;
    const startedMs = clock.monotonicMs();
    let frames = 0;
    while (!this.#parked) {
      if (!bus.connected) await reconnected(bus);
      const frame = this.#direct.size > 0 ? undefined : await spool.next();
      if (frame !== undefined) {
        this.#forwarding = 1;
        this.#begin(frame.data);
        await this.#publisher.publish(frame.id, frame.data);
        spool.done();
        frames++;
        this.#forwarding = 0;
        this.#end(frame.data, true);
      } else if (this.#takesAgain(spool)) break;
      else await clock.sleep(retryFirstMs);
    }
    if (this.#parked) return;
    this.#spooling = false;
    this.#roomAgain();
    const ms = Math.round(clock.monotonicMs() - startedMs);
    log.info({ shard: this.shard, frames, ms }, "spool: empty, all forwarded");
  }

  #takesAgain(spool: ShardSpool): boolean {
    const { bus } = this.#options;
    const well = bus.connected && !this.refusing && this.stuckMs() < spoolStuckMs;
    return well && this.#direct.size === 0 && spool.isEmpty;
  }
}
