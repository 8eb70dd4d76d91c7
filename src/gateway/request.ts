// A request's lines into the record: the part that HTTP and, later, NATS share. The answer is a value.
//
// R1. "recorded" is said only when the record has every good line (P1).
// R2. What can't be admitted whole is not begun: a refusal for lack of room or bus has recorded nothing.
// R3. A keyed request is cut by its body alone, so a retry makes the same frames with the same ids, whatever else
//     the gateway is doing.
// R4. No key becomes a name (request-lines.ts).
import { createHash } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import type { Bus } from "../bus/bus.ts";
import { frameBytesTarget, shardInFlightBytesMax } from "../config/limits.ts";
import type { Router } from "../kernel/kernel.ts";
import type { Reach } from "../metric/ladder-rules.ts";
import type { Door } from "../metric/frame.ts";
import { isSeparator } from "../metric/line.ts";
import type { Reason } from "../metric/reason.ts";
import type { Tenant } from "../tenant/tenant.ts";
import type { SentFrame, ShardBatcher } from "./batch.ts";
import { keyedId } from "./keyed-id.ts";
import type { OpenFrame } from "./open-frame.ts";
import type { LineGate } from "./routes.ts";
import type { BadPoint } from "./points.ts";
import type { Refusals } from "./refusals.ts";
import { allPass, named, outside, takeLines } from "./request-lines.ts";
import type { Tally } from "./tally.ts";

export interface RefusedLine {
  /** Counted from 1 in the body, blank lines included. */
  line: number;
  reason: Reason;
  /** Its beginning. */
  text: string;
  /** A sentence, where the reason alone would not help. */
  hint?: string;
}

export type Verdict =
  | { kind: "recorded"; accepted: number; refused: RefusedLine[]; refusedCount: number }
  | { kind: "none-good"; refused: RefusedLine[]; refusedCount: number }
  /** Try again later. `recorded`: how much of it the record has, as far as we know. */
  | { kind: "not-recorded"; recorded: "none" | "part" | "unknown"; why: string }
  /** More than the tenant may send: nothing of it was taken. */
  | { kind: "limited"; reason: Reason; retryAfterMs: number };

/** Its lines may be recorded before its end has come: see what `finish` says, also after a refusal. */
export interface PieceRequest {
  /** The next lines. A refusal: nothing of this piece was taken (R2). */
  take(lines: Buffer, bad?: readonly BadPoint[]): Verdict | undefined;
  /** Settles when a piece of this size may go on, or when waiting any longer would be wrong. */
  room(bytes: number): Promise<void>;
  /** What became of all that was taken. */
  finish(): Promise<Verdict>;
}

export interface RequestOptions {
  door: Door;
  router: Router;
  bus: Bus;
  clock: Clock;
  /** How far back points of this tenant may lie. */
  reachOf: (tenant: Tenant) => Reach;
  /** The tenant's own limits; undefined: it has none. */
  gateOf?: (tenant: Tenant) => LineGate | undefined;
  tally: Tally;
  /** Remembers the refused lines that the answer lists. */
  refusals?: Refusals;
}

/** More refused lines than this are counted, not listed. */
const refusedListMax = 1000;
const refusedTextMax = 120;
/** How long a request waits for the record. */
const recordMsMax = 10_000;
/** How long it waits when the bus is gone or the stream is full: a restarted server is back sooner. */
const noMsMax = 2000;
const lookMs = 100;

const idempotencyKeyCharsMax = 255;
export const idempotencyKeyWish = `Idempotency-Key must have 1 to ${idempotencyKeyCharsMax} characters`;

export function isIdempotencyKey(key: unknown): key is string {
  return typeof key === "string" && key.length >= 1 && key.length <= idempotencyKeyCharsMax;
}

export class RequestAcceptor {
  readonly #options: RequestOptions;

  constructor(options: RequestOptions) {
    this.#options = options;
  }

  /** An unkeyed request: its lines join the shard's frames. */
  accept(
    tenant: Tenant,
    batcher: ShardBatcher,
    body: Buffer,
    bad?: readonly BadPoint[],
    peer?: string,
  ): Promise<Verdict> {
    const request = this.begin(tenant, batcher, peer);
    const refusal = request.take(body, bad);
    return refusal === undefined ? request.finish() : Promise.resolve(refusal);
  }

  /** An unkeyed request that comes in pieces of whole lines. */
  begin(tenant: Tenant, batcher: ShardBatcher, peer = ""): PieceRequest {
    const gate = this.#options.gateOf?.(tenant);
    const { door } = this.#options;
    const reach = this.#options.reachOf(tenant);
    const refused = new Refused();
    const frames = new Set<OpenFrame>();
    const sent: Promise<SentFrame>[] = [];
    let accepted = 0;
    const take = (body: Buffer, bad: readonly BadPoint[] = []): Verdict | undefined => {
      const refusal = this.#admit(batcher, body.length) ?? this.#limited(gate, tenant, batcher, body);
      if (refusal !== undefined) return refusal;
      refused.next(body, bad);
      const goesInto = (frame: OpenFrame) => {
        if (frames.has(frame)) return;
        frames.add(frame);
        sent.push(frame.whenSent());
      };
      const taken = takeLines(this.#options.router, body, 0, body.length, refused, {
        line(from, to, seconds) {
          const frame = batcher.frame(door);
          const no = outside(seconds, frame.nowSeconds, reach) ?? named(gate, body, from, to);
          if (no !== undefined) return no;
          goesInto(frame);
          batcher.append(tenant.id, door, "plaintext", body, from, to);
          return undefined;
        },
        run(runs, run, text) {
          const frame = batcher.frame(door);
          if (!allPass(runs, run, frame.nowSeconds, reach, gate)) return false;
          goesInto(frame);
          batcher.appendLines(tenant.id, door, "plaintext", text, runs.rows[run] as number);
          return true;
        },
      });
      gate?.took(taken);
      accepted += taken;
      this.#book(tenant, batcher, taken, refused, peer);
      if (taken > 0) batcher.hurry();
      return undefined;
    };
    const finish = (): Promise<Verdict> => {
      if (accepted === 0) return Promise.resolve({ kind: "none-good", ...refused.fields() });
      return this.#whenRecorded(batcher, sent, accepted, refused);
    };
    return { take, finish, room: (bytes) => this.#room(batcher, bytes) };
  }

  /** A request with an Idempotency-Key: frames of its own, the same at each retry. */
  async acceptKeyed(
    tenant: Tenant,
    batcher: ShardBatcher,
    body: Buffer,
    key: string,
    bad: readonly BadPoint[] = [],
    peer = "",
  ): Promise<Verdict> {
    const gate = this.#options.gateOf?.(tenant);
    const refusal = this.#admit(batcher, body.length) ?? this.#limited(gate, tenant, batcher, body);
    if (refusal !== undefined) return refusal;
    const { clock, door } = this.#options;
    const receivedAtMs = clock.nowMs();
    const nowSeconds = Math.floor(receivedAtMs / 1000);
    const reach = this.#options.reachOf(tenant);
    const bodyHash = createHash("sha256").update(body).digest();
    const refused = new Refused();
    refused.next(body, bad);
    const sent: SentFrame[] = [];
    let accepted = 0;
    let part = 0;
    for (let from = 0; from < body.length; part++) {
      const to = cut(body, from);
      const lines = Buffer.allocUnsafe(to - from + 1);
      let length = 0;
      const count = takeLines(this.#options.router, body, from, to, refused, {
        line(lineFrom, lineTo, seconds) {
          const no = outside(seconds, nowSeconds, reach) ?? named(gate, body, lineFrom, lineTo);
          if (no !== undefined) return no;
          length += body.copy(lines, length, lineFrom, lineTo);
          lines[length++] = 0x0a;
          return undefined;
        },
        run(runs, run, text) {
          if (!allPass(runs, run, nowSeconds, reach, gate)) return false;
          lines.set(text, length);
          length += text.length;
          return true;
        },
      });
      if (count > 0) {
        const id = keyedId(tenant.id, key, bodyHash, batcher.shard, part);
        const section = { tenant: tenant.id, door, lineCount: count, lines: lines.subarray(0, length) };
        sent.push(batcher.sendKeyed(id, receivedAtMs, section));
      }
      accepted += count;
      from = to;
    }
    gate?.took(accepted);
    this.#book(tenant, batcher, accepted, refused, peer);
    if (accepted === 0) return { kind: "none-good", ...refused.fields() };
    return this.#whenRecorded(
      batcher,
      sent.map((frame) => Promise.resolve(frame)),
      accepted,
      refused,
    );
  }

  /** R2. */
  #admit(batcher: ShardBatcher, bytes: number): Verdict | undefined {
    const no = (why: string): Verdict => ({ kind: "not-recorded", recorded: "none", why });
    if (!this.#options.bus.connected) return no("the record can't be reached");
    if (batcher.refusing) return no("the record of this shard is full");
    if (!batcher.hasRoom(bytes, this.#options.door))
      return no("too much is waiting to be recorded for this shard");
    return undefined;
  }

  /** R2. A tenant that sends more than it may is refused whole requests: their lines are in the books as they are. */
  #limited(
    gate: LineGate | undefined,
    tenant: Tenant,
    batcher: ShardBatcher,
    body: Buffer,
  ): Verdict | undefined {
    const retryAfterMs = gate?.waitMs() ?? 0;
    if (retryAfterMs === 0) return undefined;
    const { tally, door } = this.#options;
    const reason: Reason = "rate-limit";
    const lines = linesIn(body);
    gate?.refused(lines);
    if (lines > 0) {
      tally.refused(reason, lines);
      batcher.refuse(tenant.id, door, reason, lines);
    }
    return { kind: "limited", reason, retryAfterMs };
  }

  /**
   * Waits for room for a further piece, and leaves half of the shard's room to others; not longer than a request may
   * wait for the record.
   */
  async #room(batcher: ShardBatcher, bytes: number): Promise<void> {
    const { door } = this.#options;
    const wanted = bytes + shardInFlightBytesMax / 2;
    if (batcher.hasRoom(wanted, door)) return;
    const ended = new AbortController();
    const patience = this.#patience(batcher, ended.signal);
    while (!ended.signal.aborted && !batcher.hasRoom(wanted, door))
      if ((await Promise.race([batcher.whenRoom(), patience])) === "waited") break;
    ended.abort();
  }

  #book(tenant: Tenant, batcher: ShardBatcher, accepted: number, refused: Refused, peer: string): void {
    const { tally, door, refusals } = this.#options;
    if (accepted > 0) tally.accepted(batcher.shard, accepted);
    for (const [reason, count] of refused.byReason) {
      tally.refused(reason, count);
      batcher.refuse(tenant.id, door, reason, count);
    }
    refused.byReason.clear();
    for (const { reason, text } of refused.news()) refusals?.ofRequest(tenant.id, door, reason, peer, text);
  }

  async #whenRecorded(
    batcher: ShardBatcher,
    sent: Promise<SentFrame>[],
    accepted: number,
    refused: Refused,
  ): Promise<Verdict> {
    const { bus } = this.#options;
    const frames: SentFrame[] = [];
    const all = Promise.all(
      sent.map(async (promise) => {
        const frame = await promise;
        frames.push(frame);
        await frame.recorded;
      }),
    ).then(() => "recorded" as const);
    const ended = new AbortController();
    const outcome = await Promise.race([all, this.#patience(batcher, ended.signal)]);
    ended.abort();
    if (outcome === "recorded") return { kind: "recorded", accepted, ...refused.fields() };
    return {
      kind: "not-recorded",
      recorded: frames.some((frame) => frame.isRecorded) ? "part" : "unknown",
      why: !bus.connected
        ? "the record can't be reached"
        : batcher.refusing
          ? "the record of this shard is full"
          : "the record did not answer in time",
    };
  }

  /** Settles when a request should stop waiting: after recordMsMax, or sooner where the record says no. */
  async #patience(batcher: ShardBatcher, signal: AbortSignal): Promise<"waited"> {
    const { bus, clock } = this.#options;
    const started = clock.monotonicMs();
    let noSince: number | undefined;
    while (!signal.aborted && clock.monotonicMs() - started < recordMsMax) {
      if (bus.connected && !batcher.refusing) noSince = undefined;
      else noSince ??= clock.monotonicMs();
      if (noSince !== undefined && clock.monotonicMs() - noSince >= noMsMax) break;
      await clock.sleep(lookMs, signal);
    }
    return "waited";
  }
}

/** What a request's lines were refused for, listed up to a bound and counted beyond it. */
class Refused {
  readonly byReason = new Map<Reason, number>();
  #list: RefusedLine[] = [];
  #count = 0;
  #body: Buffer = Buffer.alloc(0);
  #line = 1;
  #countedTo = 0;
  /** Where the present body's part of the list begins. */
  #from = 0;
  #told = 0;

  /** Another piece of the body; `bad` are elements of it that its door refused, as empty lines in it. */
  next(body: Buffer, bad: readonly BadPoint[]): void {
    this.#sort();
    if (this.#list.length < refusedListMax) this.#countTo(this.#body.length);
    this.#body = body;
    this.#countedTo = 0;
    this.#from = this.#list.length;
    for (const one of bad) {
      this.#add(one.reason);
      if (this.#list.length < refusedListMax) this.#list.push({ ...one, line: this.#line + one.line - 1 });
    }
  }

  add(reason: Reason, from: number, to: number, hint?: string): void {
    this.#add(reason);
    if (this.#list.length >= refusedListMax) return;
    this.#countTo(from);
    const text = this.#body.toString("utf8", from, Math.min(to, from + refusedTextMax));
    const line = { line: this.#line, reason, text };
    this.#list.push(hint === undefined ? line : { ...line, hint });
  }

  /** What came to the list since the last call. */
  news(): RefusedLine[] {
    const news = this.#list.slice(this.#told);
    this.#told = this.#list.length;
    return news;
  }

  fields(): { refused: RefusedLine[]; refusedCount: number } {
    this.#sort();
    return { refused: this.#list, refusedCount: this.#count };
  }

  #add(reason: Reason): void {
    this.#count++;
    this.byReason.set(reason, (this.byReason.get(reason) ?? 0) + 1);
  }

  #countTo(to: number): void {
    for (; this.#countedTo < to; this.#countedTo++) if (this.#body[this.#countedTo] === 0x0a) this.#line++;
  }

  /** Those of a door come before those of the lines. */
  #sort(): void {
    const own = this.#list.splice(this.#from);
    this.#list.push(...own.sort((a, b) => a.line - b.line));
    this.#from = this.#list.length;
  }
}

/** NaN, a line without time stamp, compares false both times. */
/** Lines that are not blank. */
function linesIn(body: Buffer): number {
  let lines = 0;
  let blank = true;
  for (const byte of body) {
    if (byte === 0x0a) blank = true;
    else if (blank && !isSeparator(byte)) {
      blank = false;
      lines++;
    }
  }
  return lines;
}

/** R3: the end of the part that begins at `from`: the last line end within the target, or the first one behind it. */
function cut(body: Buffer, from: number): number {
  if (body.length - from <= frameBytesTarget) return body.length;
  const before = body.lastIndexOf(0x0a, from + frameBytesTarget - 1);
  if (before >= from) return before + 1;
  const behind = body.indexOf(0x0a, from + frameBytesTarget);
  return behind < 0 ? body.length : behind + 1;
}
