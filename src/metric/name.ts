// Canonical names: the one text under which a series is stored, whichever way its senders write it.
//
// C1. Applying it twice is applying it once. A canonical name is never longer than what was sent, and never empty.
// C2. Empty nodes vanish, as they do where carbon stores: `a..b` is `a.b`, `.a.` is `a`.
// C3. Tags are in the order that carbon gives them: sorted by the bytes of `tag=value`. A tag sent twice keeps its
//     last value. The tag `name` is the name itself, so a tag called so is dropped.
// C4. `name{a="1",b="2"}` (OpenMetrics) is `name;a=1;b=2`.
// C5. What has an invalid tag part is not refused: its whole text is the name, without tags.
//
// It runs once, when a series is seen for the first time, never per point: so it may allocate.

export interface TaggedName {
  name: string;
  /** Without the pseudo-tag `name`. */
  tags: Map<string, string>;
}

// A BOM is part of a name like any other character: it must come back as it went in.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** Canonical bytes of bytes[from, to), a name that `readLine` passed. Always bytes of its own, not a view. */
export function canonicalName(bytes: Uint8Array, from: number, to: number): Uint8Array {
  if (isPlain(bytes, from, to)) return bytes.slice(from, to);
  return encoder.encode(canonicalText(decoder.decode(bytes.subarray(from, to))));
}

/**
 * Quick and without allocation: surely canonical already. Names that have tags, or begin or end in an odd way, are
 * answered with no, whether they are canonical or not.
 */
export function isPlain(bytes: Uint8Array, from: number, to: number): boolean {
  let before = 0x2e;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    if (byte === 0x3b || byte === 0x7b || (byte === 0x2e && before === 0x2e)) return false;
    before = byte;
  }
  return before !== 0x2e && bytes[from] !== 0x7e;
}

export function canonicalText(text: string): string {
  let canonical = text;
  // More than one round only for oddities: `x{a="1"}.` has no tags until its last dot is gone. Each round but the
  // last makes the text shorter or puts its tags in order, so this ends.
  for (;;) {
    const parsed = parseTagged(canonical);
    const next = parsed === undefined ? withoutEmptyNodes(canonical) : formatTagged(parsed);
    if (next === canonical) return canonical;
    canonical = next;
  }
}

/** Name and tags of a text, or undefined when a part of it is invalid and all of it is a name (C5). */
export function parseTagged(text: string): TaggedName | undefined {
  return text.endsWith('"}') && text.includes("{") ? parseOpenMetrics(text) : parseCarbon(text);
}

/** `name;tag=value;...` in canonical order. */
export function formatTagged(tagged: TaggedName): string {
  const parts = Array.from(tagged.tags, ([tag, value]) => `;${tag}=${value}`);
  return tagged.name + parts.sort(byBytes).join("");
}

function parseCarbon(text: string): TaggedName | undefined {
  const [name, ...parts] = text.split(";");
  const tags = new Map<string, string>();
  for (const part of parts) {
    const equals = part.indexOf("=");
    if (equals < 0 || !addTag(tags, part.slice(0, equals), part.slice(equals + 1))) return undefined;
  }
  return named(name ?? "", tags);
}

const openMetricsTag = /([^=]+)="((?:\\["\\]|[^"\\])+)"(?:,|$)/y;

function parseOpenMetrics(text: string): TaggedName | undefined {
  const brace = text.indexOf("{");
  const rest = text.slice(brace + 1, -1);
  const tags = new Map<string, string>();
  openMetricsTag.lastIndex = 0;
  while (openMetricsTag.lastIndex < rest.length) {
    const match = openMetricsTag.exec(rest);
    const value = match?.[2]?.replaceAll(/\\(["\\])/g, "$1");
    if (match === null || value === undefined || !addTag(tags, match[1] ?? "", value)) return undefined;
  }
  const name = text.slice(0, brace);
  // Read again, the result would be cut at these: it could not be canonical (C1).
  return name.includes(";") || rest.includes("{") ? undefined : named(name, tags);
}

/** The rules: a tag has no `;`, `!`, `^` or `=`; a value has no `;` and does not start with `~`; neither is empty. */
function addTag(tags: Map<string, string>, tag: string, value: string): boolean {
  if (tag === "" || /[;!^=]/.test(tag)) return false;
  if (value === "" || value.includes(";") || value.startsWith("~")) return false;
  if (tag !== "name") tags.set(tag, value);
  return true;
}

/** As a value of the tag `name`, a name can't start with `~`: carbon strips it. */
function named(text: string, tags: Map<string, string>): TaggedName | undefined {
  const name = withoutEmptyNodes(text.replace(/^[~.]+/, ""));
  return name === "" ? undefined : { name, tags };
}

function withoutEmptyNodes(text: string): string {
  return text
    .replaceAll(/\.{2,}/g, ".")
    .replace(/^\./, "")
    .replace(/\.$/, "");
}

/** The order of UTF-8 bytes, which is the order of code points; that of JavaScript's strings differs beyond U+FFFF. */
function byBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = rank(a.charCodeAt(i)) - rank(b.charCodeAt(i));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Puts surrogates, which stand for code points beyond U+FFFF, behind all others. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}
