// Runs queries on snapshots without threads: what an answer says, and what the http server makes of it.
import type { Home } from "../../src/api/answer.ts";
import { answerQuery } from "../../src/api/answer.ts";
import type {
  QueryAnswer,
  QueryJob,
  QueryLimits,
  QueryRequest,
  QueryRunner,
} from "../../src/api/messages.ts";
import { type Ladder, parseLadder } from "../../src/metric/bucket.ts";
import type { TenantRules } from "../../src/tenant/rules.ts";
import type { Snapshot } from "../../src/store/store.ts";

export const limits: QueryLimits = {
  targets: 100,
  targetChars: 1000,
  series: 1000,
  nodes: 1000,
  cells: 1_000_000,
  points: 100_000,
  names: 1000,
  timeMs: 10_000,
};

export function ladderOf(text: string): Ladder {
  const parsed = parseLadder(text);
  if (parsed.kind === "invalid") throw new Error(parsed.why);
  return parsed.ladder;
}

export interface JobOptions {
  tenant?: string;
  ladder?: string;
  rules?: TenantRules | undefined;
  nowSeconds?: number;
  limits?: Partial<QueryLimits>;
  cancelled?: boolean;
}

export function jobOf(request: QueryRequest, options: JobOptions = {}): QueryJob {
  const cancelled = new Int32Array(new SharedArrayBuffer(4));
  cancelled[0] = options.cancelled === true ? 1 : 0;
  return {
    tenant: options.tenant ?? "t1",
    homes: [0],
    ladder: ladderOf(options.ladder ?? "60s:14d"),
    rules: options.rules,
    nowSeconds: options.nowSeconds ?? 1_795_341_600,
    limits: { ...limits, ...options.limits },
    request,
    cancelled,
  };
}

export function homesOf(...snapshots: Snapshot[]): Home[] {
  return snapshots.map((snapshot, shard) => ({ shard, snapshot }));
}

/** The parsed body of an answer, or `status why`. */
export async function ask(
  snapshots: Snapshot[],
  request: QueryRequest,
  options: JobOptions = {},
): Promise<unknown> {
  const answer = await answerQuery(jobOf(request, options), homesOf(...snapshots), [], () => 0);
  return answer.kind === "ok" ? JSON.parse(new TextDecoder().decode(answer.body)) : answer;
}

/** A runner on this thread; a shard without a snapshot counts as missing. */
export function localRunner(snapshots: ReadonlyMap<number, Snapshot>): QueryRunner & { jobs: QueryJob[] } {
  const jobs: QueryJob[] = [];
  return {
    jobs,
    run(job): Promise<QueryAnswer> {
      jobs.push(job);
      const homes: Home[] = [];
      const missing: number[] = [];
      for (const shard of job.homes) {
        const snapshot = snapshots.get(shard);
        if (snapshot === undefined) missing.push(shard);
        else homes.push({ shard, snapshot });
      }
      return answerQuery(job, homes, missing, () => 0);
    },
    close: () => Promise.resolve(),
  };
}
