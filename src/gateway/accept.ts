// Bytes of a raw connection to lines of tenants in frames; every refusal counted with its reason.
//
// A1. A line that can't be taken yet is not taken: the sink asks its door to stop reading, and keeps at most one
//     chunk and the beginning of one line.
// A2. A line that goes to a shard that says no waits only while nobody else has to wait for it: on a connection that
//     feeds several shards it is refused as shard-full.
// A3. A bad line costs that line.
// A4. Nobody can be asked to wait for lines of datagrams: what has no room is refused, with the reason why.
// A5. A connection that its tenant may not have is closed at its first line with a known key: no line of it is taken.
// A6. Lines from an address that belongs to a tenant carry no key: the whole name is the name.
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import type { Bus } from "../bus/bus.ts";
import type { RoutedLines, RoutedRuns, Router } from "../kernel/kernel.ts";
import { aheadSecondsMax } from "../metric/bucket.ts";
import { oldestHeld } from "../metric/ladder-rules.ts";
import type { Door, Kind } from "../metric/frame.ts";
import { reasonCode } from "../metric/reason.ts";
import { keyEnd } from "../tenant/keys.ts";
import type { KeyCache } from "./key-cache.ts";
import type { RefusedAt, Refusals } from "./refusals.ts";
import type { Route } from "./routes.ts";
import type { LineSink, SinkConnection } from "./sink.ts";
import type { Tally } from "./tally.ts";

export interface AcceptOptions {
  door: Door;
  kind: Kind;
  /** Of the kind's grammar. */
  router: Router;
  keys: KeyCache;
  bus: Bus;
  clock: Clock;
  tally: Tally;
  refusals: Refusals;
  /** Address of the sender. */
  peer: string;
  /** A4. For `takeDatagram`. */
  lossy?: boolean;
  /** The one that the bytes come by, where there is one. */
  connection?: SinkConnection;
}

/** A shard that took nothing for this long says no, although it does not answer so. */
const stuckMsMax = 5000;
const lookAgainMs = 200;

/** What a run over some rows found out. */
type Pass = { kind: "done" } | { kind: "blocked"; at: number; until: Promise<void> };
const done: Pass = { kind: "done" };

export class RawSink implements LineSink {
  readonly #options: AcceptOptions;
  readonly #lossy: boolean;
  #peer: string;
  /** The beginning of a line whose end has not come yet: the router leaves at most 16 KB of one. */
  #carry: Buffer | undefined;
  /** The bytes up to the next line end belong to a line that was refused as too long. */
  #skipping = false;
  /** The shard that this connection feeds, and whether it feeds others too. */
  #shard: number | undefined;
  #mixed = false;
  /** A6. Whose all lines are, by the sender's address. */
  #own: Route | undefined;
  /** Whose connection it is has been said. */
  #owned = false;
  /** The connection was closed under us: A5. */
  #turnedAway = false;

  constructor(options: AcceptOptions) {
    this.#options = options;
    this.#lossy = options.lossy ?? false;
    this.#peer = options.peer;
  }

  /** All lines of a datagram, a last one without line end included. One sink serves all senders. */
  takeDatagram(bytes: Buffer, peer: string): void {
    this.#peer = peer;
    const pass = this.#advance(bytes, true, 0);
    assert(this.#lossy && pass.kind === "done", "a datagram's lines never wait");
  }

  take(chunk: Buffer): Promise<void> | undefined {
    const carry = this.#carry;
    if (carry === undefined) return this.#takeAll(chunk, false);
    this.#carry = undefined;
    // The line that began in the chunk before is put together by itself: all others are read where they are. One that
    // must wait was not taken, and what lies behind it says whether it may.
    const end = chunk.indexOf(0x0a) + 1;
    const isTaken =
      end > 0 && this.#advance(Buffer.concat([carry, chunk.subarray(0, end)]), false, 0).kind === "done";
    return isTaken ? this.#takeAll(chunk, false, end) : this.#takeAll(Buffer.concat([carry, chunk]), false);
  }

  end(): Promise<void> | undefined {
    const bytes = this.#carry;
    this.#carry = undefined;
    return bytes === undefined ? undefined : this.#takeAll(bytes, true);
  }

  #takeAll(bytes: Buffer, last: boolean, from = 0): Promise<void> | undefined {
    const pass = this.#advance(bytes, last, from);
    if (pass.kind === "done") return undefined;
    return this.#whenTaken(Buffer.from(bytes.subarray(pass.at)), last, { ...pass, at: 0 });
  }

  async #whenTaken(bytes: Buffer, last: boolean, blocked: Pass): Promise<void> {
    for (let pass = blocked; pass.kind === "blocked"; pass = this.#advance(bytes, last, pass.at))
      await Promise.race([pass.until, this.#options.clock.sleep(lookAgainMs)]);
  }

  #advance(bytes: Buffer, last: boolean, from: number): Pass {
    const { router } = this.#options;
    // Asked anew for each chunk: a change holds for connections that are open.
    this.#own = this.#options.keys.ofAddress(this.#peer);
    const keyed = this.#own === undefined;
    let at = from;
    while (at < bytes.length && !this.#turnedAway) {
      router.route(bytes, at, bytes.length, { keyed, last, skipping: this.#skipping });
      const { consumed, skipping } = router.lines;
      const pass = this.#rows(bytes);
      this.#skipping = pass.kind === "done" && skipping;
      if (pass.kind === "blocked") return pass;
      if (consumed === at) break;
      at = consumed;
    }
    // A copy, so that the socket's whole chunk is not kept for the sake of a few bytes.
    if (at < bytes.length && !this.#turnedAway) this.#carry = Buffer.from(bytes.subarray(at));
    return done;
  }

  #rows(bytes: Buffer): Pass {
    const { tally, door, kind, keys } = this.#options;
    const { lines } = this.#options.router;
    const { runs } = lines;
    for (let i = 0, run = 0; i < lines.count; i++) {
      if (runs !== undefined && run < runs.count && runs.firstRow[run] === i) {
        const taken = this.#run(bytes, lines, runs, run++);
        if (this.#turnedAway) return done;
        if (taken > 0) {
          i += taken - 1;
          continue;
        }
      }
      const keyFrom = lines.keyFrom[i] as number;
      let from = lines.from[i] as number;
      const to = lines.to[i] as number;
      let route = this.#own ?? keys.of(bytes, keyFrom, lines.keyTo[i] as number);
      if (this.#own !== undefined) {
        const named = this.#keyed(bytes, from, to);
        if (named !== undefined) {
          route = named.route;
          from = named.from;
          lines.from[i] = from; // for whoever samples the line
        }
      }
      if (!this.#owned && !this.#mayCome(route)) return done;
      let reason = lines.reason[i] as number;
      if (route.kind === "refused" && runs === undefined && this.#own === undefined) {
        const count = this.#ofOneKey(bytes, i);
        this.#refuse(route, reason, bytes, i, count);
        i += count - 1;
        continue;
      }
      if (route.kind === "unavailable" && reason !== reasonCode["no-key"]) {
        if (this.#lossy) {
          this.#refuse(route, reasonCode["unavailable"], bytes, i);
          continue;
        }
        return { kind: "blocked", at: keyFrom, until: this.#options.clock.sleep(lookAgainMs) };
      }
      if (reason === 0 && route.kind === "tenant") {
        const { batcher } = route;
        this.#feeds(batcher.shard);
        if (!batcher.hasRoom(to - from + 1, door)) {
          if (!this.#mixed && !this.#lossy) this.#lookAhead(bytes, i + 1);
          if (!this.#lossy && !this.#mustNotWait(batcher)) {
            return { kind: "blocked", at: keyFrom, until: batcher.whenRoom() };
          }
          reason = reasonCode["shard-full"];
        } else {
          const frame = batcher.frame(door);
          const seconds = lines.seconds[i] as number;
          // NaN, a line without time stamp, compares false both times.
          if (seconds < oldestHeld(frame.nowSeconds, route.reach)) reason = reasonCode["too-old"];
          else if (seconds > frame.nowSeconds + aheadSecondsMax) reason = reasonCode["too-new"];
          else reason = route.gate?.judge(bytes, from, to, kind) ?? 0;
          if (reason === 0) {
            batcher.append(route.tenant.id, door, kind, bytes, from, to);
            tally.accepted(batcher.shard, 1);
            continue;
          }
        }
      }
      this.#refuse(route, reason, bytes, i);
    }
    return done;
  }

  /** Takes, or refuses, a run of lines at once where nothing is odd about it; answers how many, or 0: look at each. */
  #run(bytes: Buffer, lines: RoutedLines, runs: RoutedRuns, run: number): number {
    if (this.#own !== undefined) return 0;
    const { keys, door, kind, tally } = this.#options;
    const first = runs.firstRow[run] as number;
    const route = keys.of(bytes, lines.keyFrom[first] as number, lines.keyTo[first] as number);
    if (route.kind === "unavailable") return 0;
    if (!this.#owned && !this.#mayCome(route)) return 0;
    const rows = runs.rows[run] as number;
    if (route.kind === "refused") {
      this.#refuse(route, 0, bytes, first, rows);
      return rows;
    }
    const { batcher, tenant } = route;
    const text = runs.text.subarray(runs.textFrom[run], runs.textTo[run]);
    if (!batcher.hasRoom(text.length, door)) return 0;
    const { nowSeconds } = batcher.frame(door);
    if ((runs.leastSeconds[run] as number) < oldestHeld(nowSeconds, route.reach)) return 0;
    if ((runs.mostSeconds[run] as number) > nowSeconds + aheadSecondsMax) return 0;
    if (route.gate?.passRun(rows, runs.longestName[run] as number) === false) return 0;
    this.#feeds(batcher.shard);
    batcher.appendLines(tenant.id, door, kind, text, rows);
    tally.accepted(batcher.shard, rows);
    return rows;
  }

  /** Rows from this one on that have its key: where that opens nothing, they are refused at once. Lines without one go singly. */
  #ofOneKey(bytes: Buffer, row: number): number {
    const { lines } = this.#options.router;
    const from = lines.keyFrom[row] as number;
    const to = lines.keyTo[row] as number;
    let count = 1;
    if (lines.reason[row] === reasonCode["no-key"]) return count;
    for (let i = row + 1; i < lines.count; i++, count++) {
      if (lines.reason[i] === reasonCode["no-key"]) break;
      if (bytes.compare(bytes, lines.keyFrom[i], lines.keyTo[i], from, to) !== 0) break;
    }
    return count;
  }

  /** A6. A known key in front of a line that needs none is a key nevertheless: it says whose it is, and is not kept. */
  #keyed(bytes: Buffer, from: number, to: number): { route: Route; from: number } | undefined {
    const end = keyEnd(bytes, from, to);
    if (end < 0) return undefined;
    const route = this.#options.keys.of(bytes, from, end);
    const known = route.kind === "tenant" || (route.kind === "refused" && route.tenant !== undefined);
    return known ? { route, from: end + 1 } : undefined;
  }

  /** A5. */
  #mayCome(route: Route): boolean {
    if (route.kind === "unavailable" || route.tenant === undefined) return true;
    this.#owned = true;
    this.#turnedAway = this.#options.connection?.belongsTo(route.tenant.id) === false;
    return !this.#turnedAway;
  }

  #feeds(shard: number): void {
    if (this.#shard === shard || this.#mixed) return;
    this.#mixed = this.#shard !== undefined;
    this.#shard = shard;
  }

  /** Lines for other shards may lie behind one that can't be taken, and nobody would see them while it waits. */
  #lookAhead(bytes: Buffer, row: number): void {
    const { keys, router } = this.#options;
    const { lines } = router;
    if (this.#own !== undefined) return; // all for one shard
    for (let i = row; i < lines.count && !this.#mixed; i++) {
      const route = keys.of(bytes, lines.keyFrom[i] as number, lines.keyTo[i] as number);
      if (route.kind === "tenant" && lines.reason[i] === 0) this.#feeds(route.batcher.shard);
    }
  }

  /** `count`: so many lines of one key, of which this is the first. */
  #refuse(route: Route, code: number, bytes: Buffer, row: number, count = 1): void {
    const { door, refusals, router, tally } = this.#options;
    const { lines } = router;
    const at: RefusedAt = {
      door,
      peer: this.#peer,
      bytes,
      keyFrom: lines.keyFrom[row] as number,
      keyTo: lines.keyTo[row] as number,
      from: lines.from[row] as number,
      to: lines.to[row] as number,
    };
    refusals.refuse(route, code, at, tally, count);
  }

  /** A2: the bus is there, the shard takes nothing, and lines for others share this connection. */
  #mustNotWait(batcher: { refusing: boolean; stuckMs(): number }): boolean {
    if (!this.#options.bus.connected || !this.#mixed) return false;
    return batcher.refusing || batcher.stuckMs() > stuckMsMax;
  }
}
