// The layout of a shard's `data` table: which rows there are and how their keys read. All numbers are big-endian, so
// that byte order is number order. Keys are at most 1,978 bytes (lmdb's limit); names are at most 1,000.
//
//   t tenant                            -> root u32, next u32, series u32   tenants that have series here (names.ts)
//   n node u32, segment                 -> child u32, series u32   the name tree; 0 is none
//   g root u32, whole name              -> series u32          tagged names, leaves under their whole text
//   j block u32                         -> tenant              ids are given in blocks of 16, each of one tenant
//   a chunk u32                         -> 1024 x u16          day on which each of 1024 ids has nothing left
//   u tenant                            -> size row            what the tenant's fragments hold
//   p series u32                        -> blob f64            deleted: its fragments go; rows up to the blob are its
//   b number u64, min u32, max u32, commits u32 -> blob (blob.ts)  rows of so many commits, the last one's number
//   m ladder u8, rung u8, span u32      -> pieces              of which pieces a span consists (spans.ts)
//   f ladder u8, rung u8, span u32, block u32, piece u32 -> fragments of a block's series (fragment.ts)
//   q as of f                           -> sketches of the piece that has the same key (sketches.ts)
//   s replay u32, sequence u64          -> blob                rebuilt rows of frames up to the sequence (replays.ts)
//   o boot hex                          -> boot row            frames applied, per gateway start
//   k keyed id, 16 bytes                -> applied at, ms      keyed requests applied
//   x applied at u64, keyed id          -> nothing             the same by time, for their expiry
//   l length u8, tenant, minute u32, door 0 fate 0 reason -> count  the ledger
//   d sequence u64, part u32            -> dead letter
//   e                                   -> nothing             every dead letter is in the two tables below (letters.ts)
//   e length u8, tenant, length u8, reason, then as in d -> nothing   dead letters by tenant and reason
//   c length u8, tenant, length u8, reason -> counts           how many of these there are
//   y sequence u64, part u32            -> closed letter       one that was retried or dropped (closed-letters.ts)
//   h tenant                            -> quarantine row      (quarantine.ts)
//   r tenant                            -> nothing             tombstones (tombstones.ts)
//   v series u32                        -> f64, blob f64       the value of a StatsD gauge, and since when it is one
//   z series u32                        -> whole name          names by id
//
// Names by id come last: ids are given in order, and LMDB leaves pages full where keys are appended at the very end of a
// table, but half empty where they are appended within it. They are the most bytes of all that names take.
//
// A change of what is written above needs a higher storeFormat (head.ts). What was added since, q, s, v, e, c, y, h and r,
// did not: a store without them is read as ever, and the first claim adds the rows of e and c.
import { assert } from "../base/assert.ts";

const tableByte = {
  tenant: 0x74,
  node: 0x6e,
  tagged: 0x67,
  blob: 0x62,
  boot: 0x6f,
  keyed: 0x6b,
  keyedTime: 0x78,
  ledger: 0x6c,
  dead: 0x64,
  deadList: 0x65,
  deadCount: 0x63,
  closed: 0x79,
  quarantine: 0x68,
  tombstone: 0x72,
  name: 0x7a,
  block: 0x6a,
  activity: 0x61,
  size: 0x75,
  purge: 0x70,
  gauge: 0x76,
  span: 0x6d,
  piece: 0x66,
  sketches: 0x71,
  staged: 0x73,
} as const;

export type Table = keyof typeof tableByte;

/** The range that holds all rows of a table: [start, end). */
export function tableRange(table: Table): { start: Buffer; end: Buffer } {
  return { start: Buffer.of(tableByte[table]), end: Buffer.of(tableByte[table] + 1) };
}

/** The smallest key above all keys that begin with `prefix`. */
export function after(prefix: Buffer): Buffer {
  // Every key begins with its table's letter, so there is such a byte.
  const at = prefix.findLastIndex((byte) => byte < 255);
  assert(at >= 0, "a prefix that is not all 0xff");
  const out = Buffer.from(prefix.subarray(0, at + 1));
  out[at] = (out[at] ?? 0) + 1;
  return out;
}

export function tenantKey(tenant: string): Buffer {
  return Buffer.concat([Buffer.of(tableByte.tenant), Buffer.from(tenant)]);
}

/** Of tenants, quarantines and tombstones. */
export function tenantOfKey(key: Buffer): string {
  return key.toString("utf8", 1);
}

/** Also the prefix of all rows of the node, when the segment is empty. */
export function nodeKey(node: number, segment: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(5 + segment.length);
  key[0] = tableByte.node;
  key.writeUInt32BE(node, 1);
  key.set(segment, 5);
  return key;
}

/** Without the segment. */
export const nodeKeyBytes = 5;

/** The same into memory: text[from, from + length) is the segment. Answers where the key ends. */
export function writeNodeKey(
  target: Buffer,
  at: number,
  node: number,
  text: Buffer,
  from: number,
  length: number,
): number {
  target[at] = tableByte.node;
  target.writeUInt32BE(node, at + 1);
  // Segments are short: a loop costs less than a view.
  for (let i = 0; i < length; i++) target[at + nodeKeyBytes + i] = text[from + i] as number;
  return at + nodeKeyBytes + length;
}

export function segmentOfKey(key: Buffer): string {
  return key.toString("utf8", 5);
}

export function taggedKey(root: number, name: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(5 + name.length);
  key[0] = tableByte.tagged;
  key.writeUInt32BE(root, 1);
  key.set(name, 5);
  return key;
}

export function nameOfTaggedKey(key: Buffer): string {
  return key.toString("utf8", 5);
}

/**
 * Names what lies there for good: a blob is never changed, a run (runs.ts) has more commits than any blob it is made of,
 * and no number is given twice. So whoever knows a blob's key may keep the blob.
 */
export interface BlobPlace {
  /** In the order of commits, whatever lane they are of: of a run, its last one's. */
  number: number;
  minBucket: number;
  maxBucket: number;
  commits: number;
}

export function blobKey(place: BlobPlace): Buffer {
  const key = Buffer.allocUnsafe(21);
  key[0] = tableByte.blob;
  writeU64(key, place.number, 1);
  key.writeUInt32BE(place.minBucket, 9);
  key.writeUInt32BE(place.maxBucket, 13);
  key.writeUInt32BE(place.commits, 17);
  return key;
}

export function blobPlace(key: Buffer): BlobPlace {
  return {
    number: readU64(key, 1),
    minBucket: key.readUInt32BE(9),
    maxBucket: key.readUInt32BE(13),
    commits: key.readUInt32BE(17),
  };
}

export function stagedKey(replay: number, sequence: number): Buffer {
  const key = Buffer.allocUnsafe(13);
  key[0] = tableByte.staged;
  key.writeUInt32BE(replay, 1);
  writeU64(key, sequence, 5);
  return key;
}

export function stagedPlace(key: Buffer): { replay: number; sequence: number } {
  return { replay: key.readUInt32BE(1), sequence: readU64(key, 5) };
}

/** Ids of a block: 16 * block up to 16 * block + 15. Block 0 is never given: id 0 is none. */
export const seriesPerBlock = 16;
export const idsPerChunk = 1024;

export function blockOf(series: number): number {
  return Math.floor(series / seriesPerBlock);
}

function keyOfU32(table: Table, value: number): Buffer {
  const key = Buffer.allocUnsafe(5);
  key[0] = tableByte[table];
  key.writeUInt32BE(value, 1);
  return key;
}

/** The number in a key of one u32: of names, blocks, activity and purge. */
export function u32OfKey(key: Buffer): number {
  return key.readUInt32BE(1);
}

export function nameKey(series: number): Buffer {
  return keyOfU32("name", series);
}

export const nameKeyBytes = 5;

/** nameKey into memory; answers where it ends. */
export function writeNameKey(target: Buffer, at: number, series: number): number {
  target[at] = tableByte.name;
  return target.writeUInt32BE(series, at + 1);
}

export function blockKey(block: number): Buffer {
  return keyOfU32("block", block);
}

export function activityKey(chunk: number): Buffer {
  return keyOfU32("activity", chunk);
}

export function purgeKey(series: number): Buffer {
  return keyOfU32("purge", series);
}

export function gaugeKey(series: number): Buffer {
  return keyOfU32("gauge", series);
}

export function sizeKey(tenant: string): Buffer {
  return Buffer.concat([Buffer.of(tableByte.size), Buffer.from(tenant)]);
}

/** A span of a rung of a ladder: `span` is its first second. */
export interface SpanPlace {
  /** Number of the ladder in the shard's work row (work.ts). */
  ladder: number;
  rung: number;
  span: number;
}

export function spanKey({ ladder, rung, span }: SpanPlace): Buffer {
  const key = Buffer.allocUnsafe(7);
  key[0] = tableByte.span;
  key[1] = ladder;
  key[2] = rung;
  key.writeUInt32BE(span, 3);
  return key;
}

export function spanPlace(key: Buffer): SpanPlace {
  return { ladder: key[1] ?? 0, rung: key[2] ?? 0, span: key.readUInt32BE(3) };
}

export function pieceKey(place: SpanPlace, block: number, piece: number): Buffer {
  return keyOfPiece("piece", place, block, piece);
}

export function sketchesKey(place: SpanPlace, block: number, piece: number): Buffer {
  return keyOfPiece("sketches", place, block, piece);
}

function keyOfPiece(table: Table, { ladder, rung, span }: SpanPlace, block: number, piece: number): Buffer {
  const key = Buffer.allocUnsafe(15);
  key[0] = tableByte[table];
  key[1] = ladder;
  key[2] = rung;
  key.writeUInt32BE(span, 3);
  key.writeUInt32BE(block, 7);
  key.writeUInt32BE(piece, 11);
  return key;
}

export function piecePlace(key: Buffer): SpanPlace & { block: number; piece: number } {
  return {
    ladder: key[1] ?? 0,
    rung: key[2] ?? 0,
    span: key.readUInt32BE(3),
    block: key.readUInt32BE(7),
    piece: key.readUInt32BE(11),
  };
}

export function bootKey(boot: string): Buffer {
  return Buffer.concat([Buffer.of(tableByte.boot), Buffer.from(boot)]);
}

export function bootOfKey(key: Buffer): string {
  return key.toString("utf8", 1);
}

export function keyedKey(id: Uint8Array): Buffer {
  assert(id.length === 16, `a keyed id of 16 bytes, got ${id.length}`);
  return Buffer.concat([Buffer.of(tableByte.keyed), id]);
}

export function keyedTimeKey(appliedAtMs: number, id: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(9 + id.length);
  key[0] = tableByte.keyedTime;
  writeU64(key, appliedAtMs, 1);
  key.set(id, 9);
  return key;
}

export function idOfKeyedTimeKey(key: Buffer): Buffer {
  return key.subarray(9);
}

export interface LedgerPlace {
  tenant: string;
  minute: number;
  door: string;
  fate: string;
  reason: string;
}

/** What all rows of a tenant begin with. */
export function tenantPrefixOfLedger(tenant: string): Buffer {
  const id = Buffer.from(tenant);
  assert(id.length <= 255, `a tenant id of at most 255 bytes, got ${id.length}`);
  return Buffer.concat([Buffer.of(tableByte.ledger, id.length), id]);
}

/** All rows of a tenant from `minute` on begin at or after this. */
export function ledgerPrefix(tenant: string, minute: number): Buffer {
  const number = Buffer.allocUnsafe(4);
  number.writeUInt32BE(minute);
  return Buffer.concat([tenantPrefixOfLedger(tenant), number]);
}

export function ledgerKey(place: LedgerPlace): Buffer {
  return Buffer.concat([
    ledgerPrefix(place.tenant, place.minute),
    Buffer.from(`${place.door}\0${place.fate}\0${place.reason}`),
  ]);
}

export function ledgerPlace(key: Buffer): LedgerPlace {
  const end = 2 + (key[1] ?? 0);
  const [door = "", fate = "", reason = ""] = key.toString("utf8", end + 4).split("\0");
  return { tenant: key.toString("utf8", 2, end), minute: key.readUInt32BE(end), door, fate, reason };
}

export function deadKey(sequence: number, part: number): Buffer {
  const key = Buffer.allocUnsafe(13);
  key[0] = tableByte.dead;
  writeU64(key, sequence, 1);
  key.writeUInt32BE(part, 9);
  return key;
}

/** As of deadKey; deadPlace reads it, too. */
export function closedKey(sequence: number, part: number): Buffer {
  const key = deadKey(sequence, part);
  key[0] = tableByte.closed;
  return key;
}

export function deadPlace(key: Buffer): { sequence: number; part: number } {
  return { sequence: readU64(key, 1), part: key.readUInt32BE(9) };
}

/** There since every dead letter is in the list and counted. */
export const deadListedKey = Buffer.of(tableByte.deadList);

/** What the rows of one list begin with. */
export function deadListPrefix(tenant: string, reason: string): Buffer {
  return keyOfTexts("deadList", tenant, reason);
}

/** `key` as of deadKey. */
export function deadListKey(tenant: string, reason: string, key: Buffer): Buffer {
  return Buffer.concat([deadListPrefix(tenant, reason), key.subarray(1)]);
}

/** The key of the letter that a row of the list is about. */
export function deadKeyOfList(prefix: Buffer, key: Buffer): Buffer {
  return Buffer.concat([Buffer.of(tableByte.dead), key.subarray(prefix.length)]);
}

export function deadCountKey(tenant: string, reason: string): Buffer {
  return keyOfTexts("deadCount", tenant, reason);
}

/** What all counts of a tenant begin with. */
export function deadCountPrefix(tenant: string): Buffer {
  return keyOfTexts("deadCount", tenant);
}

export function deadCountPlace(key: Buffer): { tenant: string; reason: string } {
  const end = 2 + (key[1] ?? 0);
  return { tenant: key.toString("utf8", 2, end), reason: key.toString("utf8", end + 1) };
}

export function quarantineKey(tenant: string): Buffer {
  return Buffer.concat([Buffer.of(tableByte.quarantine), Buffer.from(tenant)]);
}

export function tombstoneKey(tenant: string): Buffer {
  return Buffer.concat([Buffer.of(tableByte.tombstone), Buffer.from(tenant)]);
}

/** Each behind its length. */
function keyOfTexts(table: Table, ...texts: string[]): Buffer {
  const parts = texts.map((text) => Buffer.from(text));
  for (const { length } of parts) assert(length <= 255, `a text of at most 255 bytes, got ${length}`);
  return Buffer.concat([
    Buffer.of(tableByte[table]),
    ...parts.flatMap((part) => [Buffer.of(part.length), part]),
  ]);
}

/** Whole numbers up to 2^53; times before 1970 or with fractions are cut. */
function writeU64(key: Buffer, value: number, at: number): void {
  const whole = Math.max(0, Math.floor(value));
  key.writeUInt32BE(Math.floor(whole / 2 ** 32), at);
  key.writeUInt32BE(whole % 2 ** 32, at + 4);
}

function readU64(key: Buffer, at: number): number {
  return key.readUInt32BE(at) * 2 ** 32 + key.readUInt32BE(at + 4);
}
