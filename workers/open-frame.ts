// A frame whose lines are being taken, and the pieces in which they are: the lines of one section, or some of them.
import type { RecordedFrame } from "../src/bus/bus.ts";
import type { Frame, Section } from "../src/metric/frame.ts";
import type { Origin } from "./books.ts";
import { countEnds, cutLines, type FrameLines, receivedWithin } from "../src/metric/frame-lines.ts";

export interface OpenFrame {
  recorded: RecordedFrame;
  frame: Frame;
  lines: FrameLines;
}

export interface Piece {
  open: OpenFrame;
  /** Index of the section. */
  section: number;
  /** Of the section's lines, the first one here. */
  from: number;
  origin: Origin;
  lines: Uint8Array;
  /** Of these lines, how many are booked as received. */
  received: number;
  /** How far lines were counted, in bytes and lines: they are asked for in their order. */
  countedTo: number;
  counted: number;
}

export function wholePiece(open: OpenFrame, section: number): Piece {
  const { lines, lineCount } = open.frame.sections[section] as Section;
  return pieceOf(open, section, 0, lines, lineCount);
}

/** What lines [from, to) of the frame are in this section; undefined: none. */
export function cutPiece(open: OpenFrame, section: number, from: number, to: number): Piece | undefined {
  const { lines, lineCount } = open.frame.sections[section] as Section;
  const first = open.lines.first(section);
  const count = open.lines.first(section + 1) - first;
  const begin = Math.max(0, from - first);
  const end = Math.min(count, to - first);
  if (begin >= end) return undefined;
  const received = receivedWithin(open.lines, section, { lineCount }, from, to);
  return pieceOf(open, section, begin, cutLines(lines, begin, end), received);
}

/** Number of a line within its frame. `line`: a view of the piece's lines. */
export function lineNumber(piece: Piece, line: Uint8Array): number {
  const at = line.byteOffset - piece.lines.byteOffset;
  if (at < piece.countedTo) {
    piece.countedTo = 0;
    piece.counted = 0;
  }
  piece.counted += countEnds(piece.lines, piece.countedTo, at);
  piece.countedTo = at;
  return firstLine(piece) + piece.counted;
}

/** Number of the piece's first line within its frame. */
export function firstLine({ open, section, from }: Piece): number {
  return open.lines.first(section) + from;
}

/** Epoch seconds. */
export function minuteOf(ms: number): number {
  return Math.floor(ms / 60_000) * 60;
}

function pieceOf(open: OpenFrame, section: number, from: number, lines: Uint8Array, received: number): Piece {
  const { receivedAtMs, sections } = open.frame;
  const { tenant, door, kind } = sections[section] as Section;
  const { sequence } = open.recorded;
  const origin = { sequence, tenant, door, kind, minute: minuteOf(receivedAtMs), receivedAtMs };
  return { open, section, from, origin, lines, received, countedTo: 0, counted: 0 };
}
