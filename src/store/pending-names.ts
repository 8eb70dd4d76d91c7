// The part of the name tree that one commit has to do with: nodes' rows by (node, segment), in columns. One large table
// instead of an object, a Map and a Buffer for each row, of which a commit may have a million.
//
// H1. Nobody can aim names at one slot: the hash has a seed that nobody knows. It decides nothing but speed.
// H2. Work and memory grow with the bytes of the names (N3).
import { systemRandom } from "../base/random.ts";
import { hashName, hashSeed, seedBytes } from "../kernel/hash.ts";

const seed = hashSeed(systemRandom.bytes(seedBytes));
const slotsPerRow = 2;
const rowsLeast = 1024;
/** For each name to come, so that the table hardly grows. */
const rowsPerName = 4;
const textBytesLeast = 1 << 16;

export class PendingNames {
  /** Rows in the order in which they were added. */
  count = 0;
  /** The node that the row lies below; its segment in `text`. */
  node: Uint32Array;
  from: Uint32Array;
  length: Uint16Array;
  child: Uint32Array;
  series: Uint32Array;
  /** 1: not as it is stored. */
  changed: Uint8Array;
  text = Buffer.from(new ArrayBuffer(textBytesLeast));
  #view = new DataView(this.text.buffer);
  #textUsed = 0;
  /** Row + 1 by hash; 0 is free. At most half are used. */
  #slots: Uint32Array;
  #hashes: Int32Array;

  constructor(names: number) {
    const rows = Math.max(rowsLeast, 2 ** Math.ceil(Math.log2(rowsPerName * names)));
    this.node = new Uint32Array(rows);
    this.from = new Uint32Array(rows);
    this.length = new Uint16Array(rows);
    this.child = new Uint32Array(rows);
    this.series = new Uint32Array(rows);
    this.changed = new Uint8Array(rows);
    this.#hashes = new Int32Array(rows);
    this.#slots = new Uint32Array(slotsPerRow * rows);
  }

  /** Copies a name in; answers where it begins in `text`. */
  addText(name: Uint8Array): number {
    const at = this.#textUsed;
    this.#textUsed += name.length;
    if (this.#textUsed > this.text.length) {
      const grown = Buffer.from(new ArrayBuffer(2 * this.#textUsed));
      grown.set(this.text.subarray(0, at));
      this.text = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.text.set(name, at);
    return at;
  }

  /** The row of text[from, to) below `node`; -1: none yet. */
  find(node: number, from: number, to: number): number {
    const mask = this.#slots.length - 1;
    const hash = hashName(seed, node, this.text, this.#view, from, to);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const row = (this.#slots[slot] as number) - 1;
      if (row < 0) return -1;
      if (this.#hashes[row] === hash && this.node[row] === node && this.#isSegment(row, from, to)) return row;
    }
  }

  /** A row that there is not yet. */
  add(node: number, from: number, to: number): number {
    const row = this.count++;
    if (row === this.node.length) this.#grow();
    this.node[row] = node;
    this.from[row] = from;
    this.length[row] = to - from;
    const hash = hashName(seed, node, this.text, this.#view, from, to);
    this.#hashes[row] = hash;
    this.#place(hash, row);
    return row;
  }

  #isSegment(row: number, from: number, to: number): boolean {
    const { text } = this;
    if (this.length[row] !== to - from) return false;
    const other = (this.from[row] as number) - from;
    for (let at = from; at < to; at++) if (text[at] !== text[other + at]) return false;
    return true;
  }

  #place(hash: number, row: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = row + 1;
  }

  #grow(): void {
    const rows = 2 * this.node.length;
    this.node = grown(this.node, new Uint32Array(rows));
    this.from = grown(this.from, new Uint32Array(rows));
    this.length = grown(this.length, new Uint16Array(rows));
    this.child = grown(this.child, new Uint32Array(rows));
    this.series = grown(this.series, new Uint32Array(rows));
    this.changed = grown(this.changed, new Uint8Array(rows));
    this.#hashes = grown(this.#hashes, new Int32Array(rows));
    this.#slots = new Uint32Array(slotsPerRow * rows);
    for (let row = 0; row < rows / 2; row++) this.#place(this.#hashes[row] as number, row);
  }
}

function grown<T extends Uint8Array | Uint16Array | Uint32Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
