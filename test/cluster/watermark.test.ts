// P8 as a story: what the header Millrace-Watermark says is true, whether the system is idle, stands still or catches up.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { eventually, System, type Keys, type RenderedSeries } from "../harness/system.ts";

interface Seen {
  watermark: number;
  count: number;
}

async function look(system: System, tenant: Keys, name: string): Promise<Seen> {
  const response = await fetch(
    `http://127.0.0.1:${system.apiPort}/t/${tenant.readKey}/render?target=${name}:count&from=-1h&until=now%2B1min`,
  );
  assert.equal(response.status, 200);
  const watermark = Number(response.headers.get("millrace-watermark"));
  assert(Number.isInteger(watermark), "a watermark in whole seconds");
  const [series] = (await response.json()) as RenderedSeries[];
  const count = series?.datapoints.reduce((sum, [value]) => sum + (value ?? 0), 0) ?? 0;
  return { watermark, count };
}

const nowSeconds = () => Math.floor(Date.now() / 1000);

test("the watermark moves while idle, stands still with the node, and never runs ahead of the data", async (t) => {
  const system = await System.start({ shards: 1, env: { MILLRACE_COMMIT_MS: "50" } });
  t.after(() => system.close());
  const tenant = system.demo;
  const empty = await system.addTenant("empty");
  const follows = async (who: Keys, name: string) => {
    const from = nowSeconds();
    await eventually(
      `a watermark beyond ${from}`,
      async () => (await look(system, who, name)).watermark > from,
    );
  };

  // Idle, before the first point and after it; a tenant without data as well.
  await follows(tenant, "level.a");
  await follows(empty, "level.a");
  const send = async () => {
    const response = await system.sink(tenant.writeKey, "level.a 1\n");
    assert.equal(response.status, 202);
    return nowSeconds();
  };
  await send();
  await eventually("the first point", async () => (await look(system, tenant, "level.a")).count === 1);
  await follows(tenant, "level.a");
  await follows(empty, "level.a");

  // The node hangs: what is recorded from now on is not in the store.
  const node = system.pid("node");
  process.kill(node, "SIGSTOP");
  t.after(() => {
    try {
      process.kill(node, "SIGCONT");
    } catch {}
  });
  const recorded = await send();
  const stuck: Seen[] = [];
  await eventually("four seconds of standing still", async () => {
    stuck.push(await look(system, tenant, "level.a"), await look(system, empty, "level.a"));
    return nowSeconds() >= recorded + 4;
  });
  for (const seen of stuck)
    assert(seen.watermark <= recorded, `${seen.watermark} is not beyond ${recorded}, the missing point`);

  // It goes on: from some answer on, the watermark is beyond the point, and then the point is there.
  process.kill(node, "SIGCONT");
  await eventually("catching up", async () => {
    const seen = await look(system, tenant, "level.a");
    if (seen.watermark > recorded) assert.equal(seen.count, 2, "a watermark beyond the point, without it");
    return seen.watermark > recorded + 4;
  });
  await follows(empty, "level.a");
});
