// Takes names away again, on paper: what must be written is in `writes`. The other half of naming.
//
// U1. What goes is exactly what naming made for these series: the leaf, the nodes above it that hold nothing any more,
//     the name by id, a gauge's value, the place in the tenant's count. A branch with other names below it stays, and so does a leaf
//     that is a branch.
// U2. No id is given again: the tenant's next id goes on where it was. A tenant whose last series goes is no tenant of
//     the shard any more, for what it still has on disk nobody can read; when it comes again, it begins a new block.
// U3. Blocks stay their tenant's: fragments of a block may outlive its names.
import { assert } from "../base/assert.ts";
import { Outage } from "../base/errors.ts";
import type { Writes } from "./environment.ts";
import { after, blockKey, blockOf, gaugeKey, nameKey, nodeKey, taggedKey, tenantKey } from "./keys.ts";
import {
  decodeId,
  decodeNode,
  decodeTenant,
  encodeNode,
  encodeTenant,
  isTagged,
  type NodeRow,
  type Rows,
  type TenantRow,
} from "./names.ts";

const none = Buffer.alloc(0);

/** A row of the tree on the way to a name that goes. */
interface Touched extends NodeRow {
  key: Buffer;
  changed: boolean;
  above: Touched | undefined;
  below: Map<string, Touched>;
  /** Rows below it that go. */
  gone: number;
}

interface Tenant {
  key: Buffer;
  row: TenantRow;
  first: Map<string, Touched>;
}

export class Unnaming {
  readonly #rows: Rows;
  readonly #tenants = new Map<string, Tenant>();
  /** Each after the one above it. */
  readonly #touched: Touched[] = [];
  readonly #removes: Buffer[] = [];

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  /** The name that went; undefined where the id has none (any more). */
  remove(id: number): Buffer | undefined {
    const key = nameKey(id);
    const name = this.#rows.get(key);
    if (name === undefined) return undefined;
    const tenant = this.#tenantOf(id);
    if (isTagged(name)) {
      const tagged = taggedKey(tenant.row.root, name);
      const stored = this.#rows.get(tagged);
      if (stored === undefined || decodeId(stored) !== id) throw corrupt(name);
      this.#removes.push(tagged);
    } else {
      const leaf = this.#leafOf(tenant, name);
      if (leaf.series !== id) throw corrupt(name);
      leaf.series = 0;
      leaf.changed = true;
    }
    this.#removes.push(key);
    const gauge = gaugeKey(id);
    if (this.#rows.get(gauge) !== undefined) this.#removes.push(gauge);
    tenant.row.series--;
    return name;
  }

  #tenantOf(id: number): Tenant {
    const id16 = this.#rows.get(blockKey(blockOf(id)));
    if (id16 === undefined) throw new Outage("store-corrupt", `the block of series ${id} is nobody's`);
    const text = id16.toString();
    let tenant = this.#tenants.get(text);
    if (tenant === undefined) {
      const key = tenantKey(text);
      const stored = this.#rows.get(key);
      if (stored === undefined)
        throw new Outage("store-corrupt", `series ${id} belongs to a tenant without a row`);
      tenant = { key, row: decodeTenant(stored), first: new Map() };
      this.#tenants.set(text, tenant);
    }
    return tenant;
  }

  #leafOf(tenant: Tenant, name: Buffer): Touched {
    let node = tenant.row.root;
    let level = tenant.first;
    let row: Touched | undefined;
    // One character per byte: exact for any bytes.
    for (const segment of name.toString("latin1").split(".")) {
      let next = level.get(segment);
      if (next === undefined) {
        const key = nodeKey(node, Buffer.from(segment, "latin1"));
        const stored = this.#rows.get(key);
        if (stored === undefined) throw corrupt(name);
        next = { ...decodeNode(stored), key, changed: false, above: row, below: new Map(), gone: 0 };
        level.set(segment, next);
        this.#touched.push(next);
      }
      row = next;
      node = next.child;
      level = next.below;
    }
    assert(row !== undefined, "a name of at least one segment");
    return row;
  }

  /** Once, after the last `remove`. */
  writes(): Writes {
    const writes: Writes = { puts: [], removes: this.#removes };
    // From below: a row knows first what became of those below it.
    for (const row of this.#touched.toReversed()) {
      if (row.gone > 0 && this.#isEmpty(row)) {
        row.child = 0;
        row.changed = true;
      }
      if (row.child === 0 && row.series === 0) {
        writes.removes.push(row.key);
        if (row.above !== undefined) row.above.gone++;
      } else if (row.changed) writes.puts.push({ key: row.key, value: encodeNode(row) });
    }
    for (const { key, row } of this.#tenants.values()) {
      if (row.series === 0) writes.removes.push(key);
      else writes.puts.push({ key, value: encodeTenant(row) });
    }
    return writes;
  }

  /** Whether all rows below go. */
  #isEmpty({ child, gone }: Touched): boolean {
    const first = nodeKey(child, none);
    return this.#rows.range(first, after(first), gone + 1).length === gone;
  }
}

function corrupt(name: Buffer): Outage {
  return new Outage("store-corrupt", `the name tree does not hold ${name.toString()} as it was written`);
}
