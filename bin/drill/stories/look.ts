// What on-call looks at again and again, without a word of it in the timeline.
import type { Stage } from "../stage.ts";

/** Open dead letters of a tenant. */
export async function openLetters(stage: Stage, tenant: string): Promise<{ id: string; reason: string }[]> {
  const told = JSON.parse(await stage.system.millrace("dead", "list", "--tenant", tenant, "--json")) as
    | { id: string; reason: string }[]
    | { letters: { id: string; reason: string }[] };
  return Array.isArray(told) ? told : told.letters;
}

/** It runs, and reads. */
export async function shardWell(stage: Stage, shard: number): Promise<boolean> {
  return (await shardState(stage, shard)) === "running";
}

export async function shardState(stage: Stage, shard: number): Promise<string> {
  const health = await stage.system.nodeHealth();
  return health.shards.find((each) => each.shard === shard)?.state ?? "";
}
