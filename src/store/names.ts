// The name tree (naming.ts gives ids). A dotted name is a way from the tenant's root, a row per node, keyed [parent node][segment]: so the
// nodes below one parent lie together, in order. A row says which node is below it (a branch), which series ends in it
// (a leaf), or both. A tagged name (one with `;`) is a single row under its whole text.
//
// N1. A name has one id, given once and never given again.
// N2. Ids are given in blocks of 16, each of one tenant: what a tenant reads together then lies together, and a block's
//     bytes are one tenant's.
// N3. Work and memory of a commit's new names grow with their bytes, whatever their shape: 1,000 bytes may be one node
//     or 500.
import { Outage } from "../base/errors.ts";
import { nodeKey, taggedKey, tenantKey } from "./keys.ts";

/** What finding and naming need of a table: one state of it, in key order. */
export interface Rows {
  /** The bytes are the caller's. */
  get(key: Buffer): Buffer | undefined;
  /** At most `most` rows with start <= key < end. */
  range(start: Buffer, end: Buffer, most: number): { key: Buffer; value: Buffer }[];
}

export interface NodeRow {
  /** The node that holds the rows below this one; 0 is none: not a branch. */
  child: number;
  /** The series that ends here; 0 is none: not a leaf. */
  series: number;
}

export const nodeRowBytes = 8;

export function encodeNode(row: NodeRow): Buffer {
  const out = Buffer.allocUnsafe(nodeRowBytes);
  out.writeUInt32BE(row.child, 0);
  out.writeUInt32BE(row.series, 4);
  return out;
}

export function decodeNode(bytes: Buffer): NodeRow {
  if (bytes.length !== nodeRowBytes) throw new Outage("store-corrupt", "a name's row is not 8 bytes");
  return { child: bytes.readUInt32BE(0), series: bytes.readUInt32BE(4) };
}

export function encodeId(id: number): Buffer {
  const out = Buffer.allocUnsafe(4);
  out.writeUInt32BE(id, 0);
  return out;
}

export function decodeId(bytes: Buffer): number {
  if (bytes.length !== 4) throw new Outage("store-corrupt", "an id's row is not 4 bytes");
  return bytes.readUInt32BE(0);
}

export interface TenantRow {
  /** The node that holds the first segments. */
  root: number;
  /** The id that its next series gets; 0, or a block's first: a new block is needed. */
  next: number;
  /** Living series. */
  series: number;
}

export function encodeTenant({ root, next, series }: TenantRow): Buffer {
  const out = Buffer.allocUnsafe(12);
  out.writeUInt32BE(root, 0);
  out.writeUInt32BE(next, 4);
  out.writeUInt32BE(series, 8);
  return out;
}

export function decodeTenant(bytes: Buffer): TenantRow {
  if (bytes.length !== 12) throw new Outage("store-corrupt", "a tenant's row is not 12 bytes");
  return { root: bytes.readUInt32BE(0), next: bytes.readUInt32BE(4), series: bytes.readUInt32BE(8) };
}

const semicolon = 0x3b;

export function isTagged(name: Uint8Array): boolean {
  return name.includes(semicolon);
}

export function livingSeries(rows: Rows, tenant: string): number {
  const stored = rows.get(tenantKey(tenant));
  return stored === undefined ? 0 : decodeTenant(stored).series;
}

/** Which of these canonical names are living series. Those of one parent cost a row each, beside the way to it. */
export function areNamed(rows: Rows, tenant: string, names: readonly Uint8Array[]): boolean[] {
  const stored = rows.get(tenantKey(tenant));
  if (stored === undefined) return names.map(() => false);
  const { root } = decodeTenant(stored);
  const rowIn = (parent: number, segment: string): NodeRow | undefined => {
    const found = parent === 0 ? undefined : rows.get(nodeKey(parent, Buffer.from(segment, "latin1")));
    return found === undefined ? undefined : decodeNode(found);
  };
  /** By the parent's path: the node that holds the rows below it; 0 is none. */
  const nodes = new Map<string, number>();
  return names.map((name) => {
    if (isTagged(name)) return rows.get(taggedKey(root, name)) !== undefined;
    const text = Buffer.from(name.buffer, name.byteOffset, name.length).toString("latin1");
    const dot = text.lastIndexOf(".");
    if (dot < 0) return (rowIn(root, text)?.series ?? 0) !== 0;
    const path = text.slice(0, dot);
    let node = nodes.get(path);
    if (node === undefined) {
      node = root;
      for (const segment of path.split(".")) node = rowIn(node, segment)?.child ?? 0;
      nodes.set(path, node);
    }
    return (rowIn(node, text.slice(dot + 1))?.series ?? 0) !== 0;
  });
}
