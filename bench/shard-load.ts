// A load for benches that hurt one shard: a tenant on each shard that sends at a steady rate, and what the node counts.
import type { Keys, System } from "../test/harness/system.ts";
import { committed } from "./ingest.ts";
import { Sender } from "./sending.ts";

const tenantsMost = 200;

/** One tenant on each shard, by the shard's number. */
export async function tenantOnEach(system: System, shards: number): Promise<Keys[]> {
  const found: Keys[] = [];
  for (let i = 0; i < tenantsMost && Object.keys(found).length < shards; i++) {
    const keys = await system.addTenant(`bench${i}`);
    found[await shardOf(system, keys)] ??= keys;
  }
  if (Object.keys(found).length < shards) throw new Error("no tenants for all shards");
  return found;
}

export async function shardOf(system: System, { name }: Keys): Promise<number> {
  const { shards } = JSON.parse(await system.millrace("tenant", "show", name, "--json")) as {
    shards: number[];
  };
  return shards[0] as number;
}

/** Each series of all these tenants is there once, and nothing is on its way. */
export async function startLoad(
  system: System,
  tenants: readonly Keys[],
  series: number,
  pointsBefore: number,
): Promise<Sender> {
  const keys = tenants.map((tenant) => tenant.writeKey);
  const sender = await Sender.start({ port: system.tcpPort, keys, series, connections: 4, seed: 1 });
  const { done } = await sender.send(series, 0);
  await done;
  await committed(system, pointsBefore + series);
  return sender;
}

/** What the node has counted of this, for each shard. */
export async function counted(system: System, name: string): Promise<Map<number, number>> {
  const response = await fetch(`http://127.0.0.1:${system.nodePort}/metrics`);
  const lines = (await response.text()).split("\n").filter((line) => line.startsWith(`${name}{`));
  return new Map(
    lines.map((line) => [
      Number(/shard="(\d+)"/.exec(line)?.[1] ?? -1),
      Number(line.slice(line.lastIndexOf(" "))),
    ]),
  );
}
