// Writes a frame (frame.ts) into a buffer that is there already: one copy of the lines, and nothing made on the way.
// MessagePack, as far as a frame needs it; texts are shorter than 64 KB.
import { frameVersion, type Frame, type FrameIdentity, type RetriedLetter } from "./frame.ts";

const text = new TextEncoder();
/** Most of what stands around a string, a number or bytes. */
const headMost = 9;

/** At least as many bytes as the frame takes. */
export function frameBytesMost(frame: Frame): number {
  let bytes = 64;
  if (frame.identity.kind === "retry") bytes += 4 * headMost + 3 * frame.identity.letter.reason.length;
  for (const s of frame.sections)
    bytes += 5 * headMost + 3 * (s.tenant.length + s.door.length + s.kind.length) + s.lines.length;
  for (const r of frame.refusals)
    bytes += 6 * headMost + 3 * (r.tenant.length + r.door.length + r.reason.length);
  return bytes;
}

/** Answers how many bytes it took. `into` has room for frameBytesMost. */
export function writeFrame(frame: Frame, into: Buffer): number {
  const { identity, sections, refusals } = frame;
  let at = writeArray(into, 0, 7);
  at = writeNumber(into, at, frameVersion);
  at = identity.kind === "boot" ? writeBytes(into, at, identity.boot) : writeNull(into, at);
  at = writeNumber(into, at, numberOf(identity));
  at = writeNumber(into, at, frame.receivedAtMs);
  at = writeArray(into, at, sections.length);
  for (const { tenant, door, kind, lineCount, lines } of sections) {
    at = writeArray(into, at, 5);
    at = writeText(into, at, tenant);
    at = writeText(into, at, door);
    at = writeText(into, at, kind);
    at = writeNumber(into, at, lineCount);
    at = writeBytes(into, at, lines);
  }
  at = writeArray(into, at, refusals.length);
  for (const { tenant, door, reason, count, minute } of refusals) {
    at = writeArray(into, at, 5);
    at = writeText(into, at, tenant);
    at = writeText(into, at, door);
    at = writeText(into, at, reason);
    at = writeNumber(into, at, count);
    at = writeNumber(into, at, minute);
  }
  if (identity.kind === "retry") return writeLetter(into, at, identity.letter);
  return identity.kind === "keyed" ? writeBytes(into, at, identity.id) : writeNull(into, at);
}

function numberOf(identity: FrameIdentity): number {
  if (identity.kind === "retry") return identity.letter.sequence;
  return identity.kind === "boot" ? identity.n : 0;
}

function writeLetter(into: Buffer, from: number, { part, reason, lines }: RetriedLetter): number {
  let at = writeArray(into, from, 4);
  at = writeText(into, at, "retry");
  at = writeNumber(into, at, part);
  at = writeText(into, at, reason);
  return writeNumber(into, at, lines);
}

function writeNull(into: Buffer, at: number): number {
  into[at] = 0xc0;
  return at + 1;
}

function writeArray(into: Buffer, at: number, length: number): number {
  if (length < 16) {
    into[at] = 0x90 | length;
    return at + 1;
  }
  if (length < 0x1_0000) {
    into[at] = 0xdc;
    return into.writeUInt16BE(length, at + 1);
  }
  into[at] = 0xdd;
  return into.writeUInt32BE(length, at + 1);
}

/** Whole, from 0 to what a double holds exactly. */
function writeNumber(into: Buffer, at: number, value: number): number {
  if (value < 0x80) {
    into[at] = value;
    return at + 1;
  }
  if (value < 0x100) {
    into[at] = 0xcc;
    into[at + 1] = value;
    return at + 2;
  }
  if (value < 0x1_0000) {
    into[at] = 0xcd;
    return into.writeUInt16BE(value, at + 1);
  }
  if (value < 0x1_0000_0000) {
    into[at] = 0xce;
    return into.writeUInt32BE(value, at + 1);
  }
  into[at] = 0xcb;
  return into.writeDoubleBE(value, at + 1);
}

function writeText(into: Buffer, at: number, value: string): number {
  const bytes = text.encode(value);
  let next = at;
  if (bytes.length < 32) into[next++] = 0xa0 | bytes.length;
  else if (bytes.length < 0x100) {
    into[next++] = 0xd9;
    into[next++] = bytes.length;
  } else {
    into[next] = 0xda;
    next = into.writeUInt16BE(bytes.length, next + 1);
  }
  into.set(bytes, next);
  return next + bytes.length;
}

function writeBytes(into: Buffer, at: number, bytes: Uint8Array): number {
  let next = at;
  if (bytes.length < 0x100) {
    into[next++] = 0xc4;
    into[next++] = bytes.length;
  } else if (bytes.length < 0x1_0000) {
    into[next] = 0xc5;
    next = into.writeUInt16BE(bytes.length, next + 1);
  } else {
    into[next] = 0xc6;
    next = into.writeUInt32BE(bytes.length, next + 1);
  }
  into.set(bytes, next);
  return next + bytes.length;
}
