// What operators ask of a shard's replays, and what its node answers: a family of control-messages.ts.
import type { Replay } from "../src/store/store.ts";

export type JobQuestion = { shard: number } & (
  | { kind: "replay-list" }
  /** [from, until), epoch seconds: the node rounds out to whole spans. `rate`: points a second. */
  | {
      kind: "replay-begin";
      tenant: string;
      from: number;
      until: number;
      rate: number | "full";
      dryRun: boolean;
    }
  | { kind: "replay-control"; id: number; verb: "stop" | "start" | "abandon" }
);

export interface JobProgress {
  state: "running" | "paused" | "waiting" | "failed";
  /** What it waits for, or why it failed. */
  why: string;
  framesLeft: number;
  frames: number;
  /** So far, by this node. */
  points: number;
  pointsPerSecond: number;
  /** null: nobody knows yet. */
  etaMs: number | null;
}

export interface ReplayView extends Omit<Replay, "state"> {
  state: Replay["state"];
  job: JobProgress;
}

export type JobAnswer =
  | { kind: "replays"; replays: ReplayView[] }
  | { kind: "would-replay"; from: number; until: number; frames: number; bytes: number; series: number }
  | { kind: "replay-begun"; replay: Replay }
  /** `earliest`: the record is too short; from then on it could be, epoch seconds. */
  | { kind: "replay-refused"; why: string; earliest?: number }
  | { kind: "replay-controlled" };

export function decodeJobQuestion(asked: Record<string, unknown>): JobQuestion | undefined {
  const { kind, shard, tenant, from, until, rate = "full", dryRun, id, verb } = asked;
  if (!isCount(shard)) return undefined;
  if (kind === "replay-list") return { kind, shard };
  if (kind === "replay-begin") {
    if (typeof tenant !== "string" || !isCount(from) || !isCount(until)) return undefined;
    if (typeof dryRun !== "boolean" || !(rate === "full" || (isCount(rate) && rate > 0))) return undefined;
    return { kind, shard, tenant, from, until, rate, dryRun };
  }
  if (kind !== "replay-control" || !isCount(id)) return undefined;
  return verb === "stop" || verb === "start" || verb === "abandon" ? { kind, shard, id, verb } : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
