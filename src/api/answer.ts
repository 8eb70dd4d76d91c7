// From a request and the snapshots of a tenant's homes to the bytes of an answer: all that a query thread does, as
// plain functions, so that tests need no thread.
//
// A1. Every loop over series looks whether time is up or nobody waits any more; what is over a bound stops with a
//     sentence, before the work is done where that can be known.
// A2. A series that lies in several homes is one series: summaries are merged. `last` is of the newest home that has
//     the bucket, because summaries of different homes don't carry the time of their last point.
// A3. Memory is bounded by a batch of cells and the answer's own bytes, not by the number of series.
import { unreachable } from "../base/assert.ts";
import type { Snapshot } from "../store/store.ts";
import { answerExpand, answerFind, answerIndex } from "./find.ts";
import type { HomeState, QueryAnswer, QueryJob, RefusalReason } from "./messages.ts";
import { answerRender } from "./render.ts";

export interface Home {
  shard: number;
  snapshot: Snapshot;
}

/** What every answering function gets. */
export interface Query {
  job: QueryJob;
  homes: readonly Home[];
  /** A1: thrown out of no function; whoever loops asks and returns it. */
  stop(): Refused | undefined;
}

export interface Refused {
  kind: "refused";
  reason: RefusalReason;
  why: string;
}

export type Body = { kind: "body"; body: Uint8Array<ArrayBuffer> } | Refused;

/**
 * `homes` are open snapshots, oldest home first; whoever opened them closes them. `missing` are the shards that could
 * not be opened. `elapsedMs` counts from the start of the query.
 */
export async function answerQuery(
  job: QueryJob,
  homes: readonly Home[],
  missing: readonly number[],
  elapsedMs: () => number,
): Promise<QueryAnswer> {
  if (homes.length === 0)
    return { kind: "unavailable", why: "the store of this tenant can't be read at the moment" };
  const query: Query = { job, homes, stop: () => stopOf(job, elapsedMs()) };
  const states = await Promise.all(homes.map(stateOf));
  const answer = await bodyOf(query);
  if (answer.kind === "refused") return answer;
  return { kind: "ok", body: answer.body, homes: states, missing: [...missing] };
}

function bodyOf(query: Query): Promise<Body> {
  const { request } = query.job;
  switch (request.kind) {
    case "render":
      return answerRender(query, request);
    case "find":
      return answerFind(query, request);
    case "expand":
      return answerExpand(query, request);
    case "index":
      return answerIndex(query);
    default:
      return unreachable(request);
  }
}

function stopOf(job: QueryJob, elapsedMs: number): Refused | undefined {
  if (Atomics.load(job.cancelled, 0) !== 0)
    return { kind: "refused", reason: "cancelled", why: "nobody waits for this answer" };
  return elapsedMs <= job.limits.timeMs ? undefined : refusedByTime(job.limits.timeMs);
}

export function refusedByTime(timeMs: number): Refused {
  const why = `the query took longer than ${timeMs / 1000} s: ask for fewer series or a shorter time`;
  return { kind: "refused", reason: "time", why };
}

async function stateOf(home: Home): Promise<HomeState> {
  const { offset, incarnation, frameTimeMs, receivedAtMs, gaps, holes } = await home.snapshot.progress();
  return { shard: home.shard, offset, incarnation, frameTimeMs, receivedAtMs, gaps, holes };
}
