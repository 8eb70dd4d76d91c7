// Kills, stalls, poison, skips, backfills, replays, pauses, deletes and undeletes, mixed by a seed, over minutes of load;
// at the end every acknowledged point is there once, and the books balance.
import { eventually } from "../../bin/drill/private-system.ts";
import { seededRandom } from "../../src/base/random.ts";
import { deeds, drawDeed, pause } from "./deeds.ts";
import { poisonerName, shards, SoakWorld } from "./world.ts";

export interface SoakOptions {
  seed: number;
  seconds: number;
  say(this: void, line: string): void;
}

export interface SoakReport {
  seed: number;
  seconds: number;
  /** Acknowledged. */
  points: number;
  deadly: number;
  done: Record<string, number>;
  /** Sentences; none: all is well. */
  wrong: string[];
}

const betweenMsMost = 1500;
const settledWithinMs = 180_000;

export async function soak({ seed, seconds, say }: SoakOptions): Promise<SoakReport> {
  const world = await SoakWorld.open(seededRandom(seed), say);
  const started = performance.now();
  try {
    await world.send();
    // Each deed once, in an order drawn by chance, and then as the weights say.
    const first = shuffled(world, deeds);
    while (performance.now() - started < seconds * 1000) {
      const deed = first.pop() ?? drawDeed(world);
      say(`${((performance.now() - started) / 1000).toFixed(1)} s  ${deed.name}`);
      await deed.do(world).catch((error: unknown) => world.complaints.push(`${deed.name}: ${String(error)}`));
      world.done.set(deed.name, (world.done.get(deed.name) ?? 0) + 1);
      await pause(world.random.below(betweenMsMost));
    }
    say("the storm is over: waiting until everything is where it belongs");
    await settle(world);
    return {
      ...(await judge(world)),
      seed,
      seconds,
      deadly: world.deadly,
      done: Object.fromEntries(world.done),
    };
  } finally {
    await world.close();
  }
}

function shuffled<T>(world: SoakWorld, list: readonly T[]): T[] {
  const order = [...list];
  for (let i = order.length - 1; i > 0; i--) {
    const j = world.random.below(i + 1);
    [order[i], order[j]] = [order[j] as T, order[i] as T];
  }
  return order;
}

interface ShardRow {
  shard: number;
  state: string;
}

/** What a person would do in the end: everything goes on, and what was set aside drains. */
async function settle(world: SoakWorld): Promise<void> {
  for (let shard = 0; shard < shards; shard++) {
    await world.command("backfill", "speed", String(shard), "full");
    await world.command("backfill", "resume", String(shard));
  }
  await eventually(
    "every shard runs, no gap and no replay is left",
    async () => {
      const { shards: rows } = (await world.system.nodeHealth()) as { shards: ShardRow[] };
      for (const { shard, state } of rows)
        if (state === "failed") {
          world.complaints.push(`shard ${shard} was failed`);
          await world.command("shard", "restart", String(shard));
        }
      const backfills = (await world.command("backfill", "list")) as unknown[];
      const replays = (await world.command("replay", "list")) as { state?: string }[];
      const busy = replays.filter(({ state }) => state === "building" || state === "staged");
      return rows.every(({ state }) => state === "running") && backfills.length === 0 && busy.length === 0;
    },
    settledWithinMs,
  ).catch((error: unknown) => world.complaints.push(String(error)));
}

async function judge(world: SoakWorld): Promise<{ points: number; wrong: string[] }> {
  const wrong = [...world.complaints];
  let points = 0;
  for (const player of world.players) {
    const { name } = player.keys;
    for (const sender of player.senders) points += await sender.stop();
    if (name !== poisonerName) wrong.push(...(await world.judge(player)));
    const ledger = (await world
      .command("ledger", name, "--from", "-3h", "--by", "total")
      .catch((error: unknown) => String(error))) as { balances?: boolean };
    if (ledger.balances !== true) wrong.push(`the books of ${name} don't balance: ${JSON.stringify(ledger)}`);
  }
  const letters = (await world.command("dead", "list", "--tenant", poisonerName)) as unknown[];
  if (world.deadly > 0 && letters.length === 0)
    wrong.push(`${world.deadly} deadly lines were acknowledged, and there is no dead letter`);
  return { points, wrong };
}
