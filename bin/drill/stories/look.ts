// What on-call looks at again and again, without a word of it in the timeline.
import type { Stage } from "../stage.ts";

interface Letter {
  id: string;
  reason: string;
}

/** Open dead letters of a tenant. */
export async function openLetters(stage: Stage, tenant: string): Promise<Letter[]> {
  const page = await stage.system.admin.get<{ letters: Letter[] }>("/v1/dead", { tenant });
  return page.letters;
}

/** It runs, and reads. */
export async function shardWell(stage: Stage, shard: number): Promise<boolean> {
  return (await shardState(stage, shard)) === "running";
}

export async function shardState(stage: Stage, shard: number): Promise<string> {
  const health = await stage.system.nodeHealth();
  return health.shards.find((each) => each.shard === shard)?.state ?? "";
}
