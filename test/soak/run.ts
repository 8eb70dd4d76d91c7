// The long form: npm run soak -- --minutes 30 --seed N
import { parseArgs } from "node:util";
import { soak } from "./soak.ts";

const { values } = parseArgs({ options: { minutes: { type: "string" }, seed: { type: "string" } } });
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const seconds = 60 * Number(values.minutes ?? 30);
process.stdout.write(`seed ${seed}, ${seconds} s\n`);
const report = await soak({ seed, seconds, say: (line) => void process.stdout.write(`${line}\n`) });
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
process.exit(report.wrong.length === 0 ? 0 : 1);
