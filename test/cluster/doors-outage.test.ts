// NATS is away for 20 s while every door is sent to at once: what was acknowledged is there once, what raw doors took is
// there once, out of the spool, and the books balance.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startNatsServer } from "../harness/nats-server.ts";
import { allSenders } from "../../bin/drill/senders.ts";
import { eventually, System } from "../harness/system.ts";

const awayMs = 20_000;

test("NATS away for 20 s under load on all doors: nothing is lost, nothing doubled, the books balance", {
  timeout: 240_000,
}, async (t) => {
  const server = await startNatsServer();
  t.after(() => server.close());
  const system = await System.start({ env: { MILLRACE_NATS_URL: server.url } });
  t.after(() => system.close());
  const tenant = await system.addTenant("all-doors");
  const senders = await Promise.all(allSenders.map((start) => start(system, tenant)));
  const count = async (target: string) =>
    [...(await system.sums(tenant.readKey, target)).values()].reduce((sum, value) => sum + value, 0);
  for (const { target } of senders)
    await eventually(`${target} before`, async () => (await count(target)) > 0);

  await server.kill9();
  // The time itself is what is asked for: nothing else happens in it.
  await new Promise((resolve) => setTimeout(resolve, awayMs));
  const spooled = await gatewayMetric(system, "gateway_spool_bytes");
  assert(spooled > 0, "raw doors spooled meanwhile");
  const stranger = await system.sink(`w${"a".repeat(32)}`, "a 1\n");
  assert.equal(stranger.status, 503, "nobody can say that it is a stranger");
  assert.match(await stranger.text(), /the directory of tenants can't be reached/);
  await server.restart();
  const back = await Promise.all(senders.map(({ target }) => count(target)));
  for (const [i, { target }] of senders.entries())
    await eventually(`${target} again`, async () => (await count(target)) > (back[i] ?? 0));

  for (const sender of senders) {
    const sent = await sender.stop();
    await eventually(`${sent} points of ${sender.target}`, async () => (await count(sender.target)) >= sent);
    assert.equal(await count(sender.target), sent, sender.target);
  }
  assert.equal(await gatewayMetric(system, "gateway_spool_bytes"), 0, "the spool is empty");

  const ledger = JSON.parse(await system.millrace("ledger", "all-doors", "--by", "total", "--json")) as {
    balances: boolean;
  };
  assert.equal(ledger.balances, true, JSON.stringify(ledger));
  await system.millrace("ledger", "--check");
});

async function gatewayMetric(system: System, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${system.httpPort}/metrics`)).text();
  return [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );
}
