// What operators ask of a shard's dead letters, and what its node answers: a family of control-messages.ts.
import type { DeadCount, DeadLetter, LetterPlace, Quarantined } from "../src/store/store.ts";

export type LetterQuestion = {
  shard: number;
} /** Open ones in the order of the record, at most so many; fewer where they are large. None: there are no more. */ & (
  | { kind: "dead-list"; only: LettersOnly; most: number }
  | { kind: "dead-show"; place: LetterPlace }
  | { kind: "dead-counts" }
  /** Removes them for good. */
  | { kind: "dead-drop"; places: LetterPlace[] }
  /** Records them again. `lines`: of a single one, instead of its own. */
  | { kind: "dead-retry"; places: LetterPlace[]; lines?: string }
  /** Ends a tenant's quarantine. */
  | { kind: "dead-release"; tenant: string }
);

export interface LettersOnly {
  after?: LetterPlace;
  tenant?: string;
  reason?: string;
}

export interface LetterShown extends Omit<DeadLetter, "bytes"> {
  /** Of the whole letter; `text` is its beginning. */
  bytes: number;
  text: string;
}

export interface LetterInRecord extends LetterShown {
  /** Where its first line was read: of which stream, in which frame, as which line of it, from 1. */
  place: { stream: string; frame: number; line: number; record: (typeof recordKinds)[number] };
}

/** Whether the frame is there: still, not any more, or not in this record, which was adopted later. */
export const recordKinds = ["held", "trimmed", "earlier"] as const;

export type LetterAnswer =
  | { kind: "dead-letters"; letters: LetterShown[] }
  /** null: it is not open. */
  | { kind: "dead-letter"; letter: LetterInRecord | null }
  /** `last`: no letter of what is stored so far has a higher sequence. */
  | { kind: "dead-counts"; counts: DeadCount[]; quarantined: Quarantined[]; last: number }
  | { kind: "dead-dropped"; letters: number }
  /** `gone`: were not open any more. `why`: the record did not take more. */
  | {
      kind: "dead-retried";
      recorded: number;
      gone: number;
      refused: (LetterPlace & { why: string })[];
      why: string;
    }
  | { kind: "dead-released" };

/** Of one question. */
export const lettersMost = 500;
export const listedTextMost = 1024;
export const letterTextMost = 1 << 20;
/** Of edited lines. */
export const editedBytesMost = 1 << 20;

export function decodeLetterQuestion(asked: Record<string, unknown>): LetterQuestion | undefined {
  const { kind, shard, most, only, place, places, tenant, lines } = asked;
  if (!isCount(shard)) return undefined;
  switch (kind) {
    case "dead-list": {
      if (!isCount(most) || most < 1 || most > lettersMost || !isOnly(only)) return undefined;
      return { kind, shard, only, most };
    }
    case "dead-show":
      return isPlace(place) ? { kind, shard, place } : undefined;
    case "dead-counts":
      return { kind, shard };
    case "dead-drop":
      return arePlaces(places) ? { kind, shard, places } : undefined;
    case "dead-retry": {
      if (!arePlaces(places)) return undefined;
      if (lines === undefined) return { kind, shard, places };
      if (typeof lines !== "string" || places.length !== 1) return undefined;
      return Buffer.byteLength(lines) > editedBytesMost ? undefined : { kind, shard, places, lines };
    }
    case "dead-release":
      return typeof tenant === "string" ? { kind, shard, tenant } : undefined;
    default:
      return undefined;
  }
}

function isOnly(value: unknown): value is LettersOnly {
  if (typeof value !== "object" || value === null) return false;
  const { after, tenant, reason } = value as Record<string, unknown>;
  return (
    (after === undefined || isPlace(after)) &&
    (tenant === undefined || typeof tenant === "string") &&
    (reason === undefined || typeof reason === "string")
  );
}

function arePlaces(value: unknown): value is LetterPlace[] {
  return Array.isArray(value) && value.length <= lettersMost && value.every(isPlace);
}

export function isPlace(value: unknown): value is LetterPlace {
  if (typeof value !== "object" || value === null) return false;
  const { sequence, part } = value as Record<string, unknown>;
  return isCount(sequence) && isCount(part) && part <= 0xffff_ffff;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
