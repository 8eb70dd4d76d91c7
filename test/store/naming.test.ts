import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { nameKey, nodeKey, tenantKey } from "../../src/store/keys.ts";
import { decodeNode, decodeTenant } from "../../src/store/names.ts";
import { Naming } from "../../src/store/naming.ts";

/** A table of rows, as much of one as naming asks. */
class Table {
  readonly rows = new Map<string, Buffer>();
  looks = 0;

  get(key: Buffer): Buffer | undefined {
    this.looks++;
    return this.rows.get(key.toString("latin1"));
  }

  peek(key: Buffer): Buffer | undefined {
    return this.get(key);
  }

  write(naming: Naming): number {
    let puts = 0;
    const put = (key: Buffer, value: Buffer) => {
      puts++;
      this.rows.set(key.toString("latin1"), Buffer.from(value));
    };
    naming.packed().each((key, value) => put(key, value.subarray(value.start, value.end)));
    for (const { key, value } of naming.puts()) put(key, value);
    return puts;
  }

  /** The id that the tree says. */
  find(tenant: string, name: string): number {
    const stored = this.rows.get(tenantKey(tenant).toString("latin1"));
    let node = stored === undefined ? 0 : decodeTenant(stored).root;
    let series = 0;
    for (const segment of name.split(".")) {
      const row = node === 0 ? undefined : this.get(nodeKey(node, Buffer.from(segment)));
      if (row === undefined) return 0;
      ({ child: node, series } = decodeNode(row));
    }
    return series;
  }
}

test("N1: the tree and the names by id say the same, however names come and in which commit", () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const random = seededRandom(seed);
  const table = new Table();
  const ids = new Map<string, number>();
  const taken = new Set<number>();
  let next = { block: 1, node: 1 };
  const segment = () =>
    random.below(40) === 0
      ? ""
      : `${"abé"[random.below(3)]}${random.below(30)}${"-".repeat(random.below(4))}`;
  for (let commit = 0; commit < 12; commit++) {
    const naming = new Naming(table, next, 10);
    for (let i = 0; i < 1 + random.below(1500); i++) {
      const tenant = `t${random.below(3)}`;
      const name = Array.from({ length: 1 + random.below(5) }, segment).join(".") || "x";
      const key = `${tenant} ${name}`;
      const id = naming.idOf({ tenant, name: Buffer.from(name) });
      const known = ids.get(key);
      if (known === undefined) assert.ok(!taken.has(id), `seed ${seed}: ${key} got an id that is taken`);
      else assert.equal(id, known, `seed ${seed}: ${key} has the id it had`);
      ids.set(key, id);
      taken.add(id);
    }
    table.write(naming);
    ({ next } = naming);
  }
  for (const [key, id] of ids) {
    const [tenant = "", name = ""] = key.split(" ");
    assert.equal(table.find(tenant, name), id, `seed ${seed}: ${key} in the tree`);
    assert.equal(table.rows.get(nameKey(id).toString("latin1"))?.toString(), name, `seed ${seed}: ${id}`);
  }
});

test("N3: a name that is known writes nothing, and what is new costs no looks below new nodes", () => {
  const table = new Table();
  const first = new Naming(table, { block: 1, node: 1 }, 100);
  for (let host = 0; host < 100; host++)
    first.idOf({ tenant: "t", name: Buffer.from(`dc.host${host}.cpu.user`) });
  assert.equal(table.looks, 1, "the tenant's row alone: all nodes are new");
  // dc; of each host three nodes and a name by id; the tenant; a block for each 16 of 100 series.
  assert.equal(table.write(first), 1 + 100 * 4 + 1 + 7);
  const second = new Naming(table, first.next, 100);
  for (let host = 0; host < 100; host++)
    second.idOf({ tenant: "t", name: Buffer.from(`dc.host${host}.cpu.user`) });
  assert.equal(table.write(second), 0);
});
