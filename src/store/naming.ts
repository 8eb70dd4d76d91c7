// Gives ids to the names of one commit, on paper: what must be written is in `puts`, the next ids in `next`. N1 to N3
// are those of names.ts, where the rows are described.
import { assert } from "../base/assert.ts";
import { Outage } from "../base/errors.ts";
import {
  blockKey,
  blockOf,
  nameKeyBytes,
  nodeKeyBytes,
  seriesPerBlock,
  taggedKey,
  tenantKey,
  writeNameKey,
  writeNodeKey,
} from "./keys.ts";
import {
  decodeId,
  decodeTenant,
  encodeId,
  encodeTenant,
  isTagged,
  nodeRowBytes,
  type TenantRow,
} from "./names.ts";
import { PackedRows, scratchKey } from "./packed-rows.ts";
import { PendingNames } from "./pending-names.ts";
import { newSeriesFlag, type SeriesKey } from "./store.ts";

const dot = 0x2e;
const none = -1;

/** What naming asks of a state of the shard. */
export interface NamedRows {
  get(key: Buffer): Buffer | undefined;
  /** Valid until the next call of anything. */
  peek(key: Buffer): Uint8Array | undefined;
}

interface Root {
  tenant: string;
  key: Buffer;
  row: TenantRow;
  changed: boolean;
}

export class Naming {
  readonly next: { block: number; node: number };
  readonly #rows: NamedRows;
  /** Nodes from this one on are new: nothing is stored below them. */
  readonly #firstNew: number;
  readonly #roots = new Map<string, Root>();
  readonly #pending: PendingNames;
  readonly #tagged = new Map<string, number>();
  /** Few: of tagged names, and a row for each block of ids. */
  readonly #puts: { key: Buffer; value: Buffer }[] = [];
  readonly #ids: number[] = [];
  readonly #names: Uint8Array[] = [];
  #nameBytes = 0;

  /** `names`: about how many will be asked for. */
  constructor(rows: NamedRows, next: { block: number; node: number }, names: number) {
    this.#rows = rows;
    this.#pending = new PendingNames(names);
    this.#firstNew = next.node;
    this.next = { ...next };
  }

  idOf({ tenant, name }: SeriesKey): number {
    assert(name.length > 0 && name.length <= 1000, `a name of 1 to 1000 bytes, got ${name.length}`);
    const root = this.#roots.get(tenant) ?? this.#readRoot(tenant);
    if (isTagged(name)) return this.#taggedId(root, name);
    const pending = this.#pending;
    const start = pending.addText(name);
    const end = start + name.length;
    let node = root.row.root;
    let row = none;
    for (let from = start; from <= end; ) {
      let to = from;
      while (to < end && pending.text[to] !== dot) to++;
      if (node === 0) {
        node = this.next.node++;
        pending.child[row] = node;
        pending.changed[row] = 1;
      }
      row = this.#rowOf(node, from, to);
      node = pending.child[row] as number;
      from = to + 1;
    }
    let id = pending.series[row] as number;
    if (id === 0) {
      id = this.#newId(root, name);
      pending.series[row] = id;
      pending.changed[row] = 1;
    }
    return id;
  }

  /** Beside `packed`, those few that are no names. */
  puts(): { key: Buffer; value: Buffer }[] {
    const out = [...this.#puts];
    for (const { key, row, changed } of this.#roots.values())
      if (changed) out.push({ key, value: encodeTenant(row) });
    return out;
  }

  /** Rows of nodes, and names by id. */
  packed(): PackedRows {
    const { count, changed, length, node, from, text, child, series } = this.#pending;
    let rows = this.#ids.length;
    let bytes = rows * nameKeyBytes + this.#nameBytes;
    for (let row = 0; row < count; row++) {
      if (changed[row] === 0) continue;
      rows++;
      bytes += nodeKeyBytes + (length[row] as number) + nodeRowBytes;
    }
    const packed = new PackedRows(rows, bytes);
    const { target } = packed;
    for (let row = 0; row < count; row++) {
      if (changed[row] === 0) continue;
      const segmentBytes = length[row] as number;
      const at = packed.add(nodeKeyBytes + segmentBytes, nodeRowBytes);
      const behind = writeNodeKey(target, at, node[row] as number, text, from[row] as number, segmentBytes);
      target.writeUInt32BE(child[row] as number, behind);
      target.writeUInt32BE(series[row] as number, behind + 4);
    }
    for (const [i, id] of this.#ids.entries()) {
      const name = this.#names[i] as Uint8Array;
      const at = packed.add(nameKeyBytes, name.length);
      target.set(name, writeNameKey(target, at, id));
    }
    return packed;
  }

  #readRoot(tenant: string): Root {
    const key = tenantKey(tenant);
    const stored = this.#rows.get(key);
    const row = stored === undefined ? { root: this.next.node++, next: 0, series: 0 } : decodeTenant(stored);
    const root = { tenant, key, row, changed: stored === undefined };
    this.#roots.set(tenant, root);
    return root;
  }

  /** The row of a segment below a node, as it is stored or new. */
  #rowOf(node: number, from: number, to: number): number {
    const pending = this.#pending;
    const known = pending.find(node, from, to);
    if (known !== none) return known;
    const row = pending.add(node, from, to);

    if (node >= this.#firstNew) return row;
    const key = scratchKey(nodeKeyBytes + to - from);
    writeNodeKey(key, 0, node, pending.text, from, to - from);
    const stored = this.#rows.peek(key);
    if (stored === undefined) return row;
    if (stored.length !== nodeRowBytes) throw new Outage("store-corrupt", "a name's row is not 8 bytes");
    pending.child[row] = u32At(stored, 0);
    pending.series[row] = u32At(stored, 4);
    return row;
  }

  #taggedId(root: Root, name: Uint8Array): number {
    const key = taggedKey(root.row.root, name);
    const at = key.toString("latin1");
    let id = this.#tagged.get(at);
    if (id === undefined) {
      const stored = this.#rows.get(key);
      if (stored === undefined) {
        id = this.#newId(root, name);
        this.#puts.push({ key, value: encodeId(id) });
      } else id = decodeId(stored);
      this.#tagged.set(at, id);
    }
    return id;
  }

  #newId(root: Root, name: Uint8Array): number {
    const { row, tenant } = root;
    if (row.next % seriesPerBlock === 0) {
      row.next = this.next.block++ * seriesPerBlock;
      this.#puts.push({ key: blockKey(blockOf(row.next)), value: Buffer.from(tenant) });
    }
    assert(row.next < newSeriesFlag, "fewer than 2^31 series in a shard");
    const id = row.next++;
    row.series++;
    root.changed = true;
    this.#ids.push(id);
    this.#names.push(name);
    this.#nameBytes += name.length;
    return id;
  }
}

/** Big-endian. */
function u32At(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
