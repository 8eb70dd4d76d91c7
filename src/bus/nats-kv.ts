// A bucket: reading and compare-and-set by the library, watching by our own feed (see nats-feed.ts for why).
//
// K1. A watch gives the whole bucket first, then each change; whatever interrupts it is told once as lost, and the
//     next thing given is a whole new snapshot.
// K2. What a bucket's TTL takes away is not told as a change: who keeps leases reads the clock as well.
import { DeliverPolicy } from "@nats-io/jetstream";
import { Kvm, type KV } from "@nats-io/kv";
import { nanos } from "nats";
import { assert } from "../base/assert.ts";
import { Backoff } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { isOutage, messageOf, Outage } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Kv, KvEntry, KvOptions, KvWatch } from "./bus.ts";
import { decodeKey, encodeKey } from "./kv-key.ts";
import { isNoResponders } from "./nats-errors.ts";
import { openFeed, type Feed, type FeedMessage } from "./nats-feed.ts";
import type { Link } from "./nats-link.ts";
import type { Life } from "./nats-life.ts";

export interface KvParts {
  link: Link;
  clock: Clock;
  random: Random;
  log?: Log;
}

type WatchHandler = Parameters<Kv["watch"]>[0];

export class NatsKv implements Kv {
  readonly bucket: string;
  readonly #options: KvOptions;
  readonly #parts: KvParts;
  /** The library's bucket of the present life. */
  #opened: { life: Life; kv: Promise<KV> } | undefined;

  constructor(bucket: string, options: KvOptions, parts: KvParts) {
    this.bucket = bucket;
    this.#options = options;
    this.#parts = parts;
  }

  /** Makes the bucket if need be. */
  async open(): Promise<void> {
    await this.#do("open", () => Promise.resolve());
  }

  async get(key: string): Promise<KvEntry | undefined> {
    const entry = await this.#do(`get ${key}`, (kv) => kv.get(encode(key)));
    if (entry === null || entry.operation !== "PUT") return undefined;
    return { key, value: entry.value, revision: entry.revision };
  }

  create(key: string, value: Uint8Array): Promise<number> {
    return this.#do(`create ${key}`, (kv) => kv.create(encode(key), value));
  }

  update(key: string, value: Uint8Array, revision: number): Promise<number> {
    assert(revision > 0, "a revision to compare with is above 0");
    return this.#do(`update ${key}`, (kv) => kv.update(encode(key), value, revision));
  }

  put(key: string, value: Uint8Array): Promise<number> {
    return this.#do(`put ${key}`, (kv) => kv.put(encode(key), value));
  }

  delete(key: string): Promise<void> {
    return this.#do(`delete ${key}`, (kv) => kv.delete(encode(key)));
  }

  watch(handler: WatchHandler): KvWatch {
    const open = () => {
      this.#opened = undefined; // what interrupted the watch may have been the bucket's end
      return this.open();
    };
    return new Watcher(this.bucket, open, handler, this.#parts);
  }

  async #do<T>(what: string, ask: (kv: KV) => Promise<T>): Promise<T> {
    const life = this.#parts.link.life;
    const doing = `${what} in ${this.bucket}`;
    if (this.#opened?.life !== life) this.#opened = { life, kv: life.call(doing, () => this.#openIn(life)) };
    const { kv } = this.#opened;
    try {
      const bucket = await kv;
      return await life.call(doing, () => ask(bucket));
    } catch (error) {
      // The bucket may be gone, or was never opened: the next call opens it again.
      const gone =
        isOutage(error, "stream-missing") || (error instanceof Error && isNoResponders(error.cause));
      const neverOpened = await kv.then(
        () => false,
        () => true,
      );
      if ((gone || neverOpened) && this.#opened?.kv === kv) this.#opened = undefined;
      throw error;
    }
  }

  async #openIn(life: Life): Promise<KV> {
    const { ttlMs } = this.#options;
    const kv = await new Kvm(life.nc).create(this.bucket, {
      history: 1,
      ...(ttlMs === undefined ? {} : { ttl: ttlMs }),
    });
    const stream = bucketStream(this.bucket);
    const { config } = await life.jsm.streams.info(stream);
    const age = nanos(ttlMs ?? 0);
    if (config.max_age !== age) {
      // The server wants the duplicate window within the age.
      const window = age === 0 ? config.duplicate_window : Math.min(config.duplicate_window, age);
      await life.jsm.streams.update(stream, { max_age: age, duplicate_window: window });
    }
    return kv;
  }
}

class Watcher implements KvWatch {
  readonly #bucket: string;
  readonly #open: () => Promise<void>;
  readonly #handler: WatchHandler;
  readonly #parts: KvParts;
  readonly #stopping = new AbortController();
  readonly #forgetLives: () => void;
  readonly #backoff: Backoff;
  #feed: Feed | undefined;
  /** The snapshot while it is being gathered; undefined: it has been given. */
  #gathering: Map<string, KvEntry> | undefined = new Map();

  constructor(bucket: string, open: () => Promise<void>, handler: WatchHandler, parts: KvParts) {
    this.#bucket = bucket;
    this.#open = open;
    this.#handler = handler;
    this.#parts = parts;
    this.#backoff = new Backoff({ firstMs: 50, mostMs: 2_000, healthyMs: 10_000 }, parts.clock, parts.random);
    this.#forgetLives = parts.link.onLife((life) => void this.#follow(life));
  }

  stop(): void {
    this.#stopping.abort();
    this.#forgetLives();
    void this.#feed?.close();
  }

  /** Watches as long as this connection lives. Never rejects. */
  async #follow(life: Life): Promise<void> {
    const { clock, log } = this.#parts;
    while (life.lost === undefined && !this.#stopping.signal.aborted) {
      this.#backoff.started();
      const why = await this.#watchOnce(life);
      if (this.#stopping.signal.aborted) return;
      log?.warn({ bucket: this.#bucket, err: why }, "bus: watch interrupted, starting over");
      if (life.lost === undefined) await clock.sleep(this.#backoff.nextMs(), this.#stopping.signal);
    }
  }

  /** One feed's life: settles with the reason of its end. */
  async #watchOnce(life: Life): Promise<Error> {
    this.#gathering = new Map();
    let end: ((why: Error) => void) | undefined;
    const ended = new Promise<Error>((resolve) => {
      end = resolve;
    });
    try {
      await this.#open();
      const feed = await openFeed(life, {
        stream: bucketStream(this.#bucket),
        start: { deliver_policy: DeliverPolicy.LastPerSubject, filter_subject: `$KV.${this.#bucket}.>` },
        clock: this.#parts.clock,
        onMessage: (message) => {
          this.#take(message);
          // Not by counting up to what was announced: a key that changes meanwhile is moved to the end.
          if (message.pending === 0) this.#complete();
        },
        // The server's own count may drift for the same reason; that it waits is certain.
        onIdle: () => this.#complete(),
        onEnd: (error) => {
          this.#lost();
          end?.(error);
        },
      });
      this.#feed = feed;
      if (this.#stopping.signal.aborted) throw new Outage("bus-unavailable", "stopped");
      if (feed.pendingAtStart === 0) this.#complete();
    } catch (error) {
      await this.#feed?.close();
      return error instanceof Error ? error : new Outage("bus-unavailable", messageOf(error));
    }
    return ended;
  }

  #take(message: FeedMessage): void {
    const key = decodeKey(message.subject.slice(`$KV.${this.#bucket}.`.length));
    const value = message.operation === "" || message.operation === "PUT" ? message.data : undefined;
    const entry = { key, value, revision: message.sequence };
    if (this.#gathering !== undefined) this.#gathering.set(key, entry);
    else if (!this.#stopping.signal.aborted) this.#handler.onChange(entry);
  }

  #complete(): void {
    if (this.#gathering === undefined || this.#stopping.signal.aborted) return;
    const entries = [...this.#gathering.values()].filter((entry) => entry.value !== undefined);
    this.#gathering = undefined;
    this.#handler.onSnapshot(entries);
  }

  #lost(): void {
    const wasComplete = this.#gathering === undefined;
    this.#gathering = new Map();
    if (wasComplete && !this.#stopping.signal.aborted) this.#handler.onLost();
  }
}

function encode(key: string): string {
  assert(key !== "", "a key is not empty");
  return encodeKey(key);
}

function bucketStream(bucket: string): string {
  return `KV_${bucket}`;
}
