// Real senders, each shown to arrive through /render.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually, System, type Keys } from "../harness/system.ts";
import { carbonCRelay } from "./carbon-c-relay.ts";
import { carbonRelay } from "./carbon-relay.ts";
import { run, type Client } from "./client.ts";
import { collectd } from "./collectd.ts";
import { curl } from "./curl.ts";
import { debianClients } from "./debian.ts";
import { hotShots } from "./hot-shots.ts";
import { nc } from "./nc.ts";
import { npmClients } from "./npm.ts";
import { python } from "./python.ts";
import { statsd } from "./statsd.ts";

const clients: readonly Client[] = [curl, nc, python, collectd, carbonRelay, carbonCRelay, hotShots, statsd];

let system: System;
let keys: Keys;
let debian: string | undefined;
let npm: string | undefined;

before(async () => {
  [debian, npm] = await Promise.all([debianClients(), npmClients()]);
  system = await System.start();
  keys = await system.addTenant("senders");
});

after(() => system.close());

/** The newest value of a target. */
async function newest(target: string): Promise<number | undefined> {
  const [series] = await system.render(keys.readKey, target, "-5min");
  return series?.datapoints.findLast(([value]) => value !== null)?.[0] ?? undefined;
}

for (const client of clients) {
  test(`${client.name} arrives`, async () => {
    const missing = await whyNot(client);
    if (missing !== undefined) {
      console.error(`\n*** NOT TRIED: ${client.name}, ${missing} ***\n`);
      return;
    }
    const folder = join(system.home, `client-${client.name}`);
    mkdirSync(folder);
    const arrived = () =>
      eventually(`${client.name} arrives`, async () => {
        for (const [target, value] of Object.entries(client.expected)) {
          const got = await newest(target);
          if (got === undefined || (value !== undefined && got !== value))
            throw new Error(`${target} is ${got}, not ${value}`);
        }
        return true;
      });
    await client.send({ system, keys, folder, debian: debian ?? "", npm: npm ?? "" }, arrived);
    assert.ok(Object.keys(client.expected).length > 0);
  });
}

async function whyNot(client: Client): Promise<string | undefined> {
  if (client.from === "debian") return debian === undefined ? "which Debian's archive has" : undefined;
  if (client.from === "npm") return npm === undefined ? "which npm has" : undefined;
  return await run(client.name, ["--version"]).then(
    () => undefined,
    () => "which is not on this machine",
  );
}
