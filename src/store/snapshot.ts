// What a reader can ask of one state of a shard, over the rows of an engine's table.
//
// R1. All answers of a snapshot are of the same state (C4): long ones let others run in between, and still are.
// R2. Closing waits for answers that are under way; nothing reads from a state that was given back.
import { notYet } from "./not-yet.ts";
import type { Door } from "../metric/frame.ts";
import type { GridRange } from "./cells.ts";
import type { State, View } from "./environment.ts";
import { Fetcher } from "./fetch.ts";
import type { BlobsOfReader } from "./kept-blobs.ts";
import type { Rows } from "./names.ts";
import { findNodes, findSeries } from "./find.ts";
import { bootOfKey, deadPlace, ledgerPlace, ledgerPrefix, tableRange, tenantOfKey } from "./keys.ts";
import { decodeBoot, decodeDead, decodeNumber } from "./rows.ts";
import { sizeOfTenant } from "./size.ts";
import type {
  BootApplied,
  Cells,
  DeadLetter,
  FoundNode,
  FoundSeries,
  LedgerRow,
  ReadColumn,
  ShardState,
  Snapshot,
  TenantSize,
} from "./store.ts";
import { SnapshotClosed } from "./store.ts";

const pageRows = 1024;

export function readState(now: State): ShardState {
  const { owner: _owner, nextBlock: _block, nextNode: _node, blobs: _blobs, ...state } = now.head;
  const boots: BootApplied[] = [];
  for (const { key, value } of rowsOf(now, tableRange("boot"))) boots.push(decodeBoot(bootOfKey(key), value));
  return { ...state, boots };
}

/** All rows of the range, page by page. */
function* rowsOf(
  rows: Rows,
  { start, end }: { start: Buffer; end: Buffer },
): Generator<{ key: Buffer; value: Buffer }> {
  for (let from = start; ; ) {
    const page = rows.range(from, end, pageRows);
    yield* page;
    const last = page.at(-1);
    if (page.length < pageRows || last === undefined) return;
    from = Buffer.concat([last.key, Buffer.of(0)]);
  }
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

  async deadCounts(): Promise<
    { tenant: string; reason: string; letters: number; lines: number; bytes: number }[]
  > {
    return notYet();
  }

  dead(most: number): Promise<DeadLetter[]> {
    return this.#ask(async (view) => {
      const { start, end } = tableRange("dead");
      return view.range(start, end, most).map(({ key, value }) => decodeDead(deadPlace(key), value));
    });
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
