// What is done to a system during a soak: one small deed each. None waits for its end where on-call would not.
import { poisonerName, shards, type SoakWorld } from "./world.ts";

export interface Deed {
  name: string;
  /** How often, compared with others. */
  weight: number;
  do(world: SoakWorld): Promise<void>;
}

const anyShard = (world: SoakWorld) => String(world.random.below(shards));
const anyName = (world: SoakWorld) =>
  world.players[world.random.below(world.players.length)]?.keys.name ?? poisonerName;

const killed = ["node", "gateway", "nats-server", "coordinator", "api"].map(
  (what): Deed => ({
    name: `kill ${what}`,
    weight: what === "node" ? 2 : 1,
    do: (world) => world.kill(what),
  }),
);

export const deeds: readonly Deed[] = [
  ...killed,
  { name: "kill actor", weight: 3, do: (world) => world.killActor(world.random.below(shards)) },
  { name: "poison: throw", weight: 2, do: (world) => world.poison("throw") },
  { name: "poison: exit", weight: 1, do: (world) => world.poison("exit") },
  { name: "poison: stall", weight: 1, do: (world) => world.poison("loop") },
  {
    name: "pause and resume",
    weight: 2,
    async do(world) {
      const shard = anyShard(world);
      await world.command("shard", "pause", shard);
      await pause(world.random.below(2000));
      await world.command("shard", "resume", shard);
    },
  },
  {
    name: "skip",
    weight: 3,
    do: async (world) => void (await world.command("shard", "skip", anyShard(world), "--yes")),
  },
  {
    name: "restart a shard",
    weight: 1,
    do: async (world) => void (await world.command("shard", "restart", anyShard(world))),
  },
  {
    name: "backfill: pause and resume",
    weight: 2,
    async do(world) {
      const shard = anyShard(world);
      await world.command("backfill", "pause", shard);
      await pause(world.random.below(1500));
      await world.command("backfill", "resume", shard);
    },
  },
  {
    name: "backfill: speed",
    weight: 1,
    async do(world) {
      const speed = world.random.below(2) === 0 ? "full" : String(5000 + world.random.below(50_000));
      await world.command("backfill", "speed", anyShard(world), speed);
    },
  },
  {
    name: "replay",
    weight: 2,
    async do(world) {
      const asked = ["--tenant", anyName(world), "--from", "-2h", "--to", "now", "--yes"];
      // Refused while another one is under way, or a part is just away: what became of it is in the report.
      const begun = await world.system.millrace("replay", ...asked, "--json").then(
        () => true,
        () => false,
      );
      const what = begun ? "replay begun" : "replay refused";
      world.done.set(what, (world.done.get(what) ?? 0) + 1);
    },
  },
  {
    name: "delete and undelete",
    weight: 2,
    async do(world) {
      const { name, id } = world.player("coming").keys;
      await world.command("tenant", "delete", name, "--yes");
      await pause(world.random.below(2000));
      await world.command("tenant", "undelete", id);
    },
  },
  {
    name: "suspend and activate",
    weight: 1,
    async do(world) {
      await world.command("tenant", "suspend", "coming");
      await pause(world.random.below(1000));
      await world.command("tenant", "activate", "coming");
    },
  },
];

export function drawDeed(world: SoakWorld): Deed {
  const all = deeds.reduce((sum, { weight }) => sum + weight, 0);
  let left = world.random.below(all);
  for (const deed of deeds) {
    if (left < deed.weight) return deed;
    left -= deed.weight;
  }
  return deeds[0] as Deed;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
