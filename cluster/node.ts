// A node: one process on one machine. It says that it is there, and runs what the map gives it.
import type { Clock } from "../src/base/clock.ts";
import { isOutage, messageOf, Outage } from "../src/base/errors.ts";
import { hex } from "../src/metric/frame.ts";
import type { Log } from "../src/base/log.ts";
import type { Random } from "../src/base/random.ts";
import type { Bus, Kv, KvEntry, KvWatch } from "../src/bus/bus.ts";
import { snapshotOf } from "../src/bus/snapshot.ts";
import { clusterBucket, nodesBucket } from "../src/bus/subjects.ts";
import { beatTtlMs } from "./coordinator.ts";
import { decodeBeat, decodeMap, encodeJson, mapKey, nodeKey, shardsOf } from "./shard-map.ts";
import { decodeWish, shardOfWish, type ShardFailed } from "./shard-wish.ts";
import type { ShardStatus, Supervisor } from "./supervisor.ts";
import { WishKeeper } from "./wish-keeper.ts";

export interface NodeOptions {
  node: string;
  bus: Bus;
  supervisor: Supervisor;
  clock: Clock;
  random: Random;
  log: Log;
}

/** waiting: it can't go on before another part is back. slow: in the midst of a long call of the store or the bus. */
export type ShardHealth = "well" | "slow" | "waiting" | "paused" | "ill";

export interface NodeHealth {
  ok: boolean;
  shards: (ShardStatus & { health: ShardHealth })[];
}

const beatMs = 1000;
/** An actor with nothing to do speaks every ten seconds; one that says nothing for longer hangs. */
const silentMsMax = 30_000;

export class ClusterNode {
  readonly #options: NodeOptions;
  readonly #stop = new AbortController();
  readonly #instance: string;
  #beating: Promise<void> = Promise.resolve();
  #watch: KvWatch | undefined;
  #keeper: WishKeeper | undefined;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.#instance = hex(options.random.bytes(8));
  }

  /** Waits for NATS and the coordinator's buckets as long as it takes; then runs until `stop`. */
  async start(): Promise<void> {
    const { bus, log, node, supervisor } = this.#options;
    const nodes = await this.#untilThere(() => bus.kv(nodesBucket, { ttlMs: beatTtlMs }));
    const cluster = await this.#untilThere(() => bus.kv(clusterBucket));
    await this.#refuseOthers(nodes);
    await this.#refuseOtherName(cluster);
    this.#keeper = new WishKeeper(cluster, this.#options.clock, log);
    const onWish = ({ key, value }: KvEntry) => {
      const shard = shardOfWish(key);
      if (shard !== undefined) supervisor.wish(shard, decodeWish(value));
    };
    const onMap = (value: Uint8Array | undefined) => {
      const map = decodeMap(value);
      if (map === undefined) return;
      log.info({ version: map.version, shards: shardsOf(map, node).length }, "map read");
      supervisor.assign(map.version, shardsOf(map, node));
    };
    this.#watch = cluster.watch({
      onSnapshot: (entries) => {
        // First: a shard that is paused or has failed is not even started.
        for (const entry of entries) onWish(entry);
        onMap(entries.find((entry) => entry.key === mapKey)?.value);
      },
      onChange: (entry) => {
        if (entry.key === mapKey) onMap(entry.value);
        else onWish(entry);
      },
      onLost: () => {},
    });
    this.#beating = this.#beat(nodes);
  }

  async stop(withinMs: number): Promise<void> {
    this.#stop.abort();
    this.#watch?.stop();
    await this.#options.supervisor.stop(withinMs);
    await this.#keeper?.stop();
    await this.#beating;
  }

  /** Keeps it beyond the node's life. */
  keepFailed(shard: number, failed: ShardFailed | null): void {
    this.#keeper?.failed(shard, failed);
  }

  /**
   * P7: a shard is healthy when its offset moves. One that waits is said to be waiting: not ill, but the node is not all
   * well either.
   */
  health(): NodeHealth {
    const shards = this.#options.supervisor
      .status()
      .map((status) => ({ ...status, health: healthOf(status) }));
    const well: ShardHealth[] = ["well", "slow", "paused"];
    return { ok: shards.length > 0 && shards.every(({ health }) => well.includes(health)), shards };
  }

  /** LMDB files are one machine's: a second node under another name would be given nothing it can open. */
  async #refuseOthers(nodes: Kv): Promise<void> {
    const { node } = this.#options;
    const alive = (await snapshotOf(nodes)).map((entry) => decodeBeat(entry.value)?.node);
    const others = alive.filter((name) => name !== undefined && name !== node);
    if (others.length > 0) {
      throw new Outage(
        "settings-invalid",
        `MILLRACE_NODE is "${node}", but node "${others[0]}" runs: the embedded store (LMDB) serves one node only.`,
      );
    }
  }

  /** The map never gives shards away from the one node that can open their stores: under another name it would wait for ever. */
  async #refuseOtherName(cluster: Kv): Promise<void> {
    const { node } = this.#options;
    const map = decodeMap((await this.#untilThere(() => cluster.get(mapKey)))?.value);
    const owner = Object.values(map?.owners ?? {})[0];
    if (map === undefined || owner === undefined || shardsOf(map, node).length > 0) return;
    throw new Outage(
      "settings-invalid",
      `MILLRACE_NODE is "${node}", but the shards of this system belong to the node "${owner}": set MILLRACE_NODE=${owner}.`,
    );
  }

  async #beat(nodes: Kv): Promise<void> {
    const { clock, log, node } = this.#options;
    const beat = encodeJson({ node, instance: this.#instance, startedMs: clock.nowMs() });
    while (!this.#stop.signal.aborted) {
      try {
        await nodes.put(nodeKey(node), beat);
      } catch (error) {
        if (!isOutage(error)) throw error;
        log.debug({ why: messageOf(error) }, "heartbeat not sent");
      }
      await clock.sleep(beatMs, this.#stop.signal);
    }
    await nodes.delete(nodeKey(node)).catch(() => {});
  }

  async #untilThere<T>(action: () => Promise<T>): Promise<T> {
    const { clock, log } = this.#options;
    for (;;) {
      try {
        return await action();
      } catch (error) {
        if (!isOutage(error) || !error.retryable) throw error;
        log.warn({ code: error.code, why: messageOf(error) }, "node waits");
        await clock.sleep(beatMs / 2);
      }
    }
  }
}

function healthOf({ state, doing, silentMs, progress }: ShardStatus): ShardHealth {
  if (state === "paused") return "paused";
  if (state !== "running") return "ill";
  if (progress?.doing !== "ingesting") return "waiting";
  if (silentMs < silentMsMax) return "well";
  // In the midst of a long commit it can't say anything: its marks tell that it waits.
  return doing === "store" || doing === "bus" ? "slow" : "ill";
}
