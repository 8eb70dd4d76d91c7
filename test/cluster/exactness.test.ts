// P1 and P2 as a story: senders push over HTTP and TCP while actor threads, the node, the gateway and nats-server are
// killed at random moments. At the end every acknowledged point is in the store, once.
import { strict as assert } from "node:assert";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { systemRandom } from "../../src/base/random.ts";
import { systemClock } from "../../src/base/clock.ts";
import { makeLog } from "../../src/base/log.ts";
import { connectNats } from "../../src/bus/nats.ts";
import { faultSubject } from "../../src/bus/subjects.ts";
import { eventually, System, type Keys } from "../harness/system.ts";

const kills = 20;
const victims = ["actor", "node", "gateway", "nats-server"];
const shards = 4;
const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);

/** What a sender knows: by series, the sum of what was acknowledged. */
type Ledger = Map<string, { sum: number; count: number }>;

test(`every acknowledged point is stored once through ${kills} kills (MILLRACE_SEED=${seed})`, {
  timeout: 120_000,
}, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const system = await System.start({
    shards,
    env: { MILLRACE_DUPLICATE_WINDOW: "1s", MILLRACE_COMMIT_MS: "50" },
  });
  t.after(() => system.close());
  const tenants = await Promise.all(["one", "two", "three"].map((name) => system.addTenant(name)));
  const stopped = new AbortController();
  const ledgers: Ledger[] = tenants.map(() => new Map());
  const keyed = tenants.map((tenant, i) => sendKeyed(system, tenant, ledgers[i] as Ledger, stopped.signal));
  const [tcpTenant] = tenants as [Keys];
  const tcp = sendTcp(system, tcpTenant, stopped.signal);

  const log = makeLog("test", "error");
  const url = `nats://127.0.0.1:${system.natsPort}`;
  const bus = await connectNats({ url, name: "faults", clock: systemClock, random: systemRandom, log });
  for (const what of drawKills(random)) {
    await systemClock.sleep(100 + random.below(700));
    // Killed before and not yet back is no kill: it is tried until it is one.
    await eventually(`a kill of ${what}`, async () => {
      if (what === "actor") {
        const answers = await bus.ask(faultSubject, Buffer.from(String(random.below(shards))), 500);
        return answers.some((answer) => Buffer.from(answer).toString() === "true");
      }
      return process.kill(system.pid(what), "SIGKILL");
    });
    if (what === "gateway") tcp.gatewayKilled();
  }
  await bus.close();
  stopped.abort();
  const acknowledged = (await Promise.all(keyed)).reduce((sum, points) => sum + points, 0);
  await tcp.ended;
  assert(acknowledged > 1000, `the senders got through: ${acknowledged} points acknowledged`);

  for (const [i, tenant] of tenants.entries()) {
    const expected = ledgers[i] as Ledger;
    const wanted = (field: "sum" | "count") =>
      [...expected].map(([name, { [field]: value }]) => [`${name}:${field}`, value] as const);
    const target = (field: string) => `exact.http.*:${field}`;
    await eventually(`the counts of ${tenant.name}`, async () => {
      const counts = await system.sums(tenant.readKey, target("count"));
      return wanted("count").every(([name, value]) => (counts.get(name) ?? 0) >= value);
    });
    assert.deepEqual(await system.sums(tenant.readKey, target("count")), new Map(wanted("count")));
    assert.deepEqual(await system.sums(tenant.readKey, target("sum")), new Map(wanted("sum")));
  }

  let lost: string[] = [];
  await eventually("the TCP points of unbroken connections", async () => {
    const counts = await system.sums(tcpTenant.readKey, "exact.tcp.*:count");
    for (const [name, count] of counts) assert(count <= 1, `${name} is there ${count} times`);
    lost = tcp.sent.filter((point) => !counts.has(`${point.name}:count`)).map((point) => point.name);
    return tcp.sent.every((point) => point.mayBeLost() || counts.has(`${point.name}:count`));
  });
  t.diagnostic(
    `${acknowledged} points acknowledged by HTTP; ${tcp.sent.length} sent by TCP, ${lost.length} lost with gateways`,
  );
});

/** As often each, in an order drawn by chance. */
function drawKills(random: Random): string[] {
  const order = Array.from({ length: kills }, (_, i) => victims[i % victims.length] as string);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j] as string, order[i] as string];
  }
  return order;
}

/** Batches under a key, each sent until it is acknowledged. Answers how many points that were. */
async function sendKeyed(
  system: System,
  tenant: Keys,
  ledger: Ledger,
  stopped: AbortSignal,
): Promise<number> {
  let points = 0;
  for (let batch = 0; !stopped.aborted; batch++) {
    const seconds = Math.floor(Date.now() / 1000);
    const lines = Array.from({ length: 50 }, (_, i) => ({
      name: `exact.http.s${i % 7}`,
      value: batch * 50 + i,
    }));
    const body = lines.map(({ name, value }) => `${name} ${value} ${seconds}\n`).join("");
    for (;;) {
      const status = await system
        .sink(tenant.writeKey, body, { "Idempotency-Key": `${tenant.id}-${batch}` })
        .then(async (response) => {
          await response.arrayBuffer();
          return response.status;
        })
        .catch(() => 0);
      if (status === 202) break;
      assert([0, 503].includes(status), `HTTP ${status} is no answer to a good batch`);
      await systemClock.sleep(50);
    }
    points += lines.length;
    for (const { name, value } of lines) {
      const entry = ledger.get(name) ?? { sum: 0, count: 0 };
      ledger.set(name, { sum: entry.sum + value, count: entry.count + 1 });
    }
  }
  return points;
}

interface TcpPoint {
  name: string;
  /** Sent on a connection that a killed gateway had. */
  mayBeLost(): boolean;
}

function sendTcp(system: System, tenant: Keys, stopped: AbortSignal) {
  const sent: TcpPoint[] = [];
  let generation = 0;
  const broken = new Set<number>();

  const run = async (): Promise<void> => {
    while (!stopped.aborted && sent.length < 4000) {
      const mine = generation;
      const socket = await open(system.tcpPort);
      if (socket === undefined) {
        await systemClock.sleep(50);
        continue;
      }
      let alive = true;
      socket.on("close", () => {
        alive = false;
      });
      while (alive && !stopped.aborted && mine === generation && sent.length < 4000) {
        const name = `exact.tcp.n${sent.length}`;
        sent.push({ name, mayBeLost: () => broken.has(mine) });
        if (!socket.write(`${tenant.writeKey}.${name} 1\n`) && alive)
          await Promise.race([once(socket, "drain"), once(socket, "close"), systemClock.sleep(1000)]);
        await systemClock.sleep(2);
      }
      // A clean end: what was written arrives.
      if (alive) {
        socket.end();
        const closed = new AbortController();
        await Promise.race([
          once(socket, "close").then(() => closed.abort()),
          systemClock.sleep(20_000, closed.signal),
        ]);
      }
      socket.destroy();
      if (!alive && mine === generation) broken.add(mine);
    }
  };
  return {
    sent,
    ended: run(),
    gatewayKilled: () => {
      broken.add(generation++);
    },
  };
}

function open(port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    socket.once("connect", () => resolve(socket));
    socket.on("error", () => resolve(undefined));
  });
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve) => {
    socket.once(event, () => resolve());
  });
}
