// What operators ask of a shard's dead letters. Reading goes by a snapshot; dropping and releasing by the actor; a retry
// is a frame in the record, so that it counts as everything counts: by a commit.
//
// L1. A letter counts once, however often it is retried: the frame names it, and the commit that closes it applies it
//     only while it is open. All its retries have one message id: who asks again while the broker knows it, restarts
//     or not, records nothing, and is told so where the lines are others. For longer than that a letter is open only where
//     its shard is as far behind: then the record has two frames, of which the first one counts.
// L2. A letter of a tenant in quarantine is not retried before the tenant is released: it would be buried again.
// L3. A frame that nobody could read is nobody's letter: it is recorded again as it is, and the letter goes. Its lines
//     count once, for it has the identity that it had; where it can't be read again, it is another letter.
import { isOutage, messageOf } from "../src/base/errors.ts";
import type { Bus } from "../src/bus/bus.ts";
import { doors, encodeFrame, frameBytesMax, messageId, type Door } from "../src/metric/frame.ts";
import { streamName } from "../src/bus/subjects.ts";
import { letterSequence, placeInRecord } from "../src/store/eras.ts";
import { partsPerFrame, type DeadLetter, type LetterPlace, type Snapshot } from "../src/store/store.ts";
import type { Questions } from "./control.ts";
import {
  decodeLetterQuestion,
  letterTextMost,
  listedTextMost,
  type LetterAnswer,
  type LetterInRecord,
  type LetterQuestion,
  type LetterShown,
} from "./letter-messages.ts";
import type { Supervisor } from "./supervisor.ts";

export interface LetterParts {
  bus: Bus;
  supervisor: Pick<Supervisor, "request">;
  /** Ends with `none` where the read takes too long, or the store is in trouble. */
  read(
    shard: number,
    told: (snapshot: Snapshot) => Promise<LetterAnswer>,
  ): Promise<LetterAnswer | { kind: "none"; why: string }>;
}

const actorMs = 30_000;
/** Behind every part of the frame before. */
const lastPart = 0xffff_ffff;

export function letterQuestions(parts: LetterParts): Questions {
  return {
    decode(asked) {
      const question = decodeLetterQuestion(asked);
      return question && (() => answer(parts, question));
    },
  };
}

type Told = LetterAnswer | { kind: "none"; why: string };

async function answer(parts: LetterParts, question: LetterQuestion): Promise<Told> {
  const { shard } = question;
  switch (question.kind) {
    case "dead-list":
      return parts.read(shard, async (snapshot) => {
        const letters = await snapshot.dead(question.most, question.only);
        return { kind: "dead-letters", letters: letters.map((letter) => shown(letter, listedTextMost)) };
      });
    case "dead-show":
      return parts.read(shard, async (snapshot) => {
        const letter = await letterAt(snapshot, question.place);
        if (letter === undefined) return { kind: "dead-letter", letter: null };
        const { era } = await snapshot.progress();
        const place = await placeOf(parts.bus, shard, era, letter);
        return { kind: "dead-letter", letter: { ...shown(letter, letterTextMost), place } };
      });
    case "dead-counts":
      return parts.read(shard, async (snapshot) => {
        const { era, quarantined, offset } = await snapshot.state();
        const counts = await snapshot.deadCounts();
        return { kind: "dead-counts", counts, quarantined, last: letterSequence(era, offset) };
      });
    case "dead-drop":
      return dropped(parts, question);
    case "dead-release":
      return released(parts, question);
    case "dead-retry":
      return retried(parts, question);
    default:
      return question satisfies never;
  }
}

async function letterAt(
  snapshot: Snapshot,
  { sequence, part }: LetterPlace,
): Promise<DeadLetter | undefined> {
  const after = part > 0 ? { sequence, part: part - 1 } : { sequence: sequence - 1, part: lastPart };
  const [letter] = await snapshot.dead(1, after.sequence < 0 ? {} : { after });
  return letter?.sequence === sequence && letter.part === part ? letter : undefined;
}

function shown({ bytes, ...letter }: DeadLetter, textMost: number): LetterShown {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, textMost)).toString("utf8");
  return { ...letter, text, bytes: bytes.length };
}

async function placeOf(
  bus: Bus,
  shard: number,
  eraNow: number,
  letter: LetterPlace,
): Promise<LetterInRecord["place"]> {
  const { era, sequence: frame } = placeInRecord(letter.sequence);
  const { firstSequence } = await bus.streamState(shard);
  const ofThis = frame < firstSequence ? "trimmed" : "held";
  const line = (letter.part % partsPerFrame) + 1;
  return { stream: streamName(shard), frame, line, record: era === eraNow ? ofThis : "earlier" };
}

async function dropped(
  { supervisor }: LetterParts,
  { shard, places }: Extract<LetterQuestion, { kind: "dead-drop" }>,
): Promise<Told> {
  const result = await supervisor.request(shard, { kind: "drop-letters", places: [...places] }, actorMs);
  if (result.kind === "none") return result;
  if (result.answer.kind === "chore-failed") return failed(result.answer);
  if (result.answer.kind !== "letters-dropped") return otherAnswer;
  return { kind: "dead-dropped", letters: result.answer.letters };
}

async function released(
  { supervisor }: LetterParts,
  { shard, tenant }: Extract<LetterQuestion, { kind: "dead-release" }>,
): Promise<Told> {
  const result = await supervisor.request(shard, { kind: "release", tenant }, actorMs);
  if (result.kind === "none") return result;
  if (result.answer.kind === "chore-failed") return failed(result.answer);
  return result.answer.kind === "released" ? { kind: "dead-released" } : otherAnswer;
}

const otherAnswer = { kind: "none", why: "its actor answered another question" } as const;

function failed({ code, why }: { code: string; why: string }): Told {
  return { kind: "none", why: `${code}: ${why}` };
}

/** L1. One letter after the other: some are large. */
async function retried(
  parts: LetterParts,
  { shard, places, lines }: Extract<LetterQuestion, { kind: "dead-retry" }>,
): Promise<Told> {
  return parts.read(shard, async (snapshot) => {
    const held = new Set((await snapshot.state()).quarantined.map(({ tenant }) => tenant));
    const told = { kind: "dead-retried", recorded: 0, gone: 0, refused: [] as RetryRefused[], why: "" };
    for (const place of places) {
      const letter = await letterAt(snapshot, place);
      if (letter === undefined) {
        told.gone += 1;
        continue;
      }
      const frame = held.has(letter.tenant) ? quarantined : retriedBytes(letter, lines);
      if (typeof frame === "string") {
        told.refused.push({ ...place, why: frame });
        continue;
      }
      try {
        if (!(await recorded(parts.bus, shard, place, frame))) {
          told.refused.push({ ...place, why: retriedBefore });
          continue;
        }
        // L3
        const gone =
          letter.tenant === "" && (await dropped(parts, { kind: "dead-drop", shard, places: [place] }));
        if (gone !== false && gone.kind === "none") {
          told.refused.push({ ...place, why: `${notClosed} (${gone.why})` });
          continue;
        }
      } catch (error) {
        if (!isOutage(error)) throw error;
        told.why = `${error.code}: ${messageOf(error)}`;
        break;
      }
      told.recorded += 1;
    }
    return told as LetterAnswer;
  });
}

/** L1. False: a retry of the letter with other lines is there already. */
async function recorded(bus: Bus, shard: number, place: LetterPlace, data: Buffer): Promise<boolean> {
  const identity = { kind: "retry", letter: { ...place, reason: "", lines: 0 } } as const;
  const { duplicate, sequence } = await bus.publish(shard, messageId(shard, identity), data);
  if (!duplicate) return true;
  const before = await bus.frameAt(shard, sequence);
  return before !== undefined && data.equals(before.data);
}

/** Keyed ids are forgotten after a day: from then on nothing but the letter's end says that it was retried. */
const notClosed =
  "its frame is in the record again, but the letter can't be closed: drop it, or retry it again within a day";

const retriedBefore = "it was retried already, with other lines: those count, and these do not";

type RetryRefused = Extract<LetterAnswer, { kind: "dead-retried" }>["refused"][number];

/** L2. */
const quarantined =
  "its tenant is in quarantine: millrace dead retry --tenant NAME ends that, and retries all";

/** What is to be recorded, or why not. */
function retriedBytes(letter: DeadLetter, lines: string | undefined): Buffer | string {
  const { sequence, part, reason, tenant, door, kind, receivedAtMs } = letter;
  if (tenant === "")
    return lines === undefined ? Buffer.from(letter.bytes) : "it is a whole frame: it has no lines to edit";
  if (!isDoor(door)) return `its door is ${door}, which this version does not know`;
  const bytes = lines === undefined ? letter.bytes : Buffer.from(lines);
  const whole = bytes.at(-1) === newline ? bytes : Buffer.concat([bytes, Buffer.of(newline)]);
  if (whole.length > frameBytesMax / 2) return `it is longer than ${frameBytesMax / 2} bytes`;
  const lineCount = lines === undefined ? letter.lines : countLines(whole);
  return encodeFrame({
    identity: { kind: "retry", letter: { sequence, part, reason, lines: letter.lines } },
    receivedAtMs,
    sections: [{ tenant, door, kind, lineCount, lines: whole }],
    refusals: [],
  });
}

const newline = 0x0a;

function countLines(whole: Uint8Array): number {
  let count = 0;
  for (let at = whole.indexOf(newline); at >= 0; at = whole.indexOf(newline, at + 1)) count += 1;
  return count;
}

function isDoor(door: string): door is Door {
  return (doors as readonly string[]).includes(door);
}
