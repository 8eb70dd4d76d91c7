// Small rows as msgpack arrays, and a read that trusts nothing: what is not of the shape that was written is the outage
// store-corrupt.
import { Packr, Unpackr } from "msgpackr";
import { Outage } from "../base/errors.ts";
import type { BootApplied, DeadLetter, Interval } from "./store.ts";

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });

export function pack(value: unknown): Buffer {
  return packr.pack(value);
}

/** An array of `length` at least, or the outage store-corrupt. */
export function unpack(bytes: Uint8Array, length: number, what: string): unknown[] {
  let value: unknown;
  try {
    value = unpackr.unpack(bytes);
  } catch (error) {
    throw new Outage("store-corrupt", `${what} can't be read`, { cause: error });
  }
  if (!Array.isArray(value) || value.length < length)
    throw new Outage("store-corrupt", `${what} is not what was written`);
  return value;
}

export function count(value: unknown, what: string): number {
  if (typeof value !== "number" || Number.isNaN(value))
    throw new Outage("store-corrupt", `${what} holds no number`);
  return value;
}

export function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw new Outage("store-corrupt", `${what} holds no text`);
  return value;
}

export function intervals(value: unknown, what: string): Interval[] {
  if (!Array.isArray(value)) throw new Outage("store-corrupt", `${what} holds no intervals`);
  return value.map((entry: unknown) => {
    if (!Array.isArray(entry)) throw new Outage("store-corrupt", `${what} holds no intervals`);
    return [count(entry[0], what), count(entry[1], what)];
  });
}

export function encodeBoot(boot: BootApplied): Buffer {
  return pack([boot.applied, boot.lastAppliedMs]);
}

export function decodeBoot(boot: string, bytes: Uint8Array): BootApplied {
  const what = "a boot's row";
  const [applied, lastAppliedMs] = unpack(bytes, 2, what);
  return { boot, applied: intervals(applied, what), lastAppliedMs: count(lastAppliedMs, what) };
}

export function encodeDead(dead: DeadLetter): Buffer {
  return pack([
    dead.tenant,
    dead.door,
    dead.reason,
    dead.detail,
    dead.receivedAtMs,
    dead.bytes,
    dead.kind,
    dead.lines,
  ]);
}

export function decodeDead(place: { sequence: number; part: number }, value: Uint8Array): DeadLetter {
  const what = "a dead letter";
  // Rows of versions before have neither a kind nor a number of lines: they are of one line each, in plaintext.
  const [tenant, door, reason, detail, receivedAtMs, bytes, kind, lines = 1] = unpack(value, 6, what);
  if (!(bytes instanceof Uint8Array)) throw new Outage("store-corrupt", `${what} holds no bytes`);
  return {
    ...place,
    tenant: text(tenant, what),
    door: text(door, what),
    reason: text(reason, what),
    detail: text(detail, what),
    receivedAtMs: count(receivedAtMs, what),
    kind: kind === "statsd" ? "statsd" : "plaintext",
    lines: count(lines, what),
    bytes: Uint8Array.from(bytes),
  };
}

/** What is counted of a dead letter. */
export interface LetterFacts {
  tenant: string;
  reason: string;
  receivedAtMs: number;
  lines: number;
  bytes: number;
}

/** Without a copy of its bytes. */
export function letterFacts(value: Uint8Array): LetterFacts {
  const what = "a dead letter";
  const [tenant, , reason, , receivedAtMs, bytes, , lines = 1] = unpack(value, 6, what);
  if (!(bytes instanceof Uint8Array)) throw new Outage("store-corrupt", `${what} holds no bytes`);
  return {
    tenant: text(tenant, what),
    reason: text(reason, what),
    receivedAtMs: count(receivedAtMs, what),
    lines: count(lines, what),
    bytes: bytes.length,
  };
}

export function encodeNumber(value: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeDoubleBE(value);
  return out;
}

export function decodeNumber(bytes: Uint8Array): number {
  if (bytes.length !== 8) throw new Outage("store-corrupt", "a number's row is not 8 bytes");
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0);
}
