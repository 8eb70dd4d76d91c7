// The lines of a frame, numbered through its sections from 0: so lines that are tried apart, and dead letters, have a
// name. A section without lines has one number all the same, for its place in the books.
import type { Frame, Section } from "./frame.ts";

const newline = 0x0a;

export class FrameLines {
  readonly #sections: readonly Section[];
  /** Counted when somebody asks: nobody does of most frames. */
  #firsts: number[] | undefined;

  constructor({ sections }: Frame) {
    this.#sections = sections;
  }

  get total(): number {
    return this.first(this.#sections.length);
  }

  /** Number of the section's first line. */
  first(section: number): number {
    this.#firsts ??= this.#count();
    return this.#firsts[section] as number;
  }

  /** The section that has this line. */
  sectionOf(line: number): number {
    let section = 0;
    while (section + 1 < this.#sections.length && this.first(section + 1) <= line) section++;
    return section;
  }

  #count(): number[] {
    const firsts = [0];
    for (const { lines } of this.#sections)
      firsts.push((firsts.at(-1) as number) + Math.max(1, countLines(lines)));
    return firsts;
  }
}

/** A last line without an end is one too. */
export function countLines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < bytes.length; count++) {
    const end = bytes.indexOf(newline, at);
    at = end < 0 ? bytes.length : end + 1;
  }
  return count;
}

/** Line ends in bytes[from, to). */
export function countEnds(bytes: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let at = bytes.indexOf(newline, from); at >= 0 && at < to; at = bytes.indexOf(newline, at + 1))
    count++;
  return count;
}

/** Lines [from, to) of the bytes, their ends included. */
export function cutLines(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const start = skipLines(bytes, 0, from);
  return bytes.subarray(start, skipLines(bytes, start, to - from));
}

/**
 * How many lines are booked as received for lines [from, to) of a section of `lines` whose door counted `counted`: the
 * parts of a section add up to what the door counted, whatever it counted.
 */
export function receivedOf(counted: number, lines: number, from: number, to: number): number {
  const upTo = (line: number) => (line >= lines ? counted : Math.min(line, counted));
  return upTo(to) - upTo(from);
}

/** What of a section, by its number, is booked as received for lines [from, to) of its frame. */
export function receivedWithin(
  lines: FrameLines,
  section: number,
  { lineCount }: Pick<Section, "lineCount">,
  from: number,
  to: number,
): number {
  const first = lines.first(section);
  const count = lines.first(section + 1) - first;
  const begin = Math.max(0, from - first);
  const end = Math.min(count, to - first);
  return begin < end ? receivedOf(lineCount, count, begin, end) : 0;
}

function skipLines(bytes: Uint8Array, from: number, lines: number): number {
  let at = from;
  for (let left = lines; left > 0 && at < bytes.length; left--) {
    const end = bytes.indexOf(newline, at);
    at = end < 0 ? bytes.length : end + 1;
  }
  return at;
}
