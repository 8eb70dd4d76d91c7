// Time stamps to buckets, and ladders: which resolutions a series has and for how long.
//
// A point belongs to the bucket that starts at floor(t / step) * step. A ladder's rungs go from fine to coarse,
// each step a multiple of the one before and each span longer.

export interface Rung {
  stepSeconds: number;
  spanSeconds: number;
}

export interface Ladder {
  readonly rungs: readonly Rung[];
}

/** Points further ahead of receivedAtMs than this are refused: they are clocks gone wrong. */
export const aheadSecondsMax = 3600;

export function bucketOf(seconds: number, stepSeconds: number): number {
  return seconds - (seconds % stepSeconds);
}

export function finestStep(ladder: Ladder): number {
  return ladder.rungs[0]?.stepSeconds ?? 1;
}

export function longestSpan(ladder: Ladder): number {
  return ladder.rungs.at(-1)?.spanSeconds ?? 0;
}

/**
 * The judgement of a time stamp, the same at the door and in the actor because both use the frame's receivedAtMs.
 * The earliest and the latest second that count.
 */
export function acceptedSeconds(receivedAtMs: number, ladder: Ladder): { oldest: number; newest: number } {
  const now = Math.floor(receivedAtMs / 1000);
  return { oldest: Math.max(1, now - longestSpan(ladder)), newest: now + aheadSecondsMax };
}

const unitSeconds: Record<string, number> = {
  s: 1,
  m: 60,
  min: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
  y: 31_536_000,
};

/** `90`, `60s`, `5m`, `1h`, `2d`, `1w`, `2y` in seconds. */
export function parseSpan(text: string): number | undefined {
  const match = /^(\d{1,10})(s|m|min|h|d|w|y)?$/.exec(text.trim());
  if (match === null) return undefined;
  return Number(match[1]) * (unitSeconds[match[2] ?? "s"] ?? 1);
}

export type ParsedLadder = { kind: "ladder"; ladder: Ladder } | { kind: "invalid"; why: string };

/** `10s:2d,60s:30d,600s:2y`, as carbon's retentions are written. */
export function parseLadder(text: string): ParsedLadder {
  const rungs: Rung[] = [];
  for (const part of text.split(",")) {
    const [step, span, more] = part.split(":");
    const stepSeconds = parseSpan(step ?? "");
    const spanSeconds = parseSpan(span ?? "");
    if (stepSeconds === undefined || spanSeconds === undefined || more !== undefined)
      return invalid(`"${part.trim()}" is not of the form 10s:2d`);
    if (stepSeconds < 1) return invalid(`"${part.trim()}": a step is at least one second`);
    if (spanSeconds < stepSeconds) return invalid(`"${part.trim()}": the span is shorter than the step`);
    const finer = rungs.at(-1);
    if (finer !== undefined) {
      if (stepSeconds <= finer.stepSeconds || stepSeconds % finer.stepSeconds !== 0)
        return invalid(`"${part.trim()}": the step must be a multiple of ${finer.stepSeconds}s`);
      if (spanSeconds <= finer.spanSeconds)
        return invalid(`"${part.trim()}": the span must be longer than the rung's before it`);
    }
    rungs.push({ stepSeconds, spanSeconds });
  }
  return { kind: "ladder", ladder: { rungs } };
}

function invalid(why: string): ParsedLadder {
  return { kind: "invalid", why };
}
