// What operators ask of a shard over the bus, and what its node answers: JSON, one object each way.
import type { RefusedLine } from "../src/gateway/refused-lines.ts";
import type { QueuedRow } from "../src/store/books.ts";
import type { LedgerRow, TenantSize } from "../src/store/store.ts";
import type { LetterAnswer, LetterQuestion } from "./letter-messages.ts";

/** Any question of an operator; `letters` of cluster/letter-messages.ts. */
export type AnyQuestion = ControlQuestion | LetterQuestion;

export type ControlQuestion = { shard: number; tenant: string } & (
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
   * Rows and offset of one snapshot; `queued` of the frames behind it, as far as they could be read: `queuedMore` says
   * that there are more. `rowsMore`: the rows end before minute `until`; ask again from the last one's on.
   */
  | {
      kind: "ledger";
      offset: number;
      rows: LedgerRow[];
      rowsMore: boolean;
      queued: QueuedRow[];
      queuedMore: boolean;
    }
  | { kind: "refused-lines"; lines: RefusedLine[] }
  | LetterAnswer
  /** Another node may run the shard. */
  | { kind: "not-here"; node: string }
  /** It could not be done, or said; whether it happened is open. */
  | { kind: "none"; why: string }
  /** Not a question of this list. */
  | { kind: "invalid"; why: string };

/** Of the shard's store, all tenants together. */
export interface ShardSpace {
  usedBytes: number;
  fileBytes: number;
  budgetBytes: number;
}

export const seriesMost = 10_000;
/** Names of one answer, as JSON: well below what a message may have. */
export const namesBytesMost = 4 << 20;
/** Rows of one answer: a message of some MB. */
export const ledgerRowsMost = 20_000;
export const patternCharsMost = 4096;

export function decodeQuestion(payload: Uint8Array): ControlQuestion | undefined {
  const asked = parsed(payload);
  if (asked === undefined) return undefined;
  const { kind, shard, tenant, pattern, most, dryRun, from, until, queued } = asked;
  if (!isCount(shard) || typeof tenant !== "string") return undefined;
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
