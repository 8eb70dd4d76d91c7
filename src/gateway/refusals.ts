// What becomes of a refused line: it is counted, it goes into the books of its tenant where it has one, the tenant's
// last ones can be looked at, and senders that nobody wants are listed.
import { reasonCode, reasons, type Reason } from "../metric/reason.ts";
import type { Door } from "../metric/frame.ts";
import type { RefusedLines } from "./refused-lines.ts";
import type { Route } from "./routes.ts";
import type { Tally } from "./tally.ts";
import { UnwantedSenders } from "./unwanted-senders.ts";

/** Who sent a line, and where it is. */
export interface RefusedAt {
  door: Door;
  /** Address of the sender. */
  peer: string;
  bytes: Buffer;
  /** The key's place; empty where there is none. */
  keyFrom: number;
  keyTo: number;
  /** The line without its key. */
  from: number;
  to: number;
}

export class Refusals {
  readonly #lines: RefusedLines;
  readonly #senders: UnwantedSenders;

  constructor(lines: RefusedLines, senders: UnwantedSenders) {
    this.#lines = lines;
    this.#senders = senders;
  }

  /**
   * `code` is the line's own; a route that refuses has the better reason. `count`: so many lines of one key at once, of
   * which this is the first; only it is kept to be looked at.
   */
  refuse(route: Route, code: number, at: RefusedAt, tally: Tally, count = 1): void {
    const { door, peer, bytes } = at;
    const keyless = code === reasonCode["no-key"];
    const reason: Reason =
      route.kind === "refused" && !keyless ? route.reason : (reasons[code] ?? "malformed");
    tally.refused(reason, count);
    const tenant = route.kind === "unavailable" ? undefined : route.tenant?.id;
    if (!UnwantedSenders.wants(reason))
      this.#senders.add(bytes.toString("latin1", at.keyFrom, at.keyTo), tenant, reason, peer, door, count);
    if (route.kind === "unavailable" || tenant === undefined) return;
    route.batcher?.refuse(tenant, door, reason, count);
    this.#lines.add(tenant, door, reason, peer, bytes, at.from, at.to);
  }

  /** A line of a request, whose refusal was counted and booked elsewhere. */
  ofRequest(tenant: string, door: Door, reason: Reason, peer: string, text: string): void {
    const bytes = Buffer.from(text);
    this.#lines.add(tenant, door, reason, peer, bytes, 0, bytes.length);
  }

  /** A whole request, by its key ("" where it had none): unread, so its lines are not counted; it counts as one. */
  ofSender(key: string, route: Route, peer: string, door: Door): void {
    if (route.kind !== "refused" || UnwantedSenders.wants(route.reason)) return;
    this.#senders.add(key, route.tenant?.id, route.reason, peer, door);
  }
}
