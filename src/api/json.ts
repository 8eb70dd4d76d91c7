// Series as the JSON that Graphite's clients read, straight to bytes.
//
// J1. What is not there is null. Nothing that JSON can't say is ever written (an infinity of a sum becomes 1e9999, as
//     Graphite writes it).

const encoder = new TextEncoder();

/** One `{"target", "tags", "datapoints"}`; undefined when `skipNulls` leaves no point. Times are epoch seconds. */
export function jsonOfSeries(
  target: string,
  tags: Readonly<Record<string, string>>,
  values: Float64Array,
  start: number,
  stepSeconds: number,
  skipNulls: boolean,
): Uint8Array | undefined {
  let points = "";
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? Number.NaN;
    if (skipNulls && Number.isNaN(value)) continue;
    points += `${points === "" ? "" : ","}[${numberText(value)},${start + i * stepSeconds}]`;
  }
  if (skipNulls && points === "") return undefined;
  return encoder.encode(
    `{"target":${JSON.stringify(target)},"tags":${JSON.stringify(tags)},"datapoints":[${points}]}`,
  );
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "null" : value > 0 ? "1e9999" : "-1e9999";
}

/** Parts as one array, in memory of its own that can be handed to another thread. */
export function joinArray(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0) + Math.max(0, parts.length - 1) + 2;
  const out = new Uint8Array(bytes);
  const [open, comma, close] = [0x5b, 0x2c, 0x5d];
  let at = 0;
  out[at++] = open;
  for (const [i, part] of parts.entries()) {
    if (i > 0) out[at++] = comma;
    out.set(part, at);
    at += part.length;
  }
  out[at] = close;
  return out;
}

export function jsonBytes(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(value));
}
