// What operators ask of a shard over the bus, and what its node answers: JSON, one object each way.
import type { RefusedLine } from "../src/gateway/refused-lines.ts";
import type { QueuedRow } from "../src/store/books.ts";
import type { FramePart, Interval, LedgerRow, TenantSize } from "../src/store/store.ts";
import type { ShardStatus } from "./child-parts.ts";
import type { JobAnswer, JobQuestion } from "./job-messages.ts";
import type { LetterAnswer, LetterQuestion } from "./letter-messages.ts";
import type { FillStatus } from "./fills.ts";

/** Of a shard as a whole. `dryRun`: only says what it would do. */
export type ShardQuestion = { shard: number } & (
  | { kind: "shard-state" | "shard-restart" }
  | { kind: "shard-skip" | "shard-adopt"; dryRun: boolean }
);

export type ControlQuestion = ShardQuestion | TenantQuestion | LetterQuestion | JobQuestion;

export type TenantQuestion = { shard: number; tenant: string } & (
  | { kind: "series-list"; pattern: string; most: number }
  /** Deletes up to `most`; `dryRun`: says how many there are. */
  | { kind: "series-delete"; pattern: string; most: number; dryRun: boolean }
  | { kind: "tenant-size" }
  /** The last lines that the shard's actor refused. */
  | { kind: "refused-lines" }
  /** Minutes from `from` to `until`, epoch seconds, both included. `queued`: also count what is not committed yet. */
  | { kind: "ledger"; from: number; until: number; queued: boolean }
);

export type ControlAnswer =
  /** Sorted. `more`: there are more than were asked for, or than fit an answer. */
  | { kind: "series"; names: string[]; more: boolean }
  /** Of a dry run. `more`: more than `count`. */
  | { kind: "would-delete"; count: number; more: boolean }
  /** `more`: there may be more, ask again. */
  | { kind: "deleted"; count: number; more: boolean }
  | { kind: "size"; size: TenantSize; space: ShardSpace }
  /**
   * Rows and place of one snapshot; `queued` of the frames that are not in it, as far as they could be read: `queuedMore`
   * says that there are more. `rowsMore`: the rows end before minute `until`; ask again from the last one's on.
   */
  | {
      kind: "ledger";
      offset: number;
      gaps: Interval[];
      parts: FramePart[];
      rows: LedgerRow[];
      rowsMore: boolean;
      queued: QueuedRow[];
      queuedMore: boolean;
    }
  | { kind: "refused-lines"; lines: RefusedLine[] }
  | LetterAnswer
  | JobAnswer
  | { kind: "shard-state"; status: ShardView }
  /** Its actor was ended, and starts again. */
  | { kind: "restarted" }
  /** `gap`: what waits for backfill now, both ends included; none where the shard was at the newest frame already. */
  | { kind: "skipped"; gap: Interval | undefined; tookMs: number }
  /** Reading goes on behind `offset`. `hole`: what the old record had and nobody read; one sequence stands for all. */
  | { kind: "adopted"; offset: number; hole: Interval | undefined; tookMs: number }
  /** What a skip would set aside, and whom it would concern. `bytes` is a guess from the record's mean. */
  | {
      kind: "would-skip";
      gap: Interval | undefined;
      frames: number;
      bytes: number;
      behindMs: number;
      tenants: number;
    }
  /** What is wrong with the record; "": nothing, there is nothing to adopt. */
  | { kind: "would-adopt"; wrong: string; offset: number; tenants: number }
  /** Another node may run the shard. */
  | { kind: "not-here"; node: string }
  /** It could not be done, or said; whether it happened is open. */
  | { kind: "none"; why: string }
  /** Not a question of this list. */
  | { kind: "invalid"; why: string };

/** A shard as an operator sees it. What the store or the record could not say just now is null. */
export interface ShardView extends ShardStatus {
  epoch: number | null;
  /** The last frame whose points are in the store. */
  offset: number | null;
  /** The record's last frame. */
  last: number | null;
  /** Frames between the two. */
  queued: number | null;
  /** From the newest frame recorded back to the one at the offset, by the record's clock. */
  behindMs: number | null;
  gaps: Interval[];
  gapFrames: number;
  /** What the record lost before anybody read it: the newest, oldest first. */
  holes: Interval[];
  /** Where there are gaps and its actor runs. */
  backfill: FillStatus | null;
  isolated: boolean;
  /** Ids of tenants whose lines go whole to dead letters. */
  quarantined: string[];
}

/** Of the shard's store, all tenants together. */
export interface ShardSpace {
  usedBytes: number;
  fileBytes: number;
  budgetBytes: number;
}

const ofActors = new Set<unknown>([
  "series-delete",
  "shard-skip",
  "shard-adopt",
  "dead-drop",
  "dead-release",
  "replay-begin",
  "replay-control",
]);

/** Whether an actor has to do something for the answer; a dry run asks the store and the record alone. */
export function asksActor({ kind, dryRun }: { kind?: unknown; dryRun?: unknown }): boolean {
  return ofActors.has(kind) && dryRun !== true;
}

export const seriesMost = 10_000;
/** Names of one answer, as JSON: well below what a message may have. */
export const namesBytesMost = 4 << 20;
/** Rows of one answer: a message of some MB. */
export const ledgerRowsMost = 20_000;
export const patternCharsMost = 4096;

export function decodeQuestion(payload: Uint8Array): ShardQuestion | TenantQuestion | undefined {
  const asked = parsed(payload);
  if (asked === undefined) return undefined;
  const { kind, shard, tenant, pattern, most, dryRun, from, until, queued } = asked;
  if (!isCount(shard)) return undefined;
  if (kind === "shard-state" || kind === "shard-restart") return { kind, shard };
  if (kind === "shard-skip" || kind === "shard-adopt")
    return typeof dryRun === "boolean" ? { kind, shard, dryRun } : undefined;
  if (typeof tenant !== "string") return undefined;
  if (kind === "tenant-size" || kind === "refused-lines") return { kind, shard, tenant };
  if (kind === "ledger")
    return isCount(from) && isCount(until)
      ? { kind, shard, tenant, from, until, queued: queued === true }
      : undefined;
  if (typeof pattern !== "string" || pattern.length > patternCharsMost) return undefined;
  if (!isCount(most) || most < 1 || most > seriesMost) return undefined;
  if (kind === "series-list") return { kind, shard, tenant, pattern, most };
  if (kind !== "series-delete" || typeof dryRun !== "boolean") return undefined;
  return { kind, shard, tenant, pattern, most, dryRun };
}

/** Of a node of this or of another version: one that is not understood is undefined. */
export function decodeAnswer(payload: Uint8Array): ControlAnswer | undefined {
  const answer = parsed(payload);
  return typeof answer?.["kind"] === "string" ? (answer as ControlAnswer) : undefined;
}

export function parsed(payload: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString());
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
