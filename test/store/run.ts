// The long form of the store's random lives: npm run lives -- --seeds 1000 --seed 1 --actions 200
// Each seed has bounds of upkeep of its own, from ones that cut everything to the usual ones; with --bounds small the
// ones of npm test, to have a red life of it again.
import { parseArgs } from "node:util";
import { seededRandom } from "../../src/base/random.ts";
import { createMemoryEngine } from "../../src/store/memory.ts";
import { live } from "../contract/store-random-cases.ts";
import type { Lived } from "../contract/store-random.ts";
import { lmdbWorld } from "./lmdb-helpers.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    actions: { type: "string" },
    engine: { type: "string" },
    bounds: { type: "string" },
  },
});
const first = Number(values.seed ?? Date.now() % 1_000_000);
const count = Number(values.seeds ?? 100);
const actions = Number(values.actions ?? 200);
const started = performance.now();
let red = 0;
const sums: Lived = {};
for (let seed = first; seed < first + count; seed++) {
  const world = await worldOf(seed);
  try {
    const lived = await live(world, seed, actions);
    for (const [what, n] of Object.entries(lived)) sums[what] = (sums[what] ?? 0) + n;
  } catch (error) {
    red++;
    console.error(error);
  } finally {
    await world.end();
  }
}
const seconds = ((performance.now() - started) / 1000).toFixed(1);
const seen = Object.entries(sums).map(([what, n]) => `${what} ${n}`);
process.stdout.write(`${count} seeds from ${first} in ${seconds} s: ${red} red. Seen: ${seen.join(", ")}\n`);
process.exitCode = red === 0 ? 0 : 1;

async function worldOf(seed: number) {
  if (values.engine === "memory") {
    const engine = createMemoryEngine();
    return { engine, reopen: async () => engine, end: async () => {} };
  }
  if (values.bounds === "small") return await lmdbWorld();
  const random = seededRandom(seed);
  const pick = (...list: number[]) => list[random.below(list.length)] as number;
  return await lmdbWorld({
    sliceBytes: pick(300, 3000, 1 << 20),
    sliceRows: pick(1, 10, 50, 200_000),
    slicePuts: pick(1, 5, 20, 3000),
    roundBytes: pick(1, 2000, 20_000, 1 << 20),
    roundSeconds: pick(60, 600, 3600),
    mergePieces: pick(2, 3, 8),
  });
}
