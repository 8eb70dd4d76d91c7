// A shard's frames on their way from the doors into the record.
//
// G1. A frame that was begun is sent, with the same id and the same bytes, until the record has it: frames are never
//     dropped while the process lives. What is not yet recorded is bounded in bytes and in frames.
// G2. A shard that says no fills its own bound only; other shards' frames flow.
// G3. Lines are judged by the receivedAtMs of the frame they go into: a replay meets the same judgement.
// G4. Refusals, which come however little the record takes, need no more room than one open frame.
import { createHash } from "node:crypto";
import type { Cell, Counters } from "../base/counters.ts";
import type { Clock } from "../base/clock.ts";
import { isOutage, messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Bus } from "../bus/bus.ts";
import {
  frameAgeMsMax,
  frameBytesLoaded,
  frameBytesTarget,
  refusalAgeMsMax,
  shardInFlightBytesMax,
  shardInFlightFramesMax,
} from "../config/limits.ts";
import { encodeFrame, messageId, type Door, type FrameIdentity, type Kind } from "../metric/frame.ts";
import { OpenFrame } from "./open-frame.ts";

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
}

const retryFirstMs = 50;
const retryMostMs = 2000;
/** A shard that says no says so in the log once, and again after this long. */
const sayAgainMs = 10_000;
/** From here on frames grow: the broker is the slower one. */
const loadedFrames = 4;

export class ShardBatcher {
  readonly shard: number;
  readonly #options: BatcherOptions;
  readonly #frames: Cell;
  readonly #retries: Cell;
  readonly #bytesGauge: Cell;
  readonly #unbooked: Cell;
  #open: OpenFrame | undefined;
  #cancelTimer: (() => void) | undefined;
  #n = 0;
  #inFlightFrames = 0;
  #inFlightBytes = 0;
  #room: { promise: Promise<void>; settle: () => void } | undefined;
  #idleWaiters: (() => void)[] = [];
  /** The last answer was "full": the stream refuses, not the way to it. */
  #refusing = false;
  /** When the record last took a frame, or the first of the present ones was sent; monotonic ms. */
  #progressMs = 0;
  #saidMs = Number.NEGATIVE_INFINITY;

  constructor(options: BatcherOptions) {
    this.shard = options.shard;
    this.#options = options;
    const label = { shard: options.shard };
    this.#frames = options.counters.counter("gateway_frames_total", "Frames recorded", label);
    this.#retries = options.counters.counter("gateway_frame_retries_total", "Frames sent again", label);
    this.#unbooked = options.counters.counter(
      "gateway_refusals_unbooked_total",
      "Refusals that found no room in the books",
      label,
    );
    this.#bytesGauge = options.counters.gauge("gateway_in_flight_bytes", "Bytes not yet recorded", label);
  }

  /** The frame that the next line goes into, opened at need. Its receivedAtMs is the "now" of its lines. */
  frame(): OpenFrame {
    if (this.#open !== undefined && this.#open.lineCount > 0) return this.#open;
    const receivedAtMs = this.#options.clock.nowMs();
    // A frame may have waited with refusals alone: its first line is of now.
    if (this.#open === undefined) this.#open = new OpenFrame(receivedAtMs);
    else this.#open.restamp(receivedAtMs);
    return this.#open;
  }

  /** Whether `bytes` more fit the bound. A single request larger than the bound passes when nothing else is there. */
  hasRoom(bytes: number): boolean {
    const taken = this.#inFlightBytes + (this.#open?.bytes ?? 0);
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
    return this.#refusing;
  }

  /**
   * Appends bytes[from, to) and a line end. The caller has asked hasRoom, and judged the line by frame(). Answers the
   * frame it went into.
   */
  append(tenant: string, door: Door, kind: Kind, bytes: Buffer, from: number, to: number): OpenFrame {
    // Not stamped anew: the caller has judged the line by the frame as it is.
    const frame = this.#open ?? this.frame();
    frame.append(tenant, door, kind, bytes, from, to);
    if (frame.bytes >= (this.#inFlightFrames >= loadedFrames ? frameBytesLoaded : frameBytesTarget))
      this.flush();
    else if (frame.lineCount === 1) this.#arm(frameAgeMsMax);
    return frame;
  }

  /** Books refusals of a tenant: they travel in the next frame. */
  refuse(tenant: string, door: Door, reason: string, count: number): void {
    const full = this.#inFlightFrames >= shardInFlightFramesMax;
    const taken = this.frame().refuse(tenant, door, reason, count);
    if (taken === "no-room" && full) this.#unbooked.value += count;
    else if (taken === "no-room") {
      this.flush();
      this.refuse(tenant, door, reason, count);
    } else if (this.#cancelTimer === undefined) this.#arm(refusalAgeMsMax, false);
  }

  /** Sends the open frame soon when nothing else is on its way: a lone request need not wait for company. */
  hurry(): void {
    if (this.#inFlightFrames === 0 && this.#open !== undefined) this.#arm(0);
  }

  /** Closes and sends the open frame now. */
  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const frame = this.#open;
    if (frame === undefined) return;
    this.#open = undefined;
    const identity: FrameIdentity = { kind: "boot", boot: this.#options.boot, n: this.#n++ };
    const sent = this.#send(identity, encodeFrame(frame.close(identity)));
    frame.sent(sent);
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
    return this.#send(identity, data);
  }

  /** Sends what is open and settles when everything is recorded. */
  async drain(): Promise<void> {
    this.flush();
    while (this.#inFlightFrames > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Frames begun and not recorded. */
  get pendingFrames(): number {
    return this.#inFlightFrames + (this.#open === undefined ? 0 : 1);
  }

  #arm(ms: number, replace = true): void {
    if (this.#cancelTimer !== undefined) {
      if (!replace) return;
      this.#cancelTimer();
    }
    this.#cancelTimer = this.#options.clock.after(ms, () => {
      this.#cancelTimer = undefined;
      // G4. Refusals alone wait until nothing is on its way, in the one open frame.
      if (this.#open?.lineCount === 0 && this.#inFlightFrames > 0) this.#arm(refusalAgeMsMax);
      else this.flush();
    });
  }

  #send(identity: FrameIdentity, data: Buffer): SentFrame {
    if (this.#inFlightFrames === 0) this.#progressMs = this.#options.clock.monotonicMs();
    this.#inFlightFrames++;
    this.#inFlightBytes += data.length;
    this.#bytesGauge.value = this.#inFlightBytes;
    const frame = { isRecorded: false, recorded: Promise.resolve() };
    frame.recorded = this.#publishUntilRecorded(messageId(this.shard, identity), data).then(() => {
      frame.isRecorded = true;
    });
    return frame;
  }

  async #publishUntilRecorded(id: string, data: Buffer): Promise<void> {
    const { bus, clock, log } = this.#options;
    for (let tries = 0; ; tries++) {
      if (!bus.connected) await reconnected(bus);
      try {
        await bus.publish(this.shard, id, data);
        break;
      } catch (error) {
        this.#retries.value++;
        const full = isOutage(error, "stream-full");
        if (full !== this.#refusing || clock.monotonicMs() - this.#saidMs > sayAgainMs) {
          this.#saidMs = clock.monotonicMs();
          log.warn(
            { shard: this.shard, frame: id, why: messageOf(error) },
            "frames not recorded, sending them again",
          );
        }
        this.#refusing = full;
        if (bus.connected) await clock.sleep(Math.min(retryMostMs, retryFirstMs * 2 ** Math.min(tries, 10)));
      }
    }
    this.#refusing = false;
    this.#frames.value++;
    this.#progressMs = clock.monotonicMs();
    this.#inFlightFrames--;
    this.#inFlightBytes -= data.length;
    this.#bytesGauge.value = this.#inFlightBytes;
    this.#room?.settle();
    this.#room = undefined;
    if (this.#inFlightFrames === 0) for (const wake of this.#idleWaiters.splice(0)) wake();
  }
}

function reconnected(bus: Bus): Promise<void> {
  return new Promise((resolve) => {
    const stop = bus.onConnection((connected) => {
      if (!connected) return;
      stop();
      resolve();
    });
    if (bus.connected) {
      stop();
      resolve();
    }
  });
}

/**
 * Id of one part of a keyed request: the same tenant, key, body, shard and part always give the same id, so a retry
 * is recognised however late it comes.
 */
export function keyedId(
  tenant: string,
  key: string,
  bodyHash: Uint8Array,
  shard: number,
  part: number,
): Uint8Array {
  const hash = createHash("sha256");
  for (const field of [tenant, key, String(shard), String(part)]) hash.update(`${field.length}:${field}`);
  return hash.update(bodyHash).digest().subarray(0, 16);
}
