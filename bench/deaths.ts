// What an actor's death costs: how long until its shard commits again, and what its siblings notice meanwhile.
//
//   npm run bench -- deaths [--series 100000] [--rate 40000] [--deaths 50] [--shards 4] [--json]
//
// The real system under a steady load. One shard's actor is ended as a crash would end it, once in each three seconds at a
// moment of chance; probes of a sibling's tenant and of the shard's own run all the time, before, meanwhile and after.
import { parseArgs } from "node:util";
import { connect, type NatsConnection } from "nats";
import { seededRandom } from "../src/base/random.ts";
import { faultSubject } from "../src/bus/subjects.ts";
import { System, type Keys } from "../test/harness/system.ts";
import { middle, round } from "./figures.ts";
import type { Sender } from "./sending.ts";
import { counted, startLoad, tenantOnEach } from "./shard-load.ts";
import { machine } from "./store-place.ts";
import { latenciesOf, probeFor, type Latencies } from "./visible.ts";

const victim = 0;
const sibling = 1;
const everyMs = 3000;
const calmSeconds = 30;

interface Window {
  own: Latencies;
  sibling: Latencies;
  /** Of all siblings together. */
  siblingsPointsPerSecond: number;
}

export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: {
      series: { type: "string", default: "100000" },
      rate: { type: "string", default: "40000" },
      deaths: { type: "string", default: "50" },
      shards: { type: "string", default: "4" },
      "disk-budget": { type: "string", default: "16GB" },
      json: { type: "boolean", default: false },
    },
  });
  const shards = Number(values.shards);
  const series = Number(values.series);
  const rate = Number(values.rate);
  const deaths = Number(values.deaths);
  const say = (text: string) => void process.stderr.write(`${text}\n`);
  const system = await System.start({ shards, env: { MILLRACE_DISK_BUDGET: values["disk-budget"] } });
  let sender: Sender | undefined;
  const nats = await connect({ servers: `nats://127.0.0.1:${system.natsPort}` });
  try {
    const tenants = await tenantOnEach(system, shards);
    sender = await startLoad(system, tenants, series * shards, 0);
    say(`${series} series on each of ${shards} shards, ${rate} points a second on all`);
    const watch = { system, sender, tenants, rate };
    const before = await window(watch, "before", calmSeconds, async () => {});
    say(`before: ${JSON.stringify(before)}`);
    let recovered: number[] = [];
    const meanwhile = await window(watch, "meanwhile", (deaths * everyMs) / 1000, async () => {
      recovered = await die(system, nats, deaths);
    });
    say(`meanwhile: ${JSON.stringify(meanwhile)}`);
    const after = await window(watch, "after", calmSeconds, async () => {});
    const sorted = recovered.toSorted((a, b) => a - b);
    const result = {
      bench: "deaths",
      seriesPerShard: series,
      pointsPerSecond: rate,
      firstCommit: {
        deaths: sorted.length,
        p50Ms: middle(sorted),
        p99Ms: sorted[Math.floor(sorted.length * 0.99)],
        maxMs: sorted.at(-1),
      },
      before,
      meanwhile,
      after,
      shards,
      machine: machine(),
    };
    say(JSON.stringify(result, null, 2));
    if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  } finally {
    await nats.close();
    await sender?.end();
    await system.close();
  }
}

/** The load and its probes for so long, beside what is done. */
async function window(
  { system, sender, tenants, rate }: { system: System; sender: Sender; tenants: Keys[]; rate: number },
  name: string,
  seconds: number,
  meanwhile: () => Promise<void>,
): Promise<Window> {
  const siblings = async () => {
    const points = await counted(system, "shard_points_total");
    return [...points].reduce((sum, [shard, value]) => sum + (shard === victim ? 0 : value), 0);
  };
  const pointsBefore = await siblings();
  const { done } = await sender.send(rate * seconds, rate);
  const started = performance.now();
  const probes = (shard: number) => probeFor(system, tenants[shard] as Keys, `probe.${name}`, seconds * 1000);
  const [own, others] = await Promise.all([probes(victim), probes(sibling), meanwhile()]);
  await done;
  const tookMs = performance.now() - started;
  return {
    own: latenciesOf(own),
    sibling: latenciesOf(others),
    siblingsPointsPerSecond: round(((await siblings()) - pointsBefore) / (tookMs / 1000), 0),
  };
}

/** Ends the actor again and again. How long it took until it committed again, seen from here, ms. */
async function die(system: System, nats: NatsConnection, deaths: number): Promise<number[]> {
  const random = seededRandom(1);
  const started = performance.now();
  const took: number[] = [];
  for (let n = 0; n < deaths; n++) {
    const due = started + n * everyMs + random.next() * (everyMs / 2) - performance.now();
    if (due > 0) await new Promise((resolve) => setTimeout(resolve, due));
    const again = system.nextLog(
      (line) => line.msg === "shard commits again" && line["shard"] === victim,
      "a commit after a death",
    );
    const killed = performance.now();
    await nats.request(faultSubject, String(victim), { timeout: 5000 });
    await again;
    took.push(Math.round(performance.now() - killed));
  }
  return took;
}
