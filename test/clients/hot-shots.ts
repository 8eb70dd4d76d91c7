// hot-shots, the StatsD client of many Node programs: counters, a gauge, a timer and a set over UDP, with tags.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, type Client } from "./client.ts";

export const hotShots: Client = {
  name: "hot-shots",
  from: "npm",
  expected: {
    "stats.counters.shots.hits.count": 5,
    "stats.gauges.shots.level": 7,
    "stats.timers.shots.took.mean": 25,
    "stats.timers.shots.took.count": 2,
    "stats.sets.shots.users.count": 2,
    "stats.counters.shots.tagged.count;env=test": 1,
  },
  async send({ system, keys, folder, npm }, arrived) {
    const script = join(folder, "send.cjs");
    writeFileSync(
      script,
      `const { StatsD } = require(${JSON.stringify(join(npm, "node_modules", "hot-shots"))});
const client = new StatsD({ host: "127.0.0.1", port: ${system.statsdPort}, prefix: "${keys.writeKey}.shots." });
client.increment("hits", 2);
client.increment("hits", 3);
client.gauge("level", 4);
client.gaugeDelta("level", 3);
client.timing("took", 20);
client.timing("took", 30);
client.set("users", "a");
client.set("users", "b");
client.set("users", "a");
client.increment("tagged", 1, ["env:test"]);
client.close();
`,
    );
    await run(process.execPath, [script]);
    await arrived();
  },
};
