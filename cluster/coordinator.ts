// The coordinator: makes the streams and the buckets, reads the facts, decides, writes the map.
//
// Losing it changes nothing for running shards: they need the map only to start.
import type { Clock } from "../src/base/clock.ts";
import { isOutage, messageOf, Outage } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { Bus, Kv, StreamBegin } from "../src/bus/bus.ts";
import { fillBucket } from "../src/tenant/dump.ts";
import { clusterBucket, nodesBucket, tenantsBucket } from "../src/bus/subjects.ts";
import { decide } from "./decide.ts";
import { decodeBeat, decodeMap, encodeJson, mapKey, type NodeBeat, type ShardMap } from "./shard-map.ts";
import type { RestoredFile } from "./restored.ts";

export const beatTtlMs = 5000;

export interface CoordinatorOptions {
  bus: Bus;
  clock: Clock;
  log: Log;
  shards: number;
  streamBytes: number;
  duplicateWindowMs: number;
  /** What a restore left for this start. */
  restored?: RestoredFile | undefined;
}

const roundMs = 1000;
/** Streams are looked after every so many rounds: one that was wiped is made again, with a new incarnation. */
const roundsBetweenStreams = 5;

export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #stop = new AbortController();
  readonly #nodes = new Map<string, NodeBeat>();
  #map: ShardMap | undefined;
  #running: Promise<void> = Promise.resolve();
  #lastRoundMs: number;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.#lastRoundMs = options.clock.monotonicMs();
  }

  /** Settles when streams and buckets are there. Throws settings-invalid when the number of shards was another. */
  async start(): Promise<void> {
    const { bus } = this.#options;
    const cluster = await this.#untilDone(() => bus.kv(clusterBucket));
    const tenants = await this.#untilDone(() => bus.kv(tenantsBucket));
    const nodes = await this.#untilDone(() => bus.kv(nodesBucket, { ttlMs: beatTtlMs }));
    this.#map = decodeMap((await this.#untilDone(() => cluster.get(mapKey)))?.value);
    this.#checkShards();
    await this.#finishRestore(tenants);
    await this.#untilDone(() => this.#ensureStreams());
    const watch = nodes.watch({
      onSnapshot: (entries) => {
        this.#nodes.clear();
        for (const entry of entries) this.#heard(entry.key, entry.value);
      },
      onChange: (entry) => this.#heard(entry.key, entry.value),
      onLost: () => {},
    });
    this.#running = this.#rounds(cluster).finally(() => watch.stop());
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  health(): { ok: boolean; [field: string]: unknown } {
    const sinceRoundMs = this.#options.clock.monotonicMs() - this.#lastRoundMs;
    return {
      ok: sinceRoundMs < 10 * roundMs,
      map: this.#map?.version ?? 0,
      nodes: [...this.#nodes.values()].map((beat) => beat.node),
    };
  }

  #heard(key: string, value: Uint8Array | undefined): void {
    const beat = decodeBeat(value);
    if (beat === undefined) this.#nodes.delete(key);
    else this.#nodes.set(key, beat);
  }

  #checkShards(): void {
    const { shards } = this.#options;
    if (this.#map !== undefined && this.#map.shards !== shards) {
      throw new Outage(
        "settings-invalid",
        `MILLRACE_SHARDS is ${shards}, but this system was made with ${this.#map.shards} shards: tenants are spread over ` +
          `them. Set MILLRACE_SHARDS=${this.#map.shards}.`,
      );
    }
  }

  async #rounds(cluster: Kv): Promise<void> {
    const { clock, log } = this.#options;
    for (let round = 1; !this.#stop.signal.aborted; round++) {
      try {
        if (round % roundsBetweenStreams === 0) await this.#ensureStreams();
        await this.#round(cluster);
        this.#lastRoundMs = clock.monotonicMs();
      } catch (error) {
        if (!isOutage(error)) throw error;
        log.warn({ code: error.code, why: error.message }, "coordinator waits");
      }
      await clock.sleep(roundMs, this.#stop.signal);
    }
  }

  async #round(cluster: Kv): Promise<void> {
    const { log, shards } = this.#options;
    const entry = await cluster.get(mapKey);
    this.#map = decodeMap(entry?.value);
    const map = decide({ shards, map: this.#map, alive: [...this.#nodes.values()] });
    if (map === undefined) return;
    if (entry === undefined || entry.value === undefined) await cluster.create(mapKey, encodeJson(map));
    else await cluster.update(mapKey, encodeJson(map), entry.revision);
    this.#map = map;
    log.info({ version: map.version, owners: Object.values(map.owners)[0] }, "map written");
  }

  /** Once: a stream that is wiped later is a loss, and must not look like the one that the stores go on in. */
  async #finishRestore(tenants: Kv): Promise<void> {
    const { log, restored } = this.#options;
    if (restored === undefined) return;
    const created = await this.#untilDone(() => fillBucket(tenants, restored.tenants));
    await this.#untilDone(() => this.#ensureStreams(restored.streams));
    restored.done();
    log.info({ created, rows: restored.tenants.length }, "restore finished: tenants and streams are there");
  }

  async #ensureStreams(begins: readonly (StreamBegin | undefined)[] = []): Promise<void> {
    const { bus, log, shards, streamBytes, duplicateWindowMs } = this.#options;
    for (let shard = 0; shard < shards; shard++) {
      const begin = begins[shard];
      const caps = { bytesMax: streamBytes, duplicateWindowMs };
      const { incarnation } = await bus.ensureStream(shard, begin === undefined ? caps : { ...caps, begin });
      if (begin !== undefined && incarnation !== begin.incarnation)
        log.error(
          { shard, page: true },
          "the shard's stream is not the one that the restore prepared for: restore again with --fresh-record",
        );
    }
  }

  /** JetStream may need a moment after the server is up. */
  async #untilDone<T>(action: () => Promise<T>): Promise<T> {
    const { clock, log } = this.#options;
    for (;;) {
      try {
        return await action();
      } catch (error) {
        if (!isOutage(error) || !error.retryable || this.#stop.signal.aborted) throw error;
        log.warn({ code: error.code, why: messageOf(error) }, "coordinator waits");
        await clock.sleep(roundMs / 2, this.#stop.signal);
      }
    }
  }
}
