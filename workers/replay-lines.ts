// What a replay takes of a frame: the lines of one tenant, but those that are or were dead letters: they are not in the
// store, or came there by a frame of their own.
import type { RecordedFrame } from "../src/bus/bus.ts";
import type { Frame, Section } from "../src/metric/frame.ts";
import { partsPerFrame, type Buried } from "../src/store/store.ts";
import { cutLines, FrameLines } from "./frame-lines.ts";

/** `buried`: letters of frames of this number. Empty: the frame has nothing for the replay. */
export function linesOf(
  recorded: RecordedFrame,
  frame: Frame,
  tenant: string,
  buried: readonly Buried[],
): Section[] {
  if (buried.some((letter) => letter.tenant === "" && letter.receivedAtMs === recorded.timeMs)) return [];
  // Of a record before (adopt), whose frames had the same numbers, a letter has another time.
  const mine = buried.filter(
    (letter) => letter.tenant === tenant && letter.receivedAtMs === frame.receivedAtMs,
  );
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
  for (const { part, reason } of buried) {
    const line = part % partsPerFrame;
    if (line < first || line >= next) continue;
    // A section that was buried whole was so up to its end.
    const end = reason === "quarantined" ? next : line + 1;
    for (let each = line; each < end; each++) gone.add(each - first);
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
