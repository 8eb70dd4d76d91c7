// What a reader can ask of one state of a shard, over the rows of an engine's table.
//
// R1. All answers of a snapshot are of the same state (C4): long ones let others run in between, and still are.
// R2. Closing waits for answers that are under way; nothing reads from a state that was given back.
import type { Door } from "../metric/frame.ts";
import type { GridRange } from "./cells.ts";
import type { State, View } from "./environment.ts";
import { readBuried } from "./closed-letters.ts";
import { Fetcher } from "./fetch.ts";
import type { BlobsOfReader } from "./kept-blobs.ts";
import { findNodes, findSeries } from "./find.ts";
import { bootOfKey, ledgerPlace, ledgerPrefix, tableRange, tenantOfKey } from "./keys.ts";
import { readDeadCounts, readLetters, type LetterFilter } from "./letters.ts";
import { rowsOf } from "./paging.ts";
import { readQuarantined } from "./quarantine.ts";
import { decodeBoot, decodeNumber } from "./rows.ts";
import { sizeOfTenant } from "./size.ts";
import { readTombstones } from "./tombstones.ts";
import type {
  BootApplied,
  Buried,
  Cells,
  DeadCount,
  DeadLetter,
  FoundNode,
  FoundSeries,
  LedgerRow,
  LetterPlace,
  ReadColumn,
  ShardProgress,
  ShardState,
  Snapshot,
  TenantSize,
} from "./store.ts";
import { SnapshotClosed } from "./store.ts";

export function readProgress({ head }: State): ShardProgress {
  const { owner: _owner, nextBlock: _block, nextNode: _node, ...counted } = head;
  const { blobs: _blobs, barrier: _barrier, lastReplay: _replay, ...progress } = counted;
  return progress;
}

export function readState(now: State): ShardState {
  const boots: BootApplied[] = [];
  for (const { key, value } of rowsOf(now, tableRange("boot"))) boots.push(decodeBoot(bootOfKey(key), value));
  return { ...readProgress(now), boots, quarantined: readQuarantined(now), purging: readTombstones(now) };
}

export class ViewSnapshot implements Snapshot {
  readonly #view: View;
  /** Settles when the state has been given back. */
  readonly ended: Promise<void>;
  readonly #end: () => void;
  readonly #fetcher: Fetcher;
  #running = 0;
  #closing = false;

  /** `closed` is called once, when the state has been given back. */
  constructor(view: View, blobs: BlobsOfReader, closed: () => void) {
    this.#view = view;
    this.#fetcher = new Fetcher(view, blobs, () => this.#turn());
    let end: () => void = closed;
    this.ended = new Promise((resolve) => {
      end = () => {
        closed();
        resolve();
      };
    });
    this.#end = end;
  }

  state(): Promise<ShardState> {
    return this.#ask(async (view) => readState(view));
  }

  progress(): Promise<ShardProgress> {
    return this.#ask(async (view) => readProgress(view));
  }

  findNodes(tenant: string, pattern: string, most: number): Promise<FoundNode[]> {
    return this.#ask((view) => findNodes(view, tenant, pattern, most, this.#turn));
  }

  findSeries(tenant: string, pattern: string, most: number): Promise<FoundSeries[]> {
    return this.#ask((view) => findSeries(view, tenant, pattern, most, this.#turn));
  }

  fetch(ids: readonly number[], range: GridRange, columns?: readonly ReadColumn[]): Promise<Cells> {
    return this.#ask(async () => await this.#fetcher.fetch(ids, range, columns));
  }

  ledger(tenant: string, fromMinute: number, untilMinute: number): Promise<LedgerRow[]> {
    return this.#ask(async (view) => {
      const out: LedgerRow[] = [];
      const range = { start: ledgerPrefix(tenant, fromMinute), end: ledgerPrefix(tenant, untilMinute + 1) };
      for (const { key, value } of rowsOf(view, range)) {
        const { door, fate, ...place } = ledgerPlace(key);
        // Written by `commit` from a LedgerRow: no other words can be there.
        out.push({
          ...place,
          door: door as Door,
          fate: fate as LedgerRow["fate"],
          count: decodeNumber(value),
        });
      }
      return out;
    });
  }

  deadCounts(): Promise<DeadCount[]> {
    return this.#ask((view) => readDeadCounts(view, this.#turn));
  }

  dead(most: number, only: LetterFilter = {}): Promise<DeadLetter[]> {
    return this.#ask((view) => readLetters(view, most, only, this.#turn));
  }

  buried(most: number, behind?: LetterPlace): Promise<Buried[]> {
    return this.#ask((view) => readBuried(view, most, behind, this.#turn));
  }

  tenants(): Promise<string[]> {
    return this.#ask(async (view) =>
      Array.from(rowsOf(view, tableRange("tenant")), ({ key }) => tenantOfKey(key)),
    );
  }

  tenantSize(tenant: string): Promise<TenantSize> {
    return this.#ask((view) => sizeOfTenant(view, tenant, this.#turn));
  }

  readonly #turn = async (): Promise<void> => {
    await turn();
    if (this.#closing) throw new SnapshotClosed("the snapshot was closed while it was read");
  };

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#running === 0) this.#giveBack();
  }

  async #ask<T>(answer: (view: View) => Promise<T>): Promise<T> {
    if (this.#closing) throw new SnapshotClosed("the snapshot was closed before it was asked");
    this.#running++;
    try {
      return await answer(this.#view);
    } finally {
      this.#running--;
      if (this.#closing && this.#running === 0) this.#giveBack();
    }
  }

  #giveBack(): void {
    this.#view.close();
    this.#end();
  }
}

export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
