// What crosses from the api's event loop to a query thread and back. A request is already judged and resolved here:
// times are epoch seconds, numbers are numbers.
import type { Ladder } from "../metric/bucket.ts";
import type { ShardState } from "../store/store.ts";
import type { TenantRules } from "../tenant/rules.ts";

export interface RenderRequest {
  kind: "render";
  targets: string[];
  /** Epoch seconds, from < until. */
  from: number;
  until: number;
  maxDataPoints: number | undefined;
  noNullPoints: boolean;
  /** 0 to 1. */
  xFilesFactor: number;
}

export const findFormats = ["treejson", "json", "completer"] as const;
export type FindFormat = (typeof findFormats)[number];

export interface FindRequest {
  kind: "find";
  query: string;
  format: FindFormat;
  leavesOnly: boolean;
  /** Adds an entry for `*` where there are several. */
  wildcards: boolean;
}

export interface ExpandRequest {
  kind: "expand";
  queries: string[];
  leavesOnly: boolean;
  groupByExpr: boolean;
}

/** All names of the tenant. */
export interface IndexRequest {
  kind: "index";
}

export type QueryRequest = RenderRequest | FindRequest | ExpandRequest | IndexRequest;

/** Bounds of one query. What is over one is refused with a sentence that names it. */
export interface QueryLimits {
  /** Targets, or queries of an expand, per request. */
  targets: number;
  /** Characters of one target or query. */
  targetChars: number;
  /** Series of one answer, repeats counted. */
  series: number;
  /** Nodes of one find or expand. */
  nodes: number;
  /** Buckets read from the store for one answer, all series together. */
  cells: number;
  /** Points of one answer, nulls counted. */
  points: number;
  /** Names of /metrics/index.json. */
  names: number;
  /** Time of one query on its thread, ms. */
  timeMs: number;
}

export interface QueryJob {
  tenant: string;
  /** Shards that hold the tenant's history, oldest home first. */
  homes: number[];
  /** The default one. */
  ladder: Ladder;
  /** The tenant's own; undefined where it has none. */
  rules: TenantRules | undefined;
  /** The api's clock, epoch seconds: chooses the rung. */
  nowSeconds: number;
  limits: QueryLimits;
  request: QueryRequest;
  /** One cell that both sides see; the api sets it to 1 when nobody waits for the answer any more. */
  cancelled: Int32Array<SharedArrayBuffer>;
}

/** What a snapshot said of its shard: the api makes the watermark of it. */
export type HomeState = { shard: number } & Pick<
  ShardState,
  "offset" | "incarnation" | "frameTimeMs" | "receivedAtMs" | "gaps" | "holes"
>;

export type RefusalReason =
  | "target"
  | "series"
  | "nodes"
  | "cells"
  | "points"
  | "names"
  | "time"
  | "memory"
  | "cancelled";

export type QueryAnswer =
  /** `missing` are homes whose store could not be opened: the answer is without them. */
  | { kind: "ok"; body: Uint8Array<ArrayBuffer>; homes: HomeState[]; missing: number[] }
  | { kind: "refused"; reason: RefusalReason; why: string }
  /** No home of the tenant could be read. */
  | { kind: "unavailable"; why: string };

/** Where queries run. Rejects for outages of the pool itself and for our bugs. */
export interface QueryRunner {
  run(job: QueryJob, signal: AbortSignal): Promise<QueryAnswer>;
  close(): Promise<void>;
}
