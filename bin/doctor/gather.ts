// Gathers what the doctor looks at: asks every part there is, each for a bounded time, and goes on without those that
// don't answer.
import { statfs } from "node:fs/promises";
import { connect } from "nats";
import { jetstreamManager } from "@nats-io/jetstream";
import { isOutage, messageOf } from "../../src/base/errors.ts";
import { makeLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { connectNats } from "../../src/bus/nats.ts";
import { gatewayControlSubject, metricsSubject, streamName, tenantsBucket } from "../../src/bus/subjects.ts";
import { natsUrlOf, withoutSecrets } from "../../src/config/places.ts";
import { formatAddress, type Address, type Settings } from "../../src/config/settings.ts";
import { decodeGatewayAnswer, type GatewayQuestion } from "../../src/gateway/questions.ts";
import { listTenants } from "../../src/tenant/admin.ts";
import { allHomes } from "../../src/tenant/routing.ts";
import type { Tenant } from "../../src/tenant/tenant.ts";
import { askShard } from "../ask-shard.ts";
import { fewAtATime } from "../few.ts";
import { ledgerOf } from "../ledger.ts";
import { clock } from "../process.ts";
import type { Facts, ProcessFacts, ShardFacts } from "./facts.ts";
import { countText } from "../words.ts";

const connectMsMax = 4000;
const answerMsMax = 3000;
const askMs = 500;
const lookMs = 3000;
/** A shard that gives no answer for so long is silent, and asked no more. */
const shardMsMax = 5000;
/** Books of more tenants than this are not looked at. */
const tenantsMost = 200;
const booksSeconds = 600;

export async function gather(settings: Settings): Promise<Facts> {
  const facts = freshFacts(withoutSecrets(natsUrlOf(settings)));
  const [nats] = await Promise.all([
    natsFacts(settings, facts),
    processFacts(settings).then((found) => void (facts.processes = found)),
    diskFacts(settings, facts),
  ]);
  facts.nats = nats;
  if (nats === undefined) return facts;
  const log = makeLog("cli", "fatal");
  const url = natsUrlOf(settings);
  const bus = await connectNats({ url, name: "millrace-doctor", clock, random: systemRandom, log });
  try {
    await seen(facts, "the shards", async () => void (facts.shards = await shardFacts(bus, settings)));
    await seen(facts, "the counters", () => counterFacts(bus, facts));
    await seen(facts, "the senders", () => senderFacts(bus, facts));
    await seen(facts, "the tenants", () => tenantFacts(bus, settings, facts));
  } finally {
    await bus.close();
  }
  return facts;
}

function freshFacts(natsUrl: string): Facts {
  return {
    nats: undefined,
    natsUrl,
    lookMs,
    processes: [],
    shards: [],
    disks: [],
    dead: [],
    quarantined: [],
    unbalanced: [],
    lost: [],
    spools: [],
    doubted: 0,
    upkeepBacklogBytes: 0,
    unwanted: [],
    unseen: [],
  };
}

/** What can't be looked at is said, and the rest is looked at. */
async function seen(facts: Facts, what: string, look: () => Promise<void>): Promise<void> {
  try {
    await look();
  } catch (error) {
    if (!isOutage(error)) throw error;
    facts.unseen.push(`${what}: ${messageOf(error)}`);
  }
}

async function natsFacts(settings: Settings, facts: Facts): Promise<Facts["nats"]> {
  try {
    const servers = natsUrlOf(settings);
    const nc = await connect({ servers, timeout: connectMsMax, reconnect: false, maxReconnectAttempts: 0 });
    try {
      const version = nc.info?.version ?? "";
      const before = clock.nowMs();
      const jsm = await jetstreamManager(nc, { timeout: answerMsMax });
      const info = await jsm.streams.info(streamName(0)).catch(() => undefined);
      const said = info?.ts === undefined ? undefined : Date.parse(info.ts);
      return { version, clockMs: said === undefined ? undefined : said - (before + clock.nowMs()) / 2 };
    } finally {
      await nc.close();
    }
  } catch (error) {
    facts.unseen.push(`nats-server: ${messageOf(error)}`);
    return undefined;
  }
}

async function processFacts(settings: Settings): Promise<ProcessFacts[]> {
  const addresses: [string, Address][] = [
    ["coordinator", settings.coordinatorListen],
    ["node", settings.nodeListen],
    ["gateway", settings.httpListen],
    ["api", settings.apiListen],
  ];
  return await Promise.all(
    addresses.map(async ([name, at]) => {
      const address = formatAddress({ ...at, host: at.host === "0.0.0.0" ? "127.0.0.1" : at.host });
      const signal = AbortSignal.timeout(answerMsMax);
      try {
        const response = await fetch(`http://${address}/health`, { signal });
        await response.arrayBuffer();
        const date = Date.parse(response.headers.get("date") ?? "");
        // Whole seconds, cut: half of one is the middle.
        const clockMs = Number.isNaN(date) ? undefined : date + 500 - clock.nowMs();
        return { name, address, status: response.status, clockMs };
      } catch {
        return { name, address, status: undefined, clockMs: undefined };
      }
    }),
  );
}

async function diskFacts(settings: Settings, facts: Facts): Promise<void> {
  try {
    const { bavail, blocks, bsize } = await statfs(settings.home);
    facts.disks.push({ path: settings.home, freeBytes: bavail * bsize, bytes: blocks * bsize });
  } catch (error) {
    facts.unseen.push(`the disk of ${settings.home}: ${messageOf(error)}`);
  }
}

async function shardFacts(bus: Bus, settings: Settings): Promise<ShardFacts[]> {
  const numbers = Array.from({ length: settings.shards }, (_, shard) => shard);
  const first = await fewAtATime(numbers, (shard) => shardLook(bus, shard));
  // Two looks: what moves can only be seen so.
  await clock.sleep(
    first.some(({ last, node }) => node !== undefined && last > (node.offset ?? 0)) ? lookMs : 0,
  );
  const second = await fewAtATime(first, async (seen, shard) =>
    seen.node === undefined ? seen : shardLook(bus, shard),
  );
  return numbers.map((shard): ShardFacts => {
    const [a, b] = [first[shard] as ShardLook, second[shard] as ShardLook];
    const { streamBytes, streamBytesMax, store } = b;
    const common: ShardFacts = {
      shard,
      lastSequence: [a.last, b.last],
      streamBytes,
      streamBytesMax,
      unasked: b.unasked || a.unasked,
      ...(store !== undefined && { store }),
    };
    if (a.node === undefined || b.node === undefined) return common;
    return { ...common, node: { ...b.node, offset: [a.node.offset, b.node.offset] } };
  });
}

interface ShardLook {
  last: number;
  streamBytes: number;
  streamBytesMax: number;
  unasked: string;
  node: (Omit<NonNullable<ShardFacts["node"]>, "offset"> & { offset: number }) | undefined;
  store: ShardFacts["store"];
}

async function shardLook(bus: Bus, shard: number): Promise<ShardLook> {
  const [stream, state, size] = await Promise.all([
    bus.streamState(shard),
    askShard(bus, { kind: "shard-state", shard }, shardMsMax),
    askShard(bus, { kind: "tenant-size", shard, tenant: "" }, shardMsMax),
  ]);
  const status = state.kind === "shard-state" ? state.status : undefined;
  return {
    last: stream.lastSequence,
    streamBytes: stream.bytes,
    streamBytesMax: stream.bytesMax,
    unasked: state.kind === "shard-state" ? "" : state.kind === "none" ? state.why : `answered ${state.kind}`,
    node: status && {
      state: status.state,
      why: status.why,
      doing: status.progress?.doing ?? "",
      restarts: status.restarts,
      isolated: status.isolated,
      offset: status.offset ?? 0,
      gapFrames: status.gapFrames,
    },
    store: size.kind === "size" ? size.space : undefined,
  };
}

/** `name{shard="3"} 5` of all processes. */
async function counterFacts(bus: Bus, facts: Facts): Promise<void> {
  const texts = await bus.ask(metricsSubject, new Uint8Array(), askMs);
  for (const text of texts)
    for (const line of Buffer.from(text).toString("utf8").split("\n")) {
      const [, name = "", labels = "", value = ""] = /^([a-z_]+)(?:\{(.*)\})? ([^ ]+)$/.exec(line) ?? [];
      const shard = /shard="(\d+)"/.exec(labels)?.[1] ?? "";
      if (name === "gateway_spool_bytes") facts.spools.push({ shard, bytes: Number(value) });
      else if (name === "shard_holes_total" && value !== "0")
        facts.lost.push({ shard: Number(shard), frames: Number(value) });
      else if (name === "tenant_directory_live" && Number(value) === 0) facts.doubted += 1;
      else if (name === "upkeep_backlog_bytes") facts.upkeepBacklogBytes += Number(value);
    }
}

async function senderFacts(bus: Bus, facts: Facts): Promise<void> {
  const question: GatewayQuestion = { kind: "unwanted-senders" };
  const answers = await bus.ask(gatewayControlSubject, Buffer.from(JSON.stringify(question)), askMs);
  for (const payload of answers) {
    const answer = decodeGatewayAnswer(payload);
    if (answer?.kind !== "unwanted-senders") continue;
    for (const { tenant, reason, lines } of answer.senders)
      if (tenant !== undefined) facts.unwanted.push({ tenant, reason, lines });
  }
}

async function tenantFacts(bus: Bus, settings: Settings, facts: Facts): Promise<void> {
  const tenants = await listTenants(await bus.kv(tenantsBucket));
  const nameOf = (id: string) => tenants.find((tenant) => tenant.id === id)?.name ?? id;
  const silent = new Set(facts.shards.filter(({ unasked }) => unasked !== "").map(({ shard }) => shard));
  for (let shard = 0; shard < settings.shards; shard++) {
    if (silent.has(shard)) continue;
    const counts = await askShard(bus, { kind: "dead-counts", shard }, shardMsMax);
    if (counts.kind !== "dead-counts") continue;
    for (const { tenant, reason, letters } of counts.counts)
      facts.dead.push({ tenant: nameOf(tenant), reason, letters });
    for (const { tenant, why } of counts.quarantined)
      facts.quarantined.push({ tenant: nameOf(tenant), shard, why });
  }
  const asked = tenants.filter(
    (tenant) => !allHomes(tenant, settings.shards).some((home) => silent.has(home)),
  );
  if (asked.length < tenants.length)
    facts.unseen.push(`the books of ${countText(tenants.length - asked.length, "tenant")} of silent shards`);
  if (asked.length > tenantsMost)
    facts.unseen.push(`the books of ${countText(asked.length - tenantsMost, "tenant")}`);
  for (const tenant of asked.slice(0, tenantsMost)) await booksFacts(bus, settings, tenant, facts);
}

async function booksFacts(bus: Bus, settings: Settings, tenant: Tenant, facts: Facts): Promise<void> {
  const until = Math.floor(clock.nowMs() / 60_000) * 60;
  const range = { from: until - booksSeconds, until };
  const homes = allHomes(tenant, settings.shards);
  const { unbalanced } = await ledgerOf(bus, tenant.id, homes, range, "total");
  const missing = unbalanced.reduce((sum, each) => sum + each.missing, 0);
  if (unbalanced.length > 0) facts.unbalanced.push({ tenant: tenant.name, missing });
}
