// What becomes of a refused line: it is counted, and it goes into the books of its tenant where it has one.
import { reasonCode, reasons, type Reason } from "../metric/reason.ts";
import type { Door } from "../metric/frame.ts";
import type { Route } from "./routes.ts";
import type { Tally } from "./tally.ts";

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
  /** `code` is the line's own; a route that refuses has the better reason. */
  refuse(route: Route, code: number, at: RefusedAt, tally: Tally): void {
    const keyless = code === reasonCode["no-key"];
    const reason: Reason =
      route.kind === "refused" && !keyless ? route.reason : (reasons[code] ?? "malformed");
    tally.refused(reason, 1);
    if (route.kind !== "unavailable" && route.tenant !== undefined)
      route.batcher?.refuse(route.tenant.id, at.door, reason, 1);
  }
}
