// The engine for tests, simple enough to be right at sight: the other engines are compared with it. Every row stays as
// it was committed; what upkeep does is to say how rows are read (memory/upkeep.ts, memory/snapshot.ts).
import { assert } from "../base/assert.ts";
import { Outage } from "../base/errors.ts";
import { withNamedLetters } from "./eras.ts";
import { applyGauges } from "./gauges.ts";
import { mergeIntervals } from "./intervals.ts";
import {
  adoptedHead,
  attemptedHead,
  claimedBefore,
  claimedHead,
  commitRefused,
  committedHead,
  fillStartedHead,
  seenByStarter,
  settledHead,
  skippedHead,
} from "./lane-changes.ts";
import { dropSeries, freshDisk, keyOfName, namesOf, stateOf, type Disk, type Row } from "./memory/disk.ts";
import { foundIn } from "./memory/find.ts";
import { applyLetters, dropLetters, keyOfLetter } from "./memory/letters.ts";
import {
  beginReplay,
  giveUpBuried,
  giveUpReplay,
  giveUpStaged,
  isReady,
  swapReplay,
} from "./memory/replays.ts";
import { MemorySnapshot } from "./memory/snapshot.ts";
import { deletedOf, shownName } from "./tombstones.ts";
import { daySeconds, upkeepStep } from "./memory/upkeep.ts";
import {
  doneOf,
  isNext,
  stagedHead,
  type ReplayAsked,
  type ReplayBegun,
  type StagedPart,
  type Swapped,
} from "./replay-changes.ts";
import { isWithin, replayOf } from "./replays.ts";
import {
  bootKeptMs,
  keyedKeptMs,
  ledgerKeptMs,
  newSeriesFlag,
  type Changed,
  type Interval,
  type LedgerRow,
  type Lane,
  type LaneState,
  type LetterPlace,
  type TrialRange,
  type ClaimResult,
  type Commit,
  type CommitResult,
  type Deleted,
  type DeltaColumns,
  type Forgotten,
  type Owner,
  type Retired,
  type ShardReader,
  type ShardStore,
  type StoreEngine,
} from "./store.ts";
import { isAppliedTwice, type AppliedBefore } from "./twice.ts";

/** All shards live as long as the engine: opening one again finds what was committed. */
export function createMemoryEngine(): StoreEngine {
  const disks = new Map<number, Disk>();
  const diskOf = (shard: number) => {
    const disk = disks.get(shard) ?? freshDisk();
    disks.set(shard, disk);
    return disk;
  };
  return {
    async openShard(shard) {
      return new MemoryShard(diskOf(shard));
    },
    async openUpkeep(shard) {
      const disk = diskOf(shard);
      return { step: async (task) => upkeepStep(disk, task), close: async () => {} };
    },
    async openReader(shard): Promise<ShardReader> {
      return {
        async snapshot() {
          const disk = disks.get(shard);
          if (disk === undefined)
            throw new Outage("store-unavailable", `the store of shard ${shard} is not there yet`);
          return new MemorySnapshot(disk);
        },
        async close() {},
      };
    },
  };
}

class MemoryShard implements ShardStore {
  readonly #disk: Disk;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  async claim(owner: Owner): Promise<ClaimResult> {
    const disk = this.#disk;
    const other = claimedBefore(disk.state.owner, owner);
    if (other !== undefined) return { kind: "refused", owner: other.node, mapVersion: other.mapVersion };
    const before = disk.state.lanes.live;
    disk.state = claimedHead(disk.state, owner);
    return this.#claimed("live", before);
  }

  async resume(epoch: number): Promise<ClaimResult> {
    return epoch === this.#disk.state.epoch
      ? { kind: "claimed", state: stateOf(this.#disk) }
      : this.#refused();
  }

  async startFill(epoch: number, instance: string): Promise<ClaimResult> {
    const disk = this.#disk;
    if (epoch !== disk.state.epoch) return this.#refused();
    const before = disk.state.lanes.fill;
    disk.state = fillStartedHead(disk.state, instance);
    return this.#claimed("fill", before);
  }

  async attempt(epoch: number, lane: Lane, trial: TrialRange | undefined): Promise<Changed> {
    return this.#change(epoch, (head) => attemptedHead(head, lane, trial));
  }

  async settled(epoch: number, lane: Lane): Promise<Changed> {
    return this.#change(epoch, (head) => settledHead(head, lane));
  }

  async skip(
    epoch: number,
    to: number,
    at: { incarnation: string; frameTimeMs: number; receivedAtMs: number },
  ): Promise<Changed> {
    return this.#change(epoch, (head) => skippedHead(head, to, at));
  }

  async adopt(
    epoch: number,
    to: { incarnation: string; offset: number; frameTimeMs: number; hole: Interval | undefined },
  ): Promise<Changed> {
    const changed = this.#change(epoch, (head) => adoptedHead(head, to));
    if (replayOf(this.#disk.state) === undefined) giveUpStaged(this.#disk);
    return changed;
  }

  #change(epoch: number, change: (head: Disk["state"]) => Disk["state"]): Changed {
    if (epoch !== this.#disk.state.epoch) return "fenced";
    this.#disk.state = change(this.#disk.state);
    return "ok";
  }

  #claimed(lane: Lane, before: LaneState): ClaimResult {
    const state = stateOf(this.#disk);
    return { kind: "claimed", state: { ...state, lanes: seenByStarter(state.lanes, lane, before) } };
  }

  #refused(): ClaimResult {
    const { owner } = this.#disk.state;
    return { kind: "refused", owner: owner?.node ?? "", mapVersion: owner?.mapVersion ?? 0 };
  }

  async commit(asked: Commit): Promise<CommitResult> {
    const disk = this.#disk;
    if (asked.epoch !== disk.state.epoch) return { kind: "fenced", epoch: disk.state.epoch };
    const refused = commitRefused(disk.state, asked);
    if (refused !== undefined) return refused;
    if (isAppliedTwice(appliedBefore(disk), asked)) return { kind: "at", offset: asked.from };
    const commit = withNamedLetters(disk.state.era, asked);
    const ids = Uint32Array.from(commit.newSeries, ({ tenant, name }) => this.#idOf(tenant, name));
    const idOf = (said: number) => (said >= newSeriesFlag ? (ids[said - newSeriesFlag] ?? 0) : said);
    const before = (id: number) => disk.gauges.get(id) ?? 0;
    const { deltas, values } = applyGauges(commit.deltas, commit.gauges ?? [], idOf, before);
    disk.commits++;
    for (const [id, value] of values) {
      if (!disk.series.has(id)) continue;
      disk.gauges.set(id, value);
      if (!disk.gaugeSince.has(id)) disk.gaugeSince.set(id, disk.commits);
    }
    disk.rows.push(...rowsOf(deltas, idOf, disk.commits));
    for (const { boot, applied, lastAppliedMs } of commit.boots) {
      const known = disk.boots.get(boot);
      disk.boots.set(boot, {
        boot,
        applied: mergeIntervals(known?.applied ?? [], applied),
        lastAppliedMs: Math.max(known?.lastAppliedMs ?? 0, lastAppliedMs),
      });
    }
    for (const { id, appliedAtMs } of commit.keyed) disk.keyed.set(hexOf(id), appliedAtMs);
    addToLedger(disk, commit.ledger);
    applyLetters(disk, commit);
    disk.state = committedHead(disk.state, commit);
    return { kind: "ok", ids };
  }

  #idOf(tenant: string, bytes: Uint8Array): number {
    const name = Buffer.from(bytes).toString();
    const key = keyOfName({ tenant, name });
    let id = this.#disk.ids.get(key);
    if (id === undefined) {
      const disk = this.#disk;
      const next = disk.next.get(tenant) ?? 0;
      id = next % 16 === 0 ? disk.nextBlock++ * 16 : next;
      disk.next.set(tenant, id + 1);
      disk.series.set(id, { tenant, name });
      disk.ids.set(key, id);
    }
    return id;
  }

  async keyedApplied(ids: readonly Uint8Array[], nowMs: number): Promise<boolean[]> {
    return ids.map((id) => {
      const appliedAtMs = this.#disk.keyed.get(hexOf(id));
      return appliedAtMs !== undefined && appliedAtMs >= nowMs - keyedKeptMs;
    });
  }

  async tenantSeries(tenant: string): Promise<number> {
    return [...this.#disk.series.values()].filter((series) => series.tenant === tenant).length;
  }

  async named(tenant: string, names: readonly Uint8Array[]): Promise<boolean[]> {
    return names.map((name) => this.#disk.ids.has(keyOfName({ tenant, name: Buffer.from(name).toString() })));
  }

  async retire(epoch: number, nowSeconds: number): Promise<Retired> {
    const { state, rows, staged, series, expiryDay } = this.#disk;
    if (epoch !== state.epoch) return { ids: new Uint32Array(), more: false };
    const today = Math.floor(nowSeconds / daySeconds);
    const waiting = [...rows.filter((row) => row.settled === undefined), ...staged];
    const held = new Set(waiting.map((row) => row.series));
    const ids = [...series.keys()].filter((id) => !held.has(id) && (expiryDay.get(id) ?? today) < today);
    dropSeries(this.#disk, new Set(ids));
    state.removals += ids.length;
    return { ids: Uint32Array.from(ids), more: false };
  }

  async deleteSeries(epoch: number, tenant: string, pattern: string, most: number): Promise<Deleted> {
    const { state, series } = this.#disk;
    const found = epoch === state.epoch ? foundIn(series, tenant, pattern) : [];
    const once = new Map(found.toReversed().map((each) => [each.id, each]));
    const deleted = found.filter((each) => once.get(each.id) === each).slice(0, most);
    dropSeries(this.#disk, new Set(deleted.map(({ id }) => id)));
    state.removals += deleted.length;
    return { ids: Uint32Array.from(deleted, ({ id }) => id), names: deleted.map(({ name }) => name) };
  }

  async forget(epoch: number, nowMs: number): Promise<Forgotten> {
    const { keyed, boots, ledger, dead, closed, state } = this.#disk;
    const forgotten = { keyed: 0, boots: 0, ledger: 0, dead: 0, closed: 0 };
    if (epoch !== state.epoch) return forgotten;
    const waits = state.gaps.length > 0;
    for (const [id, appliedAtMs] of keyed)
      if (!waits && appliedAtMs < nowMs - keyedKeptMs && keyed.delete(id)) forgotten.keyed++;
    for (const [boot, { lastAppliedMs }] of boots)
      if (!waits && lastAppliedMs < nowMs - bootKeptMs && boots.delete(boot)) forgotten.boots++;
    for (const [key, { minute }] of ledger)
      if (minute * 1000 < nowMs - ledgerKeptMs && ledger.delete(key)) forgotten.ledger++;
    for (const [key, { receivedAtMs }] of dead)
      if (receivedAtMs < nowMs - ledgerKeptMs && dead.delete(key)) forgotten.dead++;
    for (const [key, { receivedAtMs }] of closed)
      if (receivedAtMs < nowMs - ledgerKeptMs && closed.delete(key)) forgotten.closed++;
    return forgotten;
  }

  async lettersOpen(places: readonly LetterPlace[]): Promise<boolean[]> {
    return places.map((place) => this.#disk.dead.has(keyOfLetter(place)));
  }

  async dropLetters(epoch: number, places: readonly LetterPlace[]): Promise<number> {
    return epoch === this.#disk.state.epoch ? dropLetters(this.#disk, places) : 0;
  }

  async release(epoch: number, tenant: string): Promise<Changed> {
    if (epoch !== this.#disk.state.epoch) return "fenced";
    if (this.#disk.quarantined.delete(tenant)) this.#disk.state.removals++;
    return "ok";
  }

  async bury(epoch: number, tenant: string): Promise<Changed> {
    if (epoch !== this.#disk.state.epoch) return "fenced";
    const { quarantined, state, tombstones } = this.#disk;
    const held = quarantined.delete(tenant);
    if (held || !tombstones.has(tenant)) state.removals++;
    tombstones.add(tenant);
    return "ok";
  }

  async purge(epoch: number, tenant: string, most: number): Promise<Deleted> {
    const { state, series, tombstones } = this.#disk;
    const dead = epoch === state.epoch && tombstones.has(tenant);
    const found = dead ? namesOf(series, tenant, () => true).slice(0, most) : [];
    dropSeries(this.#disk, new Set(found.map(({ id }) => id)));
    return deletedOf(found.map(({ id, name }) => ({ id, name: shownName(name) })));
  }

  async purgeLetters(epoch: number, tenant: string, most: number): Promise<number> {
    const { dead, state, tombstones } = this.#disk;
    if (epoch !== state.epoch || !tombstones.has(tenant)) return 0;
    const gone = [...dead].filter(([, letter]) => letter.tenant === tenant).slice(0, most);
    for (const [key] of gone) dead.delete(key);
    return gone.length;
  }

  async beginReplay(epoch: number, asked: ReplayAsked): Promise<ReplayBegun> {
    return epoch === this.#disk.state.epoch ? beginReplay(this.#disk, asked) : { kind: "fenced" };
  }

  async stage(epoch: number, id: number, part: StagedPart): Promise<CommitResult> {
    const disk = this.#disk;
    if (epoch !== disk.state.epoch) return { kind: "fenced", epoch: disk.state.epoch };
    giveUpBuried(disk, id);
    const replay = replayOf(disk.state);
    if (!isNext(replay, id, part)) return { kind: "at", offset: doneOf(disk.state, id) };
    for (const { tenant } of part.newSeries)
      assert(tenant === replay.tenant, "series of the replay's tenant");
    const ids = Uint32Array.from(part.newSeries, ({ tenant, name }) => this.#idOf(tenant, name));
    const idOf = (said: number) => (said >= newSeriesFlag ? (ids[said - newSeriesFlag] ?? 0) : said);
    const rows = rowsOf(part.deltas, idOf, 0);
    assert(
      rows.every(({ bucket }) => isWithin(bucket, replay)),
      "rows of the replay's time",
    );
    // As with commits: of a series that was deleted meanwhile nothing is left.
    disk.staged.push(...rows.filter(({ series }) => disk.series.has(series)));
    disk.state = stagedHead(disk.state, part.to);
    return { kind: "ok", ids };
  }

  async swap(epoch: number, id: number): Promise<Swapped> {
    const disk = this.#disk;
    if (epoch !== disk.state.epoch) return "fenced";
    giveUpBuried(disk, id);
    const replay = replayOf(disk.state);
    if (replay?.id !== id) return "gone";
    if (replay.state === "swapped") return "swapped";
    if (!isReady(disk)) return "waiting";
    swapReplay(disk, replay);
    return "swapped";
  }

  async abandonReplay(epoch: number, id: number): Promise<Changed> {
    if (epoch !== this.#disk.state.epoch) return "fenced";
    giveUpReplay(this.#disk, id);
    return "ok";
  }

  async close(): Promise<void> {}
}

function rowsOf(deltas: DeltaColumns, idOf: (said: number) => number, commit: number): Row[] {
  return Array.from({ length: deltas.count }, (_, i) => {
    const series = idOf(deltas.series[i] ?? 0);
    const sketch = deltas.sketches?.get(i);
    assert(series > 0, "a stored series or one of newSeries");
    return {
      series,
      bucket: deltas.bucket[i] ?? 0,
      points: deltas.points[i] ?? 0,
      sum: deltas.sum[i] ?? 0,
      min: deltas.min[i] ?? 0,
      max: deltas.max[i] ?? 0,
      last: deltas.last[i] ?? 0,
      lastSeconds: deltas.lastSeconds[i] ?? 0,
      lastReceivedAtMs: deltas.lastReceivedAtMs[i] ?? 0,
      sketch: sketch === undefined ? undefined : Uint8Array.from(sketch),
      settled: undefined,
      commit,
    };
  });
}

function addToLedger({ ledger }: Disk, rows: readonly LedgerRow[]): void {
  for (const row of rows) {
    const key = JSON.stringify([row.tenant, row.minute, row.door, row.fate, row.reason]);
    ledger.set(key, { ...row, count: row.count + (ledger.get(key)?.count ?? 0) });
  }
  for (const [key, { count }] of ledger) if (count === 0) ledger.delete(key);
}

function appliedBefore({ boots, keyed, dead }: Disk): AppliedBefore {
  return {
    boot: (boot) => boots.get(boot)?.applied,
    keyedAtMs: (id) => keyed.get(hexOf(id)),
    isOpen: ({ sequence, part }) => dead.has(keyOfLetter({ sequence, part })),
  };
}

function hexOf(id: Uint8Array): string {
  assert(id.length === 16, `a keyed id of 16 bytes, got ${id.length}`);
  return Buffer.from(id).toString("hex");
}
