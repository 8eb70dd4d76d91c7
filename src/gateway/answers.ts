// What a request is told, as a status and a body: HTTP sends them as they are, NATS puts the status into `code`.
import { unreachable } from "../base/assert.ts";
import type { Reason } from "../metric/reason.ts";
import type { Verdict } from "./request.ts";
import type { Route } from "./routes.ts";

export interface Answer {
  status: number;
  body: Record<string, unknown>;
  /** Try again, but not before. */
  retryAfterMs?: number;
}

const retryAfterMs = 1000;

export function answerOf(verdict: Verdict): Answer {
  switch (verdict.kind) {
    case "recorded":
      return { status: 202, body: { accepted: verdict.accepted, ...refusedFields(verdict) } };
    case "none-good": {
      const error = verdict.refusedCount === 0 ? { error: "no lines" } : {};
      return { status: 400, body: { accepted: 0, ...refusedFields(verdict), ...error } };
    }
    case "not-recorded":
      return later(verdict.why, verdict.recorded);
    case "limited": {
      const { reason, retryAfterMs: afterMs } = verdict;
      return { status: 429, body: { error: reason, retryAfterMs: afterMs }, retryAfterMs: afterMs };
    }
    default:
      return unreachable(verdict);
  }
}

export function later(error: string, recorded: string): Answer {
  return { status: 503, body: { error, recorded }, retryAfterMs };
}

/** Of a sender who may not send. */
export function answerOfRoute(route: Exclude<Route, { kind: "tenant" }>): Answer {
  if (route.kind === "unavailable") return later("the directory of tenants can't be reached", "none");
  const { reason } = route;
  if (reason === "unknown-key") return { status: 401, body: { error: "unknown key" } };
  return { status: reason === "tenant-deleted" ? 410 : 403, body: { error: reason, hint: hints[reason] } };
}

const hints: { readonly [Word in Reason]?: string } = {
  "tenant-deleted": "this account is deleted: nothing is taken from it any more, stop sending",
  "tenant-suspended": "this account is suspended: nothing is taken from it for now",
  "key-not-for-writing": "this key may read but not write: use a write key",
};

/** A request that was not read to its end: why, and what became of what had been read. */
export function cutShort(why: Answer, before: Verdict): Answer {
  return { ...why, body: { ...why.body, ...partOf(before) } };
}

function partOf(verdict: Verdict): Record<string, unknown> {
  switch (verdict.kind) {
    case "recorded":
      return { recorded: "part", accepted: verdict.accepted, ...refusedFields(verdict) };
    case "none-good":
      return {
        recorded: "none",
        ...(verdict.refusedCount > 0 && { accepted: 0, ...refusedFields(verdict) }),
      };
    case "not-recorded":
      return { recorded: verdict.recorded };
    case "limited":
      return { recorded: "none" };
    default:
      return unreachable(verdict);
  }
}

function refusedFields(verdict: { refused: unknown[]; refusedCount: number }): Record<string, unknown> {
  const listed = verdict.refused.length === verdict.refusedCount;
  return { refused: verdict.refused, ...(listed ? {} : { refusedCount: verdict.refusedCount }) };
}
