// Points a second of a tenant over all gateways: a token bucket per tenant in each gateway, filled with that gateway's
// share of the limit. Once a second each gateway tells the others what it is offered; nobody decides for another.
//
// R1. Shares follow demand, and what nobody asks for goes around: they add up to the limit as soon as all have heard
//     of each other. A gateway that hears of nobody has the whole limit; one that has heard of others, but has not
//     measured itself yet, has the share of an average one.
// R2. What is let through too much is bounded: a bucket holds two seconds of its share, one when it is new. So when n
//     gateways begin to have traffic of a tenant at the same moment, they pass at most n times two seconds' worth in
//     the first second, before they hear of each other, and at most two seconds' worth together on top of the limit
//     later on.
// R3. A gateway that was not heard of for three seconds gives its share back. While NATS can't be reached the last
//     shares hold, for five minutes at most.
// R4. Bounded: tenants counted here and tenants heard of. A tenant beyond the bound pushes the one out that was quiet
//     longest, which begins afresh when it comes back.
import { LRUCache } from "lru-cache";
import type { Clock } from "../base/clock.ts";
import type { Cell, Counters } from "../base/counters.ts";
import { isOutage } from "../base/errors.ts";
import type { Bus } from "../bus/bus.ts";
import { ratesSubject } from "../bus/subjects.ts";

export interface RatesOptions {
  /** Of this start of the gateway; no other has it. */
  id: string;
  bus: Bus;
  clock: Clock;
  counters: Counters;
}

const tickMs = 1000;
const burstSeconds = 2;
const newSeconds = 1;
const goneMs = 3000;
const heldMs = 5 * 60_000;
/** A full bucket that nobody asked for so long is forgotten. */
const quietMs = 10 * 60_000;
const tenantsMax = 50_000;
const heardTenantsMax = 50_000;
const gatewaysMax = 1000;
const tenantsPerMessage = 2000;
const gaugedMax = 500;
/** How much of a fall of the demand is believed each second. A rise is believed at once: who is refused feels it. */
const fallWeight = 0.7;
const retryMsMost = 3_600_000;
const leastShare = 0.01;

/** R1, without anything around it: what a gateway may pass that is offered `mine`, beside gateways that are offered `others`. */
export function shareOf(mine: number, others: readonly number[], limit: number): number {
  let sum = mine;
  for (const other of others) sum += other;
  if (sum > limit) return (limit * mine) / sum;
  return mine + (limit - sum) / (others.length + 1);
}

/** One tenant's tokens in this gateway. */
export class Bucket {
  readonly #clock: Clock;
  #tokens: number;
  #share: number;
  #filledMs: number;
  /** Lines since the last tick. */
  offered = 0;
  /** Lines a second, smoothed; undefined before the first tick. */
  demand: number | undefined;
  usedMs: number;
  limit: number;
  /** Pushed out (R4): whoever still has it asks for another one. */
  gone = false;

  constructor(clock: Clock, limit: number, share: number) {
    this.#clock = clock;
    this.limit = limit;
    this.#share = share;
    this.#filledMs = clock.monotonicMs();
    this.usedMs = this.#filledMs;
    this.#tokens = Math.max(1, share * newSeconds);
  }

  get share(): number {
    return this.#share;
  }

  set share(share: number) {
    this.#fill();
    this.#share = share;
    this.#tokens = Math.min(this.#tokens, this.#most);
  }

  /** A line: false is no. One of several points may be a debt, as a request. */
  take(points = 1): boolean {
    this.offered += points;
    // The clock is asked only when it matters: what has dripped in meanwhile is added then.
    if (this.#tokens < 1) this.#fill();
    if (this.#tokens < 1) return false;
    this.#tokens -= points;
    return true;
  }

  /** Lines that would all pass one by one, as things are now. With no, nothing has happened. */
  takeAtOnce(lines: number): boolean {
    if (this.#tokens < lines) return false;
    this.offered += lines;
    this.#tokens -= lines;
    return true;
  }

  /** Until a request may come in, ms. */
  waitMs(): number {
    if (this.#tokens < 1) this.#fill();
    if (this.#tokens >= 1) return 0;
    // A share that is nearly nothing now grows with the demand.
    const share = Math.max(this.#share, this.limit * leastShare);
    return Math.min(retryMsMost, Math.ceil(((1 - this.#tokens) / share) * 1000));
  }

  /** A whole request, as a debt if need be: so the average holds. */
  takeWhole(lines: number): void {
    this.offered += lines;
    this.#tokens -= lines;
  }

  get isFull(): boolean {
    this.#fill();
    return this.#tokens >= this.#most;
  }

  get #most(): number {
    return Math.max(1, this.#share * burstSeconds);
  }

  #fill(): void {
    const now = this.#clock.monotonicMs();
    const more = ((now - this.#filledMs) / 1000) * this.#share;
    this.#filledMs = now;
    this.#tokens = Math.min(this.#most, this.#tokens + more);
  }
}

interface Heard {
  demand: number;
  atMs: number;
}

export class Rates {
  readonly #options: RatesOptions;
  readonly #buckets = new LRUCache<string, Bucket>({
    max: tenantsMax,
    dispose: (bucket, tenant) => {
      bucket.gone = true;
      this.#gauge(tenant, 0, 0);
      this.#gauges.delete(tenant);
    },
  });
  /** Tenant, gateway, what that one is offered. */
  readonly #heard = new Map<string, Map<string, Heard>>();
  readonly #gauges = new Map<string, { share: Cell; demand: Cell }>();
  readonly #tenantsGauge: Cell;
  readonly #unheard: Cell;
  #tickedMs: number;
  #lostMs: number | undefined;
  #ends: (() => void)[] = [];
  #hears: "no" | "soon" | "yes" = "no";
  #stopped = false;

  constructor(options: RatesOptions) {
    this.#options = options;
    const { counters } = options;
    this.#tickedMs = options.clock.monotonicMs();
    this.#tenantsGauge = counters.gauge("gateway_limited_tenants", "Tenants whose points are counted here");
    this.#unheard = counters.counter(
      "gateway_rates_ignored_total",
      "Messages about rates that could not be read or found no room",
    );
  }

  async start(): Promise<void> {
    const { bus, clock } = this.#options;
    this.#ends.push(bus.onConnection((connected) => this.#connection(connected)));
    let cancel = () => {};
    const next = () => {
      cancel = clock.after(tickMs, () => {
        next();
        this.#tick();
      });
    };
    next();
    this.#ends.push(() => cancel());
    await this.#listen();
  }

  /** A gateway opens its doors although NATS was lost just now: it listens as soon as it can. */
  async #listen(): Promise<void> {
    if (this.#hears !== "no") return;
    this.#hears = "soon";
    try {
      const end = await this.#options.bus.listen(ratesSubject, (payload) => this.#hear(payload));
      if (this.#stopped) end();
      else this.#ends.push(end);
      this.#hears = "yes";
    } catch (error) {
      if (!isOutage(error)) throw error;
      this.#hears = "no";
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const end of this.#ends.splice(0)) end();
  }

  /** The tenant's bucket, made at need. */
  bucket(tenant: string, limit: number): Bucket {
    let bucket = this.#buckets.get(tenant);
    if (bucket === undefined) {
      bucket = new Bucket(this.#options.clock, limit, this.#shareNow(tenant, undefined, limit));
      this.#buckets.set(tenant, bucket);
    } else if (bucket.limit !== limit) {
      bucket.limit = limit;
      bucket.share = this.#shareNow(tenant, bucket.demand, limit);
    }
    return bucket;
  }

  #tick(): void {
    const { bus, clock } = this.#options;
    const now = clock.monotonicMs();
    const seconds = Math.max(0.001, (now - this.#tickedMs) / 1000);
    this.#tickedMs = now;
    if (bus.connected || (this.#lostMs !== undefined && now - this.#lostMs > heldMs)) this.#forget(now);
    const told: [string, number][] = [];
    const buckets = [...this.#buckets.entries()]; // the order changes below
    for (const [tenant, bucket] of buckets) {
      const rate = bucket.offered / seconds;
      if (bucket.offered > 0) {
        bucket.usedMs = now;
        this.#buckets.get(tenant); // R4: gates have it in their hands and don't ask for it
      } else if (now - bucket.usedMs > quietMs && bucket.isFull) {
        this.#buckets.delete(tenant);
        continue;
      }
      bucket.offered = 0;
      const fall = Math.max(0, (bucket.demand ?? 0) - rate);
      const demand = rate + fall * (1 - fallWeight);
      bucket.demand = demand < 0.01 ? 0 : demand;
      if (bucket.demand > 0) told.push([tenant, Math.round(bucket.demand * 100) / 100]);
      bucket.share = this.#shareNow(tenant, bucket.demand, bucket.limit);
      this.#gauge(tenant, bucket.share, bucket.demand);
    }
    this.#tenantsGauge.value = this.#buckets.size;
    if (!bus.connected) return;
    void this.#listen();
    for (let at = 0; at < told.length; at += tenantsPerMessage)
      bus.broadcast(ratesSubject, encode(this.#options.id, told.slice(at, at + tenantsPerMessage)));
  }

  /** R1. One that has no demand yet, or none any more, is taken for an average one: until it is, it uses nothing. */
  #shareNow(tenant: string, demand: number | undefined, limit: number): number {
    const heard = this.#heard.get(tenant);
    if (heard === undefined) return limit;
    const others = [...heard.values()].map((one) => one.demand);
    const average = others.reduce((sum, other) => sum + other, 0) / Math.max(1, others.length);
    return shareOf(demand === undefined || demand === 0 ? average : demand, others, limit);
  }

  #hear(payload: Uint8Array): void {
    const message = decode(payload);
    if (message === undefined) {
      this.#unheard.value++;
      return;
    }
    const { from, tenants } = message;
    if (from === this.#options.id) return;
    const atMs = this.#options.clock.monotonicMs();
    for (const [tenant, demand] of tenants) {
      let heard = this.#heard.get(tenant);
      if (heard === undefined) {
        if (this.#heard.size >= heardTenantsMax) {
          this.#unheard.value++;
          continue;
        }
        this.#heard.set(tenant, (heard = new Map()));
      }
      const known = heard.get(from);
      if (known !== undefined) {
        known.demand = demand;
        known.atMs = atMs;
      } else if (heard.size < gatewaysMax) heard.set(from, { demand, atMs });
      else this.#unheard.value++;
      const bucket = this.#buckets.peek(tenant);
      if (bucket !== undefined) bucket.share = this.#shareNow(tenant, bucket.demand, bucket.limit);
    }
  }

  /** R3. */
  #forget(now: number): void {
    for (const [tenant, heard] of this.#heard) {
      for (const [gateway, { atMs }] of heard) if (now - atMs >= goneMs) heard.delete(gateway);
      if (heard.size === 0) this.#heard.delete(tenant);
    }
  }

  /** R3. Back again, the others have three seconds to say that they are there. */
  #connection(connected: boolean): void {
    const now = this.#options.clock.monotonicMs();
    this.#lostMs = connected ? undefined : now;
    if (!connected) return;
    for (const heard of this.#heard.values()) for (const one of heard.values()) one.atMs = now;
  }

  #gauge(tenant: string, share: number, demand: number): void {
    let cells = this.#gauges.get(tenant);
    if (cells === undefined) {
      if (this.#gauges.size >= gaugedMax) return;
      const { counters } = this.#options;
      cells = {
        share: counters.gauge("gateway_tenant_points_share", "Points a second this gateway may pass", {
          tenant,
        }),
        demand: counters.gauge("gateway_tenant_points_demand", "Points a second it is offered", { tenant }),
      };
      this.#gauges.set(tenant, cells);
    }
    cells.share.value = share;
    cells.demand.value = demand;
  }
}

/** [version, gateway, [[tenant, lines a second], ...]] */
function encode(from: string, tenants: [string, number][]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify([1, from, tenants]));
}

/** Whatever comes on the subject: undefined where it is none of ours. */
function decode(payload: Uint8Array): { from: string; tenants: [string, number][] } | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed) || parsed[0] !== 1) return undefined;
  const [, from, rows] = parsed as unknown[];
  if (typeof from !== "string" || from.length > 64 || !Array.isArray(rows)) return undefined;
  if (rows.length > tenantsPerMessage) return undefined;
  const tenants: [string, number][] = [];
  for (const row of rows as unknown[]) {
    if (!Array.isArray(row)) return undefined;
    const [tenant, demand] = row as unknown[];
    if (typeof tenant !== "string" || tenant.length > 64) return undefined;
    if (typeof demand !== "number" || !(demand >= 0 && demand < 1e12)) return undefined;
    tenants.push([tenant, demand]);
  }
  return { from, tenants };
}
