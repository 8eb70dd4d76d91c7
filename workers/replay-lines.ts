// What a replay takes of a frame: the lines of one tenant, but those that are or were dead letters: they are not in the
// store, or came there by a frame of their own.
import type { Frame, Section } from "../src/metric/frame.ts";
import { partsPerFrame, type Buried } from "../src/store/store.ts";
import { cutLines, FrameLines } from "../src/metric/frame-lines.ts";

/** A line may end with a carriage return, which no letter has. */
const endBytesMost = 2;

/** `buried`: letters of this frame, which was not buried whole. Empty: it has nothing for the replay. */
export function linesOf(frame: Frame, tenant: string, buried: readonly Buried[]): Section[] {
  const mine = buried.filter((letter) => letter.tenant === tenant);
  const numbers = new FrameLines(frame);
  return frame.sections.flatMap((section, i): Section[] => {
    if (section.tenant !== tenant) return [];
    if (mine.length === 0) return [section];
    const kept = without(section, numbers.first(i), numbers.first(i + 1), mine);
    return kept.lines.length === 0 ? [] : [kept];
  });
}

/** `first` and `next`: numbers of the section's first line, and of the one behind its last. */
function without(section: Section, first: number, next: number, buried: readonly Buried[]): Section {
  const gone = new Set<number>();
  for (const letter of buried) {
    const line = (letter.part % partsPerFrame) - first;
    if (line < 0 || line >= next - first) continue;
    // A section that was buried whole was so up to its end.
    const end = letter.reason === "quarantined" ? next - first : line + 1;
    if (isWhole(letter, section, line)) for (let each = line; each < end; each++) gone.add(each);
  }
  if (gone.size === 0) return section;
  const pieces: Uint8Array[] = [];
  for (let line = 0; line < next - first; line++) {
    if (gone.has(line)) continue;
    let end = line + 1;
    while (end < next - first && !gone.has(end)) end++;
    pieces.push(cutLines(section.lines, line, end));
    line = end;
  }
  return { ...section, lines: Buffer.concat(pieces), lineCount: next - first - gone.size };
}

/** StatsD may refuse some of a line's metrics and take the others: it will do the same again. */
function isWhole({ reason, bytes }: Buried, { kind, lines }: Section, line: number): boolean {
  if (kind === "plaintext" || reason === "poison" || reason === "quarantined") return true;
  return bytes >= cutLines(lines, line, line + 1).length - endBytesMost;
}
