// The last refused lines of each tenant, for whoever has to find out what a sender does wrong.
//
// R1. Bounded: tenants by an lru-cache, lines of each by a ring, bytes of each line.
// R2. A flood of bad lines costs little: of each tenant at most `perSecondMost` lines a second are kept.
// R3. Keys are never kept: lines come without them, what looks like one in front of a line that needs none is cut off,
//     and one further on, where a line end was lost, is painted over.
import { LRUCache } from "lru-cache";
import type { Clock } from "../base/clock.ts";
import type { Door } from "../metric/frame.ts";
import { keyEnd } from "../tenant/keys.ts";
import type { Reason } from "../metric/reason.ts";

export interface RefusedLine {
  atMs: number;
  door: Door;
  /** Address of the sender. */
  peer: string;
  reason: Reason;
  /** Its beginning. */
  text: string;
}

const tenantsMost = 1000;
export const refusedLinesMost = 100;
const textBytesMost = 200;
const perSecondMost = 200;

const keyInside = /[wr][a-z2-7]{32}(?![a-z2-7])/g;
/** The beginning of one that is cut: shorter ones tell nothing. */
const keyBegun = /[wr][a-z2-7]{7,32}$/;
const painted = "(key)";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

interface Ring {
  lines: RefusedLine[];
  next: number;
  second: number;
  inSecond: number;
}

export class RefusedLines {
  readonly #clock: Clock;
  readonly #tenants = new LRUCache<string, Ring>({ max: tenantsMost });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** bytes[from, to) is the line without its key. What an actor refuses has no peer any more. */
  add(
    tenant: string,
    door: Door,
    reason: Reason,
    peer: string,
    bytes: Uint8Array,
    from: number,
    to: number,
  ): void {
    let ring = this.#tenants.get(tenant);
    if (ring === undefined) {
      ring = { lines: [], next: 0, second: 0, inSecond: 0 };
      this.#tenants.set(tenant, ring);
    }
    const atMs = this.#clock.nowMs();
    const second = Math.floor(atMs / 1000);
    if (ring.second !== second) {
      ring.second = second;
      ring.inSecond = 0;
    }
    if (++ring.inSecond > perSecondMost) return; // R2
    const end = keyEnd(bytes, from, to); // R3
    const start = end < 0 ? from : end + 1;
    const cut = Math.min(to, start + textBytesMost);
    const text = withoutKeys(decoder.decode(bytes.subarray(start, cut)), cut < to);
    ring.lines[ring.next] = { atMs, door, peer, reason, text };
    ring.next = (ring.next + 1) % refusedLinesMost;
  }

  /** The oldest first. */
  of(tenant: string): RefusedLine[] {
    const ring = this.#tenants.peek(tenant);
    if (ring === undefined) return [];
    return [...ring.lines.slice(ring.next), ...ring.lines.slice(0, ring.next)];
  }
}

function withoutKeys(text: string, isCut: boolean): string {
  const whole = text.replace(keyInside, painted);
  return isCut ? whole.replace(keyBegun, painted) : whole;
}
