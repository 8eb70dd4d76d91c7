// What an actor holds between two commits: the deltas of (committed, read], and the books that go with them.
//
// D1. The state is exactly what frames (committed, read] say: the same frames always give the same commit.
// D2. A frame that was applied before is skipped and counted, whatever the broker's duplicate window says (P2).
// D3. What a door says that it received is booked beside what became of it, counted apart: so the books can be checked.
// D4. A frame or line that can't be applied becomes a dead letter with its reason; the rest of it counts (P3).
import { assert } from "../src/base/assert.ts";
import type { RecordedFrame } from "../src/bus/bus.ts";
import type { Aggregator } from "../src/kernel/kernel.ts";
import {
  decodeFrame,
  hex,
  type DecodedFrame,
  type Door,
  type Frame,
  type Kind,
} from "../src/metric/frame.ts";
import { reasonCode, reasons, type Reason } from "../src/metric/reason.ts";
import type { RefusedLines } from "../src/gateway/refused-lines.ts";
import { addNumber, holds } from "../src/store/intervals.ts";
import type { SeriesRoom } from "./series-room.ts";
import {
  newSeriesFlag,
  type BootApplied,
  type Commit,
  type DeadLetter,
  type Interval,
  type LedgerRow,
  type SeriesKey,
  type ShardState,
} from "../src/store/store.ts";

/** In the place of an id: the series lost the one it had, and is named anew when a point comes. */
const dropped = 0xffff_ffff;

/** More dead letters than this in one commit are counted in the ledger, and the last letter says so. */
const deadLettersMax = 10_000;

interface Boot {
  /** All that was applied, in the store and in this batch. */
  applied: Interval[];
  /** What this batch adds. */
  added: Interval[];
  lastAppliedMs: number;
}

/** Where lines come from, for the books. */
interface Origin {
  recorded: RecordedFrame;
  tenant: string;
  door: Door;
  kind: Kind;
  minute: number;
  receivedAtMs: number;
}

/** A line whose series waits for the store's word. */
interface Waiting {
  origin: Origin;
  line: Uint8Array;
  asked: number;
}

export class Batch {
  #aggregator: Aggregator;
  readonly #room: SeriesRoom | undefined;
  readonly #samples: RefusedLines | undefined;
  #waiting: Waiting[] = [];
  /** Letters of the frame at hand. */
  #part = 0;
  readonly #tenantNumbers = new Map<string, number>();
  readonly #tenants: string[] = [];
  /** Stored id by local number; 0: not known yet; or `dropped`. Filled only after ok. */
  #ids = new Uint32Array(1024);
  readonly #boots = new Map<string, Boot>();
  readonly #ledger = new Map<string, LedgerRow>();
  #keyed = new Map<string, { id: Uint8Array; appliedAtMs: number }>();
  #dead: DeadLetter[] = [];
  #holes: Interval[] = [];
  #awaitingIds: number[] = [];
  /** Series whose stored id is known. */
  #named = 0;
  #dropped = 0;
  readonly counts = { points: 0, frames: 0, duplicates: 0, refused: 0, dead: 0, holes: 0 };
  /** Sequence read; the offset that the next commit reaches. */
  read: number;
  frames = 0;
  bytes = 0;
  #frameTimeMs: number;
  #receivedAtMs: number;

  /**
   * `room`: who is asked about new series; without it there may be any number. `samples` remembers lines that were
   * refused here.
   */
  constructor(aggregator: Aggregator, state: ShardState, room?: SeriesRoom, samples?: RefusedLines) {
    this.#aggregator = aggregator;
    this.#samples = samples;
    this.#room = room;
    if (room !== undefined) aggregator.admitBy(room.admit);
    this.read = state.offset;
    this.#frameTimeMs = state.frameTimeMs;
    this.#receivedAtMs = state.receivedAtMs;
    for (const { boot, applied, lastAppliedMs } of state.boots)
      this.#boots.set(boot, { applied: applied.map(([a, b]) => [a, b]), added: [], lastAppliedMs });
  }

  get openRows(): number {
    return this.#aggregator.openRows;
  }

  /** The cache of series should be made anew. */
  get isCrowded(): boolean {
    return this.#aggregator.isCrowded;
  }

  get seriesCount(): number {
    return this.#aggregator.seriesCount;
  }

  /** Series whose ids the next commit will ask for: each costs the commit some hundred bytes of memory. */
  get unnamedSeries(): number {
    return this.#aggregator.seriesCount - this.#named - this.#dropped;
  }

  /** Series whose id was dropped, and which got no other since: mostly nobody sends them any more. */
  get droppedSeries(): number {
    return this.#dropped;
  }

  get receivedAtMs(): number {
    return this.#receivedAtMs;
  }

  /** The keyed id to ask the store about before `apply`, if the frame has one that this batch does not know. */
  keyedIdOf(decoded: DecodedFrame): Uint8Array | undefined {
    if (decoded.kind !== "frame" || decoded.frame.identity.kind !== "keyed") return undefined;
    const { id } = decoded.frame.identity;
    return this.#keyed.has(hex(id)) ? undefined : id;
  }

  decode(recorded: RecordedFrame): DecodedFrame {
    return decodeFrame(recorded.data);
  }

  /** `stored`: the store has applied the keyed id of this frame. */
  apply(recorded: RecordedFrame, decoded: DecodedFrame, stored: boolean): void {
    assert(recorded.sequence > this.read, `a sequence after ${this.read}, got ${recorded.sequence}`);
    this.read = recorded.sequence;
    this.frames++;
    this.counts.frames++;
    this.bytes += recorded.data.length;
    this.#frameTimeMs = recorded.timeMs;
    if (decoded.kind === "corrupt") {
      this.#bury(recorded, 0, "", "", "corrupt-frame", decoded.why, recorded.timeMs, recorded.data);
      return;
    }
    const { frame } = decoded;
    if (stored || !this.#isNew(frame, recorded.timeMs)) {
      this.counts.duplicates++;
      if (frame.identity.kind === "keyed") this.#bookDuplicate(frame);
      return;
    }
    this.#receivedAtMs = Math.max(this.#receivedAtMs, frame.receivedAtMs);
    this.#applyFrame(recorded, frame);
  }

  /** Lines of the last frame wait: `decide` before the next one, or a commit. */
  get isUndecided(): boolean {
    return this.#waiting.length > 0;
  }

  /** Asks which of the new names are stored, and takes or refuses the lines that wait for it. */
  async decide(): Promise<void> {
    const room = this.#room;
    while (room !== undefined && this.#waiting.length > 0) {
      await room.decide((local) => this.#aggregator.seriesName(local));
      const waiting = this.#waiting;
      this.#waiting = [];
      let refused = 0;
      waiting.forEach(({ origin, line, asked }, i) => {
        if (room.refuses(asked)) {
          refused++;
          this.#sample(origin, line);
        } else this.#ingest(origin, line);
        if (waiting[i + 1]?.origin === origin) return;
        this.#refuseSeries(origin, refused);
        refused = 0;
      });
      room.settled();
    }
  }

  /** Sequences that the record does not hold any more. */
  hole(from: number, to: number): void {
    this.#holes.push([from, to]);
    this.counts.holes += to - from + 1;
    this.read = to;
  }

  /** Nothing to write and the offset would not move. */
  isEmpty(offset: number): boolean {
    return this.read === offset;
  }

  /** The commit of everything since the last one. Views of the aggregator: valid until the next `apply`. */
  commit(epoch: number, from: number, incarnation: string): Commit {
    assert(!this.isUndecided, "no line waits when a commit is made");
    const { gauges = [], ...deltas } = this.#aggregator.commit();
    const newSeries: SeriesKey[] = [];
    this.#awaitingIds = [];
    this.#growIds(this.#aggregator.seriesCount);
    const series = new Uint32Array(deltas.count);
    const pending = new Map<number, number>();
    const stored = (local: number): number => {
      const id = this.#ids[local] as number;
      if (id !== 0 && id !== dropped) return id;
      let index = pending.get(local);
      if (index === undefined) {
        index = newSeries.length;
        pending.set(local, index);
        this.#awaitingIds.push(local);
        const tenant = this.#tenants[this.#aggregator.seriesTenant(local)];
        assert(tenant !== undefined, "a series belongs to a tenant that was numbered");
        newSeries.push({ tenant, name: this.#aggregator.seriesName(local) });
      }
      return newSeriesFlag + index;
    };
    for (let row = 0; row < deltas.count; row++) series[row] = stored(deltas.series[row] as number);
    const changes = gauges.map((gauge) => ({ ...gauge, series: stored(gauge.series) }));
    const boots: BootApplied[] = [];
    for (const [boot, { added, lastAppliedMs }] of this.#boots)
      if (added.length > 0) boots.push({ boot, applied: added, lastAppliedMs });
    return {
      epoch,
      from,
      to: this.read,
      incarnation,
      frameTimeMs: this.#frameTimeMs,
      receivedAtMs: this.#receivedAtMs,
      newSeries,
      deltas: { ...deltas, series },
      gauges: changes,
      boots,
      keyed: [...this.#keyed.values()],
      ledger: [...this.#ledger.values()],
      dead: this.#dead,
      holes: this.#holes,
    };
  }

  /** The commit is in the store: only now ids may be kept, and the books start afresh. */
  committed(ids: Uint32Array): void {
    this.#awaitingIds.forEach((local, index) => {
      if (this.#ids[local] === dropped) this.#dropped--;
      this.#ids[local] = ids[index] as number;
    });
    this.#named += this.#awaitingIds.length;
    this.#room?.committed();
    this.#awaitingIds = [];
    for (const boot of this.#boots.values()) boot.added = [];
    this.#ledger.clear();
    this.#keyed = new Map();
    this.#dead = [];
    this.#holes = [];
    this.frames = 0;
    this.bytes = 0;
  }

  /**
   * Stored ids that are no names any more. Rows are open under local numbers: those of the series that went are named
   * anew by the next commit, with whatever comes later. Not while a commit is under way: it says the old ids.
   */
  drop(ids: Uint32Array): void {
    if (ids.length === 0) return;
    this.#room?.dropped();
    // The cache may hold millions: a look at one bit decides for nearly all.
    const bits = new Uint8Array(8192);
    for (const id of ids) bits[(id & 0xffff) >> 3] = (bits[(id & 0xffff) >> 3] as number) | (1 << (id & 7));
    const gone = new Set(ids);
    const known = Math.min(this.#ids.length, this.#aggregator.seriesCount);
    for (let local = 0; local < known; local++) {
      const id = this.#ids[local] as number;
      if (((bits[(id & 0xffff) >> 3] as number) & (1 << (id & 7))) === 0 || !gone.has(id)) continue;
      this.#ids[local] = dropped;
      this.#aggregator.forget(local);
      this.#named--;
      this.#dropped++;
    }
  }

  /** Another, empty cache of series. Right after `committed`: nothing is open, and ids are asked for anew. */
  renew(aggregator: Aggregator): void {
    assert(this.frames === 0 && this.#aggregator.openRows === 0, "nothing is open when the cache is dropped");
    this.#aggregator = aggregator;
    if (this.#room !== undefined) aggregator.admitBy(this.#room.admit);
    this.#room?.renewed();
    this.#ids = new Uint32Array(1024);
    this.#named = 0;
    this.#dropped = 0;
    this.#tenantNumbers.clear();
    this.#tenants.length = 0;
  }

  /** D2. Notes the frame's identity; false when it was applied before. */
  #isNew(frame: Frame, timeMs: number): boolean {
    const { identity } = frame;
    if (identity.kind === "keyed") {
      const id = hex(identity.id);
      if (this.#keyed.has(id)) return false;
      // The broker's time, not ours: the same record always gives the same commit.
      this.#keyed.set(id, { id: Uint8Array.from(identity.id), appliedAtMs: timeMs });
      return true;
    }
    const name = hex(identity.boot);
    let boot = this.#boots.get(name);
    if (boot === undefined) this.#boots.set(name, (boot = { applied: [], added: [], lastAppliedMs: 0 }));
    if (holds(boot.applied, identity.n)) return false;
    addNumber(boot.applied, identity.n);
    addNumber(boot.added, identity.n);
    boot.lastAppliedMs = Math.max(boot.lastAppliedMs, timeMs);
    return true;
  }

  #applyFrame(recorded: RecordedFrame, frame: Frame): void {
    const minute = Math.floor(frame.receivedAtMs / 60_000) * 60;
    this.#part = 0;
    this.#room?.look();
    for (const section of frame.sections) {
      const { tenant, door, kind, lines } = section;
      this.#book(tenant, door, minute, "received", "", section.lineCount);
      this.#ingest({ recorded, tenant, door, kind, minute, receivedAtMs: frame.receivedAtMs }, lines);
    }
    for (const { tenant, door, minute: refusedAt, reason, count } of frame.refusals) {
      this.#book(tenant, door, refusedAt, "received", "", count);
      this.#book(tenant, door, refusedAt, "refused", reason, count);
    }
  }

  #ingest(origin: Origin, lines: Uint8Array): void {
    const { recorded, tenant, door, minute, receivedAtMs } = origin;
    const number = this.#tenantNumber(tenant);
    let refused = 0;
    const refuse = (code: number, line: Uint8Array) => {
      const reason = reasons[code] ?? "malformed";
      if (code === reasonCode["series-limit"]) {
        const asked = this.#room?.takeAsked() ?? -1;
        if (asked >= 0) this.#waiting.push({ origin, line, asked });
        else {
          refused++;
          this.#sample(origin, line);
        }
        return;
      }
      this.#book(tenant, door, minute, "dead", reason, 1);
      this.#bury(recorded, this.#part++, tenant, door, reason, "refused by the actor", receivedAtMs, line);
    };
    const aggregator = this.#aggregator;
    const stored =
      origin.kind === "statsd"
        ? aggregator.ingestStatsd(number, lines, receivedAtMs, refuse)
        : aggregator.ingest(number, lines, receivedAtMs, refuse);
    this.counts.points += stored;
    if (stored > 0) this.#book(tenant, door, minute, "stored", "", stored);
    this.#refuseSeries(origin, refused);
  }

  #sample({ tenant, door }: Origin, line: Uint8Array): void {
    this.#samples?.add(tenant, door, "series-limit", "", line, 0, line.length);
  }

  #refuseSeries({ tenant, door, minute }: Origin, count: number): void {
    if (count === 0) return;
    this.counts.refused += count;
    this.#book(tenant, door, minute, "refused", "series-limit", count);
  }

  /** The sender sent it twice, so it was received twice: the second time is in the books as refused. */
  #bookDuplicate(frame: Frame): void {
    const minute = Math.floor(frame.receivedAtMs / 60_000) * 60;
    for (const { tenant, door, lineCount } of frame.sections) {
      this.#book(tenant, door, minute, "received", "", lineCount);
      this.#book(tenant, door, minute, "refused", "duplicate", lineCount);
    }
  }

  #book(
    tenant: string,
    door: Door,
    minute: number,
    fate: LedgerRow["fate"],
    reason: string,
    count: number,
  ): void {
    if (count === 0) return;
    const key = `${tenant} ${door} ${minute} ${fate} ${reason}`;
    const row = this.#ledger.get(key);
    if (row === undefined) this.#ledger.set(key, { tenant, door, minute, fate, reason, count });
    else row.count += count;
  }

  #bury(
    recorded: RecordedFrame,
    part: number,
    tenant: string,
    door: string,
    reason: Reason,
    detail: string,
    receivedAtMs: number,
    bytes: Uint8Array,
  ): void {
    this.counts.dead++;
    const last = this.#dead.at(-1);
    if (this.#dead.length >= deadLettersMax && last !== undefined) {
      last.detail = `and more of this commit: ${this.#dead.length} letters are the bound; the record has the lines`;
      return;
    }
    const { sequence } = recorded;
    this.#dead.push({
      sequence,
      part,
      tenant,
      door,
      reason,
      detail,
      receivedAtMs,
      kind: "plaintext",
      lines: 1,
      bytes: Uint8Array.from(bytes),
    });
  }

  #tenantNumber(tenant: string): number {
    let number = this.#tenantNumbers.get(tenant);
    if (number === undefined) {
      number = this.#tenants.push(tenant) - 1;
      this.#tenantNumbers.set(tenant, number);
      this.#room?.number(tenant);
    }
    return number;
  }

  #growIds(least: number): void {
    if (least <= this.#ids.length) return;
    const grown = new Uint32Array(Math.max(least, this.#ids.length * 2));
    grown.set(this.#ids);
    this.#ids = grown;
  }
}
