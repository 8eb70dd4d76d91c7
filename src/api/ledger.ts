// What a request for the books asks.
import { parseRange } from "../graphite/range.ts";
import { groupings, type Grouping } from "../store/books.ts";
import { lastOf, type Params } from "./params.ts";
import type { Judged } from "./request.ts";

/** Minutes, epoch seconds, both included. */
export interface LedgerRequest {
  from: number;
  until: number;
  by: Grouping;
}

/** `from` and `until` as /render takes them, by default the last hour; `by` is minute, hour or total. */
export function ledgerRequest(params: Params, nowSeconds: number): Judged<LedgerRequest> {
  const range = parseRange(
    {
      from: lastOf(params, "from") ?? "-1h",
      until: lastOf(params, "until"),
      now: lastOf(params, "now"),
      tz: lastOf(params, "tz"),
    },
    nowSeconds,
  );
  if (range.kind === "invalid") return { kind: "invalid", why: range.why.slice(0, 200) };
  const by = groupings.find((each) => each === (lastOf(params, "by") ?? "minute"));
  if (by === undefined) return { kind: "invalid", why: `by is one of ${groupings.join(", ")}` };
  return { kind: "request", request: { ...minutesWithin(range.range), by } };
}

/** The whole minutes that a range touches. */
export function minutesWithin(range: { from: number; until: number }): { from: number; until: number } {
  const minute = (seconds: number) => Math.max(0, Math.floor(seconds / 60) * 60);
  return { from: minute(range.from), until: minute(range.until) };
}
