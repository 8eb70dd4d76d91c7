// Numbers as a person reads them, in sentences.

/** 1 letter, 12,345 letters, 1 series. */
export function countText(count: number, what: string): string {
  const whole = Math.round(count);
  const isSame = whole === 1 || what.endsWith("s");
  return `${whole.toLocaleString("en-US")} ${isSame ? what : pluralOf(what)}`;
}

/** The same with what they do: 1 letter stays, 2 letters stay. */
export function countDoing(count: number, what: string, one: string, many: string): string {
  return `${countText(count, what)} ${Math.round(count) === 1 ? one : many}`;
}

/** shard 3, shards 3, 4. */
export function shardsText(shards: readonly number[]): string {
  return `${shards.length === 1 ? "shard" : "shards"} ${shards.join(", ")}`;
}

/** 1.5 s, 3 min 12 s, 2 h 5 min, 3 d 4 h. */
export function spanText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (seconds < 60) return `${seconds} s`;
  const units = [
    [86_400, "d", 3600, "h"],
    [3600, "h", 60, "min"],
    [60, "min", 1, "s"],
  ] as const;
  for (const [large, name, small, rest] of units)
    if (seconds >= large)
      return `${Math.floor(seconds / large)} ${name} ${Math.floor((seconds % large) / small)} ${rest}`;
  return `${seconds} s`;
}

function pluralOf(what: string): string {
  return /[^aeiou]y$/.test(what) ? `${what.slice(0, -1)}ies` : `${what}s`;
}
