// A frame: one recorded message, raw lines of one or more tenants for one shard.
//
// F1. The same frame gives the same result wherever and whenever it is read: all judgement of time rests on
//     `receivedAtMs`, none on a clock.
// F2. A frame names itself: by (boot id, n), by a keyed id where the sender sent an Idempotency-Key, or by the dead
//     letter that it brings back. The same identity is the same content, at each resend; of two retries of a letter,
//     which an operator may have edited in two ways, the first one counts.
// F3. Reading never throws: bytes that are no frame of ours are a reason, for they may come from anywhere.
import { Unpackr } from "msgpackr";
import { frameBytesMost, writeFrame } from "./frame-writer.ts";

export const frameVersion = 1;
/** Larger than any frame a batcher closes (1 MB under load), smaller than the server's max_payload (8 MB). */
export const frameBytesMax = 4 << 20;

/** How `lines` is written. */
export const kinds = ["plaintext", "statsd"] as const;
export type Kind = (typeof kinds)[number];

export const doors = ["tcp", "http", "udp", "pickle", "tls", "statsd", "nats"] as const;
export type Door = (typeof doors)[number];

export interface Section {
  tenant: string;
  door: Door;
  kind: Kind;
  lineCount: number;
  /** Whole lines, each ended by \n, the key stripped, otherwise as they came. */
  lines: Uint8Array;
}

/** What a door refused since the last frame: so the books are in the record. */
export interface Refusal {
  tenant: string;
  door: Door;
  reason: string;
  count: number;
  /** Minute of refusal: epoch seconds, a multiple of 60. */
  minute: number;
}

/** A dead letter that is applied again: where it is, and as what it stands in the books. */
export interface RetriedLetter {
  sequence: number;
  part: number;
  reason: string;
  lines: number;
}

/**
 * n counts from 0 in the gateway's order for this shard; boot is 16 bytes, new at each start of a gateway. A `retry` has
 * the letter's receivedAtMs and one section, with its tenant, door and kind, and its lines, edited perhaps.
 */
export type FrameIdentity =
  | { kind: "boot"; boot: Uint8Array; n: number }
  | { kind: "keyed"; id: Uint8Array }
  | { kind: "retry"; letter: RetriedLetter };

export interface Frame {
  identity: FrameIdentity;
  receivedAtMs: number;
  sections: Section[];
  refusals: Refusal[];
}

const unpackr = new Unpackr({ useRecords: false });

/**
 * [version, boot | null, n, receivedAtMs, sections, refusals, keyed id | null], in a buffer of its own or in the
 * beginning of `take(bytes)`. A retry has no boot, the letter's sequence as n, and ["retry", part, reason, lines] in the
 * place of the keyed id.
 */
export function encodeFrame(
  frame: Frame,
  take = (bytes: number): Buffer => Buffer.allocUnsafe(bytes),
): Buffer {
  const into = take(frameBytesMost(frame));
  return into.subarray(0, writeFrame(frame, into));
}

export type DecodedFrame = { kind: "frame"; frame: Frame } | { kind: "corrupt"; why: string };

/** The sections' lines are views of `bytes`: valid as long as those are. */
export function decodeFrame(bytes: Uint8Array): DecodedFrame {
  let value: unknown;
  try {
    value = unpackr.unpack(bytes);
  } catch (error) {
    return corrupt(`not msgpack: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!Array.isArray(value) || value.length !== 7) return corrupt("not an array of seven");
  const [version, boot, n, receivedAtMs, sections, refusals, keyed] = value as unknown[];
  if (version !== frameVersion) return corrupt(`version ${String(version)}, expected ${frameVersion}`);
  if (!isCount(receivedAtMs)) return corrupt("receivedAtMs is no time");
  const identity = identityOf(boot, n, keyed);
  if (identity === undefined) return corrupt("neither boot id with number nor keyed id nor letter");
  if (!Array.isArray(sections) || !Array.isArray(refusals)) return corrupt("sections or refusals missing");
  const frame: Frame = { identity, receivedAtMs, sections: [], refusals: [] };
  for (const row of sections as unknown[]) {
    const section = sectionOf(row);
    if (section === undefined) return corrupt("a section is malformed");
    frame.sections.push(section);
  }
  for (const row of refusals as unknown[]) {
    const refusal = refusalOf(row);
    if (refusal === undefined) return corrupt("a refusal is malformed");
    frame.refusals.push(refusal);
  }
  return { kind: "frame", frame };
}

/** The Nats-Msg-Id: the same at each resend. */
export function messageId(shard: number, identity: FrameIdentity): string {
  switch (identity.kind) {
    case "boot":
      return `${hex(identity.boot)}.${shard}.${identity.n}`;
    case "keyed":
      return `k.${hex(identity.id)}.${shard}`;
    case "retry":
      return `r.${identity.letter.sequence}.${identity.letter.part}.${shard}`;
    default:
      return identity satisfies never;
  }
}

export function hex(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += byte.toString(16).padStart(2, "0");
  return out;
}

function corrupt(why: string): DecodedFrame {
  return { kind: "corrupt", why };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function identityOf(boot: unknown, n: unknown, keyed: unknown): FrameIdentity | undefined {
  if (keyed instanceof Uint8Array && keyed.length === 16 && boot === null)
    return { kind: "keyed", id: keyed };
  if (boot instanceof Uint8Array && boot.length === 16 && keyed === null && isCount(n))
    return { kind: "boot", boot, n };
  const letter = boot === null && isCount(n) ? letterOf(n, keyed) : undefined;
  return letter && { kind: "retry", letter };
}

function letterOf(sequence: number, slot: unknown): RetriedLetter | undefined {
  if (!Array.isArray(slot) || slot.length !== 4) return undefined;
  const [word, part, reason, lines] = slot as unknown[];
  if (word !== "retry" || !isCount(part) || !isCount(lines)) return undefined;
  if (typeof reason !== "string" || reason.length > 64) return undefined;
  return { sequence, part, reason, lines };
}

function sectionOf(row: unknown): Section | undefined {
  if (!Array.isArray(row) || row.length !== 5) return undefined;
  const [tenant, door, kind, lineCount, lines] = row as unknown[];
  if (typeof tenant !== "string" || tenant.length === 0 || tenant.length > 64) return undefined;
  if (!isDoor(door) || !isKind(kind) || !isCount(lineCount) || !(lines instanceof Uint8Array))
    return undefined;
  return { tenant, door, kind, lineCount, lines };
}

function refusalOf(row: unknown): Refusal | undefined {
  if (!Array.isArray(row) || row.length !== 5) return undefined;
  const [tenant, door, reason, count, minute] = row as unknown[];
  if (typeof tenant !== "string" || !isDoor(door) || typeof reason !== "string") return undefined;
  if (reason.length > 64 || !isCount(count) || !isCount(minute)) return undefined;
  return { tenant, door, reason, count, minute };
}

function isDoor(value: unknown): value is Door {
  return (doors as readonly unknown[]).includes(value);
}

function isKind(value: unknown): value is Kind {
  return (kinds as readonly unknown[]).includes(value);
}
