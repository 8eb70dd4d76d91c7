// The link to NATS: always one life of a connection, or on the way to one. Waits for ever for a server that is not
// there, and says so once per absence.
//
// L1. A server below 2.10, or one whose max_payload is too small for a frame, is refused with a sentence: at the start
//     as a final outage, later as one more reason to wait.
// L2. `connected` and the callbacks of `onConnection` change together, in order, and alternate.
import { AuthorizationError, type NatsConnection, type NodeConnectionOptions } from "nats";
import { assert } from "../base/assert.ts";
import { Backoff } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { type Cell, Counters } from "../base/counters.ts";
import { messageOf, Outage } from "../base/errors.ts";
import { LargeBuffers } from "../base/large-buffers.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { Life } from "./nats-life.ts";
import { connectBy, type TransportName } from "./nats-transport.ts";
import { tell } from "./tell.ts";

export interface LinkOptions {
  /** `nats://[user:password@]host:port`, or several, with commas between. */
  url: string;
  /** How the connection is called in the server's monitoring. */
  name: string;
  clock: Clock;
  random: Random;
  log?: Log;
  counters?: Counters;
  /** Default: own. */
  transport?: TransportName;
  /** Two pings in a row that stay without answer end the connection. Default 5,000. */
  pingIntervalMs?: number;
  /** Called once per absence of the server, with what the first try said. */
  onWaiting?(why: string): void;
  /** Ends the waiting; connecting then rejects with bus-unavailable. */
  signal?: AbortSignal;
}

const pingIntervalMsDefault = 5_000;
const connectTimeoutMs = 5_000;
const waitMs = { firstMs: 50, mostMs: 1_000, healthyMs: 5_000 };
/** Frames are up to 1 MB; headers, and keyed parts that can't be cut further, come on top. */
const maxPayloadMin = 2 * 1024 * 1024;

export class Link {
  readonly #options: LinkOptions;
  readonly #backoff: Backoff;
  readonly #losses: Cell;
  /** Of messages that came. */
  readonly buffers = new LargeBuffers();
  readonly #closing = new AbortController();
  readonly #onConnection = new Set<(connected: boolean) => void>();
  readonly #onLife = new Set<(life: Life) => void>();
  #life: Life | undefined;

  private constructor(options: LinkOptions) {
    this.#options = options;
    this.#backoff = new Backoff(waitMs, options.clock, options.random);
    const counters = options.counters ?? new Counters();
    this.#losses = counters.counter("bus_connections_lost_total", "connections to NATS that were lost");
  }

  /** Settles with the first connection. Rejects only with a final outage, or when the signal ends the wait. */
  static async open(options: LinkOptions): Promise<Link> {
    const link = new Link(options);
    const abort = () => link.#closing.abort();
    options.signal?.addEventListener("abort", abort, { once: true });
    if (options.signal?.aborted) abort();
    const life = await link.#dial(true);
    options.signal?.removeEventListener("abort", abort);
    if (life === undefined) throw new Outage("bus-unavailable", "gave up waiting for NATS");
    link.#begin(life);
    return link;
  }

  get connected(): boolean {
    return this.#life !== undefined;
  }

  /** Throws bus-unavailable while there is none. */
  get life(): Life {
    if (this.#life === undefined) throw new Outage("bus-unavailable", "no connection to NATS");
    return this.#life;
  }

  onConnection(callback: (connected: boolean) => void): () => void {
    this.#onConnection.add(callback);
    return () => this.#onConnection.delete(callback);
  }

  /** Called for each life, for the present one before it returns; the answer unsubscribes. */
  onLife(callback: (life: Life) => void): () => void {
    this.#onLife.add(callback);
    if (this.#life !== undefined) callback(this.#life);
    return () => this.#onLife.delete(callback);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const nc = this.#life?.nc;
    this.#life?.lose("closed by us");
    await nc?.closed();
  }

  #begin(life: Life): void {
    assert(this.#life === undefined, "one life at a time");
    if (life.lost !== undefined) {
      void this.#again();
      return;
    }
    this.#backoff.started();
    this.#life = life;
    life.onLost((why) => {
      this.#life = undefined;
      if (!this.#closing.signal.aborted) {
        this.#losses.value += 1;
        this.#options.log?.warn({ err: why }, "bus: connection lost, trying again");
      }
      tell(this.#onConnection, false);
      void this.#again();
    });
    // What rests on the life is ready before anybody hears that there is a connection.
    tell(this.#onLife, life);
    tell(this.#onConnection, true);
  }

  async #again(): Promise<void> {
    const life = await this.#dial(false);
    if (life === undefined) return;
    this.#options.log?.info({ server: life.nc.getServer() }, "bus: connected again");
    this.#begin(life);
  }

  /** Tries until there is a life; undefined: closed. Throws only at the start (L1). */
  async #dial(first: boolean): Promise<Life | undefined> {
    let said = false;
    while (!this.#closing.signal.aborted) {
      try {
        return await this.#try();
      } catch (error) {
        if (this.#closing.signal.aborted) break;
        if (first && error instanceof Outage && !error.retryable) throw error;
        if (!said) {
          this.#options.log?.warn({ err: error }, "bus: waiting for NATS");
          this.#options.onWaiting?.(messageOf(error));
        }
        said = true;
      }
      await this.#options.clock.sleep(this.#backoff.nextMs(), this.#closing.signal);
    }
    return undefined;
  }

  async #try(): Promise<Life> {
    const how = connectionOptions(this.#options);
    let nc: NatsConnection;
    try {
      nc = await connectBy({ transport: this.#options.transport ?? "own", buffers: this.buffers }, how);
    } catch (error) {
      if (error instanceof AuthorizationError)
        throw new Outage("settings-invalid", `NATS refuses us: ${error.message}`);
      throw new Outage(
        "bus-unavailable",
        `no NATS at ${withoutPassword(this.#options.url)}: ${messageOf(error)}`,
      );
    }
    const unfit = unfitness(nc);
    if (unfit !== undefined || this.#closing.signal.aborted) {
      await nc.close();
      throw unfit ?? new Outage("bus-unavailable", "closed");
    }
    return Life.over(nc);
  }
}

function unfitness(nc: NatsConnection): Outage | undefined {
  const info = nc.info;
  if (info === undefined) return new Outage("bus-unavailable", "the connection closed at once");
  const [major = 0, minor = 0] = info.version.split(".").map(Number);
  if (major < 2 || (major === 2 && minor < 10))
    return new Outage("server-too-old", `nats-server is ${info.version}; Millrace needs 2.10 or later.`);
  if (info.max_payload < maxPayloadMin)
    return new Outage(
      "settings-invalid",
      `nats-server's max_payload is ${info.max_payload} bytes; Millrace needs at least ${maxPayloadMin} (set 8MB).`,
    );
  return undefined;
}

function connectionOptions(link: LinkOptions): NodeConnectionOptions {
  const servers: string[] = [];
  const options: NodeConnectionOptions = {
    name: link.name,
    reconnect: false,
    timeout: connectTimeoutMs,
    pingInterval: link.pingIntervalMs ?? pingIntervalMsDefault,
    maxPingOut: 2,
    noAsyncTraces: true,
  };
  for (const one of link.url.split(",")) {
    const parsed = parseUrl(one.trim());
    if (parsed === undefined)
      throw new Outage(
        "settings-invalid",
        `"${withoutPassword(one)}" is not an address like nats://host:4222`,
      );
    servers.push(parsed.host);
    if (parsed.protocol === "tls:") options.tls = {};
    if (parsed.password !== "") {
      options.user = decodeURIComponent(parsed.username);
      options.pass = decodeURIComponent(parsed.password);
    } else if (parsed.username !== "") {
      options.token = decodeURIComponent(parsed.username);
    }
  }
  return { ...options, servers };
}

function parseUrl(text: string): URL | undefined {
  try {
    const url = new URL(text.includes("://") ? text : `nats://${text}`);
    if (url.hostname === "" || !["nats:", "tls:"].includes(url.protocol)) return undefined;
    if (url.port === "") url.port = "4222";
    return url;
  } catch {
    return undefined;
  }
}

function withoutPassword(url: string): string {
  return url.replaceAll(/\/\/[^/@,]*@/g, "//");
}
