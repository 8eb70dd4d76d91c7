// A node's supervision with real actors: what kills, hangs or fills one shard is seen, named and mended there, and the
// sibling never notices.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "nats";
import { askShard } from "../../bin/ask-shard.ts";
import type { ControlAnswer, ShardQuestion, ShardView } from "../../cluster/control-messages.ts";
import { changeWish, wishKey, decodeWish, type ShardWish } from "../../cluster/shard-wish.ts";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { Bus, Kv } from "../../src/bus/bus.ts";
import { connectNats } from "../../src/bus/nats.ts";
import { clusterBucket, faultSubject, streamName } from "../../src/bus/subjects.ts";
import { homeOf } from "../../src/tenant/routing.ts";
import { eventually, System, type Keys, type LogLine } from "../harness/system.ts";
import { silentLog } from "../harness/log.ts";

const shards = 2;

class Night {
  readonly system: System;
  readonly bus: Bus;
  readonly kv: Kv;
  readonly nats: NatsConnection;
  /** Its shard is struck. */
  readonly victim: Keys;
  readonly sibling: Keys;
  readonly struck: number;
  readonly other: number;
  readonly #stopped = new AbortController();
  #sending: Promise<void> = Promise.resolve();
  #sent = 0;
  /** The longest that the sibling's sender waited for a yes. */
  slowestMs = 0;

  constructor(system: System, bus: Bus, kv: Kv, nats: NatsConnection, tenants: readonly Keys[]) {
    this.system = system;
    this.bus = bus;
    this.kv = kv;
    this.nats = nats;
    this.victim = tenants[0] as Keys;
    this.struck = home(this.victim);
    this.sibling = tenants.find((tenant) => home(tenant) !== this.struck) as Keys;
    this.other = home(this.sibling);
  }

  static async start(t: TestContext): Promise<Night> {
    const env = { MILLRACE_STALL_MS: "3000", MILLRACE_HEAP_MB: "64", MILLRACE_COMMIT_MS: "50" };
    const system = await System.start({ shards, env });
    t.after(() => system.close());
    const url = `nats://127.0.0.1:${system.natsPort}`;
    const options = {
      transport: "own",
      url,
      name: "test",
      clock: systemClock,
      random: systemRandom,
    } as const;
    const bus = await connectNats({ ...options, log: silentLog });
    t.after(() => bus.close());
    const nats = await connect({ servers: url });
    t.after(() => nats.close());
    const tenants = [system.demo];
    for (let i = 0; tenants.every((tenant) => home(tenant) === home(system.demo)); i++)
      tenants.push(await system.addTenant(`tenant-${i}`));
    return new Night(system, bus, await bus.kv(clusterBucket), nats, tenants);
  }

  ask(question: ShardQuestion["kind"], dryRun = false): Promise<ControlAnswer> {
    return askShard(this.bus, { kind: question, shard: this.struck, dryRun });
  }

  async view(): Promise<ShardView> {
    const answer = await this.ask("shard-state");
    assert(answer.kind === "shard-state", JSON.stringify(answer));
    return answer.status;
  }

  /** One line of the victim, recorded. */
  async strike(name: string): Promise<void> {
    const response = await this.system.sink(this.victim.writeKey, `${name} 1\n`);
    assert.equal(response.status, 202, await response.text());
  }

  died(cause: string): Promise<LogLine> {
    const isIt = (line: LogLine) =>
      line.msg === "actor died, starting it again" &&
      line["shard"] === this.struck &&
      line["cause"] === cause;
    return this.system.nextLog(isIt, `a death by ${cause}`);
  }

  /** Sends for the sibling all night: a point each 20 ms, each with a yes. */
  keepSending(): void {
    this.#sending = (async () => {
      while (!this.#stopped.signal.aborted) {
        const fromMs = performance.now();
        const response = await this.system.sink(this.sibling.writeKey, "night.sibling 1\n");
        assert.equal(response.status, 202, await response.text());
        await response.arrayBuffer().catch(() => {});
        this.slowestMs = Math.max(this.slowestMs, performance.now() - fromMs);
        this.#sent++;
        await systemClock.sleep(20);
      }
    })();
  }

  async stopSending(): Promise<number> {
    this.#stopped.abort();
    await this.#sending;
    return this.#sent;
  }

  async sums(tenant: Keys, name: string): Promise<number> {
    return (await this.system.sums(tenant.readKey, `${name}:sum`)).get(`${name}:sum`) ?? 0;
  }

  /** The struck shard takes live points again. */
  async isLive(): Promise<void> {
    await this.strike("night.live");
    const before = await this.sums(this.victim, "night.live");
    await eventually("a live point", async () => {
      await this.strike("night.live");
      return (await this.sums(this.victim, "night.live")) > before;
    });
  }

  async skip(): Promise<ControlAnswer> {
    const answer = await this.ask("shard-skip");
    assert(answer.kind === "skipped", JSON.stringify(answer));
    assert(answer.tookMs < 5000, `${answer.tookMs} ms`);
    return answer;
  }

  async wish(change: Partial<ShardWish>): Promise<void> {
    await changeWish(this.kv, this.struck, () => change);
  }
}

function home(tenant: Keys): number {
  return homeOf({ id: tenant.id, name: "", state: "active", createdMs: 0, keys: [], homes: [] }, shards);
}

test("a night with one bad shard", { timeout: 240_000 }, async (t) => {
  const night = await Night.start(t);
  const { system, struck, other } = night;
  const nodePid = system.pid("node");
  night.keepSending();
  await night.isLive();

  await t.test(
    "a thread that is killed, exits, throws or fills its heap dies alone, and its cause is named",
    async () => {
      const killed = night.died("killed");
      await night.bus.ask(faultSubject, Buffer.from(String(struck)), 2000, () => true);
      await killed;
      await night.isLive();
      for (const [fault, cause, why] of [
        ["exit", "exit", /exit 1/],
        ["heap", "heap", /heap reached the limit of 64 MB/],
      ] as const) {
        const death = night.died(cause);
        await night.strike(`millrace-fault.${fault}.a`);
        assert.match(String((await death)["why"]), why);
        await night.skip();
        await night.isLive();
      }
      const text = await (await fetch(`http://127.0.0.1:${system.nodePort}/metrics`)).text();
      for (const cause of ["killed", "exit", "heap"])
        assert.match(text, new RegExp(`shard_deaths_total\\{shard="${struck}",cause="${cause}"\\} [1-9]`));
    },
  );

  await t.test("an endless loop is seen as a stall", async () => {
    const death = night.died("stalled");
    await night.strike("millrace-fault.loop.a");
    assert.match(String((await death)["why"]), /stalled: nothing moved for 3 s at frame \d+/);
    await night.skip();
    await night.isLive();
  });

  await t.test("a skip previews, and ends an actor that hangs, within five seconds", async () => {
    await night.strike("millrace-fault.loop.b");
    await eventually("an actor that hangs", async () => {
      const { doing, queued } = await night.view();
      return doing === "ingesting" && queued !== null && queued > 0;
    });
    const preview = await night.ask("shard-skip", true);
    assert(preview.kind === "would-skip", JSON.stringify(preview));
    assert(preview.frames > 0 && preview.bytes > 0 && preview.tenants >= 1, JSON.stringify(preview));
    const answer = await night.skip();
    assert(answer.kind === "skipped" && answer.gap !== undefined, JSON.stringify(answer));
    await night.isLive();
    const { gaps, offset } = await night.view();
    assert(offset !== null && gaps.every(([, to]) => to <= offset), JSON.stringify({ gaps, offset }));
    assert.deepEqual((await night.ask("shard-adopt", true)).kind, "would-adopt");
  });

  await t.test("paused it stands, resumed it goes on", async () => {
    await night.wish({ paused: true });
    await eventually("a paused shard", async () => (await night.view()).state === "paused");
    await night.strike("night.paused");
    assert.equal(await night.sums(night.victim, "night.paused"), 0);
    assert((await system.nodeHealth()).ok, "paused is not ill");
    await night.wish({ paused: false });
    await eventually(
      "what came meanwhile",
      async () => (await night.sums(night.victim, "night.paused")) === 1,
    );
  });

  await t.test("NATS services: each shard answers ping, info and stats", async () => {
    const ask = async (subject: string, answers: number) => {
      const found: Record<string, unknown>[] = [];
      const asked = await night.nats.requestMany(subject, undefined, {
        strategy: "count",
        maxMessages: answers,
        maxWait: 3000,
      });
      for await (const message of asked) found.push(message.json());
      return found.toSorted((a, b) => String(a["id"]).localeCompare(String(b["id"])));
    };
    const pings = await ask("$SRV.PING", shards);
    assert.deepEqual(
      pings.map(({ id }) => id),
      ["shard-0", "shard-1"],
    );
    for (const { type, name, version, metadata } of pings) {
      assert.equal(type, "io.nats.micro.v1.ping_response");
      assert.match(String(name), /^[a-zA-Z0-9_-]+$/);
      assert.match(String(version), /^\d+\.\d+\.\d+/);
      assert.equal((metadata as Record<string, string>)["node"], "node");
    }
    const [info] = await ask(`$SRV.INFO.millrace-shard.shard-${other}`, 1);
    assert.equal(info?.["type"], "io.nats.micro.v1.info_response");
    assert.equal(typeof info?.["description"], "string");
    const stats = await ask("$SRV.STATS.millrace-shard", shards);
    const { endpoints, started, type } = stats[other] as unknown as Stats;
    assert.equal(type, "io.nats.micro.v1.stats_response");
    assert(!Number.isNaN(Date.parse(started)));
    const [endpoint] = endpoints;
    assert(endpoint !== undefined);
    for (const field of ["num_requests", "num_errors", "processing_time", "average_processing_time"] as const)
      assert(Number.isInteger(endpoint[field]), field);
    const { state, offset, queued, restarts, pointsPerSecond } = endpoint.data;
    assert.equal(state, "running");
    assert(offset > 0 && queued >= 0 && restarts === 0, JSON.stringify(endpoint.data));
    assert(pointsPerSecond > 5 && pointsPerSecond < 100, `${pointsPerSecond} points/s`);
  });

  await t.test("through all of it the sibling lived on in the same thread of the same process", async () => {
    assert.equal(system.pid("node"), nodePid);
    const sibling = (await system.nodeHealth()).shards.find(({ shard }) => shard === other);
    assert.equal(sibling?.restarts, 0);
    const sent = await night.stopSending();
    await eventually(
      "all its points",
      async () => (await night.sums(night.sibling, "night.sibling")) >= sent,
    );
    assert.equal(await night.sums(night.sibling, "night.sibling"), sent);
    t.diagnostic(`sibling: ${sent} points, the slowest yes took ${Math.round(night.slowestMs)} ms`);
    assert(night.slowestMs < 3000, `a yes took ${night.slowestMs} ms`);
  });

  await t.test("a shard that aborts its process gets one of its own until the line is found", async () => {
    const isAlone = (line: LogLine) => line.msg === "shard starts in a process of its own: it ended others";
    const alone = system.nextLog(isAlone, "a process of its own");
    const buried = system.nextLog((line) => line.msg === "poison was buried", "the line that aborts");
    await night.strike("millrace-fault.abort.a");
    await alone;
    assert.match(String((await buried)["detail"]), /its process ended by SIGABRT/);
    await night.isLive();
    assert.equal((await night.view()).hosting, "process", "while it is isolated");
    // A frame each: isolation lasts for 64 of them.
    for (let i = 0; i < 70; i++) await night.strike("night.live");
    await eventually("a thread again", async () => (await night.view()).hosting === "thread");
    const starts = system.log.filter((line) => line.process === "node" && line.msg === "ready").length;
    // The first one had committed, and only claims without a commit are counted.
    assert.equal(starts, 4, "it took three processes of the node along, and no more");
  });

  await t.test("a failed shard stays failed over a restart of its node; adopt brings it back", async () => {
    const failed = system.nextLog((line) => line.msg === "shard has failed", "the failed shard");
    const manager = await jetstreamManager(night.nats);
    await manager.streams.delete(streamName(struck));
    assert.equal((await failed)["code"], "record-rewound");
    const wish = async () => decodeWish((await night.kv.get(wishKey(struck)))?.value);
    await eventually("the wish", async () => (await wish()).failed?.code === "record-rewound");
    const again = system.nextLog((line) => line.process === "node" && line.msg === "ready", "the node again");
    process.kill(system.pid("node"), "SIGKILL");
    await again;
    await eventually("a failed shard", async () => (await night.view()).state === "failed");
    assert.match((await night.view()).why, /^record-rewound: /);
    const preview = await night.ask("shard-adopt", true);
    assert(preview.kind === "would-adopt" && /made anew/.test(preview.wrong), JSON.stringify(preview));
    const skipped = await night.ask("shard-skip");
    assert(skipped.kind === "none" && skipped.why.startsWith("record-rewound"), "a skip is no adopt");
    const adopted = await night.ask("shard-adopt");
    assert.equal(adopted.kind, "adopted", JSON.stringify(adopted));
    await night.isLive();
    const { hole } = adopted;
    assert(hole !== undefined && (await night.view()).holes.some((each) => String(each) === String(hole)));
    assert.match(
      await system.millrace("shard", "show", String(struck)),
      /holes, frames that the record lost: \d/,
    );
    await eventually("no word of a failure", async () => (await wish()).failed === null);
  });
});

interface Stats {
  type: string;
  started: string;
  endpoints: {
    num_requests: number;
    num_errors: number;
    processing_time: number;
    average_processing_time: number;
    data: { state: string; offset: number; queued: number; restarts: number; pointsPerSecond: number };
  }[];
}
