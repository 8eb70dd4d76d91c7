// The long form of the simulation: node dist/test/sim/run.js --seeds 10000 --seed 1
import { parseArgs } from "node:util";
import { report, simulate } from "./simulate.ts";

const { values } = parseArgs({ options: { seeds: { type: "string" }, seed: { type: "string" } } });
const first = Number(values.seed ?? Date.now() % 1_000_000);
const count = Number(values.seeds ?? 1000);
const started = performance.now();
let red = 0;
let innocent = 0;
const sums = new Map<string, number>();
for (let seed = first; seed < first + count; seed++) {
  const outcome = await simulate(seed);
  for (const [what, n] of Object.entries(outcome.seen)) sums.set(what, (sums.get(what) ?? 0) + n);
  innocent += outcome.innocent;
  if (outcome.wrong.length === 0) continue;
  red++;
  process.stdout.write(`${report(outcome)}\n`);
}
const seconds = ((performance.now() - started) / 1000).toFixed(1);
const seen = [...sums].map(([what, n]) => `${what} ${n}`).join(", ");
process.stdout.write(
  `${count} seeds from ${first} in ${seconds} s: ${red} red. Seen: ${seen}, innocent ${innocent}\n`,
);
process.exitCode = red === 0 ? 0 : 1;
