// Who still sends although nobody wants it: with unknown keys, with keys of deleted or suspended tenants, with keys that
// may not write.
//
// U1. Bounded by an lru-cache; a flood of made-up keys pushes the oldest out, and what found no room is counted.
// U2. A key is never shown and kept no longer than a second: what stays is the beginning of its SHA-256, which an
//     operator can compare with `tenant show`.
// U3. Who has been silent for an hour is gone from the list.
// U4. Lines are gathered for a second and then entered: a flood under one key costs a look into a small table a line.
import { LRUCache } from "lru-cache";
import type { Clock } from "../base/clock.ts";
import type { Cell, Counters } from "../base/counters.ts";
import type { Door } from "../metric/frame.ts";
import type { Reason } from "../metric/reason.ts";
import { hashKey } from "../tenant/keys.ts";

/** Reasons that say that a sender as a whole is not wanted. */
const unwanted: ReadonlySet<Reason> = new Set<Reason>([
  "unknown-key",
  "tenant-deleted",
  "tenant-suspended",
  "key-not-for-writing",
]);

export interface UnwantedSender {
  /** The beginning of the key's SHA-256, hex; "": it sends without one. */
  keyHash: string;
  /** Id of the tenant, where the key is somebody's. */
  tenant: string | undefined;
  reason: Reason;
  address: string;
  door: Door;
  lines: number;
  /** Lines a second, smoothed over some ten seconds. */
  rate: number;
  firstMs: number;
  lastMs: number;
}

const sendersMost = 10_000;
const gatheredMost = 1000;
const gatherMs = 1000;
const silentMsMost = 3_600_000;
const hashCharsKept = 12;
const keyCharsMost = 200;
const smoothing = 0.1;

interface Gathered {
  key: string;
  tenant: string | undefined;
  reason: Reason;
  address: string;
  door: Door;
  lines: number;
}

export class UnwantedSenders {
  readonly #clock: Clock;
  readonly #senders = new LRUCache<string, UnwantedSender>({ max: sendersMost });
  readonly #gathered = new Map<string, Gathered>();
  readonly #passedOver: Cell;
  #gathering = false;

  constructor(clock: Clock, counters: Counters) {
    this.#clock = clock;
    this.#passedOver = counters.counter(
      "gateway_unwanted_lines_unlisted_total",
      "Lines of unwanted senders that found no room in their list",
    );
  }

  static wants(reason: Reason): boolean {
    return !unwanted.has(reason);
  }

  add(key: string, tenant: string | undefined, reason: Reason, address: string, door: Door, lines = 1): void {
    const id = `${key}\0${tenant ?? ""}\0${address}\0${door}`;
    const known = this.#gathered.get(id);
    if (known !== undefined) {
      known.lines += lines;
      known.reason = reason; // it may have changed within the second
      return;
    }
    if (this.#gathered.size >= gatheredMost || key.length > keyCharsMost) {
      this.#passedOver.value += lines;
      return;
    }
    this.#gathered.set(id, { key, tenant, reason, address, door, lines });
    if (this.#gathering) return;
    this.#gathering = true;
    this.#clock.after(gatherMs, () => {
      this.#gathering = false;
      this.#enter();
    });
  }

  /** The busiest first. */
  list(): UnwantedSender[] {
    this.#enter();
    const nowMs = this.#clock.nowMs();
    for (const [id, { lastMs }] of this.#senders)
      if (nowMs - lastMs >= silentMsMost) this.#senders.delete(id); // U3
    return [...this.#senders.values()]
      .map((sender) => ({ ...sender, rate: rateNow(sender, nowMs) }))
      .sort((a, b) => b.rate - a.rate || b.lastMs - a.lastMs);
  }

  #enter(): void {
    const nowMs = this.#clock.nowMs();
    for (const { key, tenant, reason, address, door, lines } of this.#gathered.values()) {
      const keyHash = key === "" ? "" : hashKey(key).slice(0, hashCharsKept);
      const id = `${keyHash} ${tenant ?? ""} ${address} ${door}`;
      const known = this.#senders.get(id);
      const seconds = known === undefined ? 1 : Math.max(1, (nowMs - known.lastMs) / 1000);
      const before = known === undefined ? 0 : rateNow(known, nowMs);
      this.#senders.set(id, {
        keyHash,
        tenant,
        reason,
        address,
        door,
        lines: (known?.lines ?? 0) + lines,
        rate: known === undefined ? lines : before + smoothing * (lines / seconds - before),
        firstMs: known?.firstMs ?? nowMs,
        lastMs: nowMs,
      });
    }
    this.#gathered.clear();
  }
}

/** Who is silent gets slower. */
function rateNow({ rate, lastMs }: UnwantedSender, nowMs: number): number {
  const silent = Math.max(0, (nowMs - lastMs) / 1000 - 1);
  return Math.round(rate * (1 - smoothing) ** silent * 10) / 10;
}
