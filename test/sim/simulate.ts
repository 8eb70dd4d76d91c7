// One run of the simulation: a time of trouble, a time of rest, and what must hold then.
import { settle } from "../harness/clock.ts";
import { checkCommits, checkDoors, checkSpools, checkStore } from "./checkers.ts";
import { Workload } from "./workload.ts";
import { SimWorld } from "./world.ts";

const stepsMost = 60;
const restMsMost = 300_000;

export interface Outcome {
  seed: number;
  /** Sentences; none: all is well. */
  wrong: string[];
  /** To see that something happened. */
  seen: {
    frames: number;
    points: number;
    repeated: number;
    lives: number;
    commits: number;
    lost: number;
    spooled: number;
    poisoned: number;
  };
  /** Lines that were buried although they kill nobody: deaths by chance, twice at the same line. */
  innocent: number;
}

export async function simulate(seed: number): Promise<Outcome> {
  const world = new SimWorld(seed);
  const workload = new Workload(world);
  await world.start();
  await world.addGateway();
  world.addLife();
  for (let step = 10 + world.random.below(stepsMost); step > 0; step--) {
    await trouble(world, workload);
    await world.clock.pass(world.random.below(400));
  }
  const wrong = await rest(world, workload);
  const { snapshot, close } = await readStore(world);
  wrong.push(...world.complaints, ...checkCommits(world), ...(await checkStore(world, snapshot)));
  wrong.push(...checkDoors(world, workload));
  const state = await snapshot.state();
  await close();
  const applied = state.boots.reduce(
    (sum, { applied: a }) => sum + a.reduce((n, [x, y]) => n + y - x + 1, 0),
    0,
  );
  return {
    seed,
    wrong,
    seen: {
      frames: world.record.length,
      points: workload.acknowledged.length,
      repeated: world.record.length - applied,
      lives: world.lives.length,
      commits: world.accepted.length,
      lost: world.lost.size,
      spooled: world.disk.writes,
      poisoned: world.poisoned,
    },
    innocent: world.innocent,
  };
}

/** One thing that happens, drawn by chance. */
async function trouble(world: SimWorld, workload: Workload): Promise<void> {
  const { random } = world;
  const pick = <T>(all: readonly T[]): T | undefined => all[random.below(all.length)];
  const gateways = world.living(world.gateways);
  const lives = world.living(world.lives);
  const gateway = pick(gateways) ?? (await world.addGateway());
  const life = pick(lives) ?? world.addLife();
  const draw = random.next();
  if (draw < 0.45) workload.raw(gateway);
  else if (draw < 0.55) workload.request(gateway);
  else if (draw < 0.7) workload.keyed();
  else if (draw < 0.74) reconnectLater(world, gateway.bus);
  else if (draw < 0.78) reconnectLater(world, life.bus);
  else if (draw < 0.82) life.mortal.kill();
  else if (draw < 0.86) world.addLife();
  else if (draw < 0.89) {
    life.mortal.hold(random.below(5000));
    world.addLife();
  } else if (draw < 0.91) gateway.mortal.kill();
  else if (draw < 0.93) await world.addGateway();
  else if (draw < 0.95) await world.loseFrame();
  else if (draw < 0.97) life.actor.stop();
  else if (draw < 0.985) world.clock.setWall(world.clock.nowMs() + random.below(600_000) - 300_000);
  else await world.clock.pass(random.below(15_000));
}

function reconnectLater(world: SimWorld, bus: { disconnect(): void; reconnect(): void }): void {
  bus.disconnect();
  world.clock.after(world.random.below(4000), () => bus.reconnect());
}

/** Nothing fails any more: everything that lives comes to its end, within bounds. */
async function rest(world: SimWorld, workload: Workload): Promise<string[]> {
  world.faults.on = false;
  // What the dead left in their spools is forwarded by whoever has their name next.
  for (const name of new Set(world.gateways.map((gateway) => gateway.name)))
    if (!world.living(world.gateways).some((gateway) => gateway.name === name)) await world.addGateway(name);
  world.addLife();
  const settled = async () => {
    const { lastSequence } = await world.broker.streamState(0);
    return (
      workload.open === 0 &&
      world.living(world.gateways).every(({ batcher }) => batcher.pendingFrames === 0 && !batcher.spooling) &&
      (lastSequence === 0 || world.accepted.at(-1)?.to === lastSequence)
    );
  };
  for (let waited = 0; waited < restMsMost; waited += 5000) {
    await world.clock.pass(5000);
    if (await settled()) break;
  }
  const wrong: string[] = [];
  if (!(await settled()))
    wrong.push(
      `not at rest after ${restMsMost} ms: ${workload.open} requests open, frames pending ` +
        `${world
          .living(world.gateways)
          .map(({ batcher }) => batcher.pendingFrames)
          .join(" ")}, ` +
        `committed up to ${world.accepted.at(-1)?.to ?? 0}`,
    );
  wrong.push(...checkSpools(world));
  for (const { mortal } of [...world.gateways, ...world.lives]) mortal.kill();
  await settle();
  return wrong;
}

async function readStore(world: SimWorld) {
  const reader = await world.engine.openReader(0);
  const snapshot = await reader.snapshot();
  return {
    snapshot,
    close: async () => {
      snapshot.close();
      await reader.close();
    },
  };
}

/** How to see a red run again. */
export function report({ seed, wrong }: Outcome): string {
  const shown = wrong.slice(0, 10).map((sentence) => `  ${sentence}`);
  const more = wrong.length > 10 ? [`  and ${wrong.length - 10} more`] : [];
  return [`seed ${seed}; again: node dist/test/sim/run.js --seeds 1 --seed ${seed}`, ...shown, ...more].join(
    "\n",
  );
}
