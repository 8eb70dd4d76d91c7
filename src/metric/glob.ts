// Graphite patterns: `*`, `?`, `[abc]`, `[a-z]`, `[!a]`, `{a,b}` within a node, case-sensitive, compiled to matchers.
//
// G1. Work is bounded: matching a text costs at most text length × pattern length steps, whatever the pattern.
// G2. A node (or tag part) also matches the text that is spelt exactly like it: names such as `a.b?` and `a.{x}` can
//     exist, and asking for one by its name must find it.
// G3. Any text is a pattern. What Graphite can't read (nested braces, braces that span dots) finds only G2.
//
// A tagged name, `disk.used;host=a.b`, is one leaf under its whole text. Its pattern is matched in two parts: nodes
// before the first `;`, as always, and everything from there on as one text, in which a dot is an ordinary character.
// A pattern without `;` finds untagged names only.

/** Longer patterns find nothing but their own spelling. A Grafana variable with 2,000 values fits. */
export const patternCharsMax = 65_536;
/** `{a,b}{c,d}` becomes a list of words while it has at most this many characters in all; beyond, it is matched like a
 * wildcard. */
const wordCharsMax = 65_536;

export interface TextMatcher {
  /** The text as written. */
  readonly text: string;
  /** All texts that match, sorted, where they can be listed: no wildcard. A plain text lists itself. */
  readonly words: readonly string[] | undefined;
  /** What every match begins with: the bounds of a range scan. */
  readonly prefix: string;
  matches(text: string): boolean;
}

export interface Pattern {
  readonly text: string;
  /** No wildcard anywhere: a plain look-up. */
  readonly literal: boolean;
  /** One per dotted node; of a tagged pattern, those before the first `;`. */
  readonly nodes: readonly TextMatcher[];
  /** From the first `;` on, if there is one. */
  readonly tags: TextMatcher | undefined;
  /** A whole canonical name. */
  matches(name: string): boolean;
}

export function compilePattern(text: string): Pattern {
  const [path, tagText] = splitTags(text);
  const nodes = path.split(".").map((node) => compileText(node, text.length));
  const tags = tagText === undefined ? undefined : compileText(tagText, text.length);
  return {
    text,
    literal: nodes.every(isPlain) && (tags === undefined || isPlain(tags)),
    nodes,
    tags,
    matches(name) {
      if (name === text) return true;
      const [namePath, nameTags] = splitTags(name);
      if ((nameTags === undefined) !== (tags === undefined)) return false;
      const parts = namePath.split(".");
      if (parts.length !== nodes.length) return false;
      for (const [i, part] of parts.entries()) if (nodes[i]?.matches(part) !== true) return false;
      return tags === undefined || nameTags === undefined || tags.matches(nameTags);
    },
  };
}

/** The dotted part, and from the first `;` on what makes a name a tagged one. */
export function splitTags(name: string): [path: string, tags: string | undefined] {
  const at = name.indexOf(";");
  return at < 0 ? [name, undefined] : [name.slice(0, at), name.slice(at)];
}

function isPlain(matcher: TextMatcher): boolean {
  return matcher.words?.length === 1 && matcher.words[0] === matcher.text;
}

function compileText(text: string, patternChars: number): TextMatcher {
  const pieces = patternChars > patternCharsMax ? undefined : readPieces(text);
  if (pieces === undefined) return wordMatcher(text, [text]);
  const words = listWords(pieces);
  if (words !== undefined) return wordMatcher(text, [...new Set([text, ...words])]);
  const run = makeAffixes(pieces) ?? makeRunner(assemble(pieces));
  const first = pieces[0];
  return {
    text,
    words: undefined,
    prefix: first?.kind === "text" ? first.text : "",
    matches: (candidate) => candidate === text || run(candidate),
  };
}

function wordMatcher(text: string, words: string[]): TextMatcher {
  words.sort();
  const set = new Set(words);
  return { text, words, prefix: commonPrefix(words), matches: (candidate) => set.has(candidate) };
}

function commonPrefix(sorted: readonly string[]): string {
  const first = sorted[0] ?? "";
  const last = sorted.at(-1) ?? "";
  let length = 0;
  while (length < first.length && first.charCodeAt(length) === last.charCodeAt(length)) length++;
  // Not through the middle of a character.
  if (length > 0 && (first.charCodeAt(length - 1) & 0xfc00) === 0xd800) length--;
  return first.slice(0, length);
}

type Piece =
  | { kind: "text"; text: string }
  | { kind: "one" }
  | { kind: "any" }
  | { kind: "class"; class: CharClass }
  | { kind: "choice"; choices: Piece[][] };

interface CharClass {
  negated: boolean;
  /** [first, last] code points, both included. */
  ranges: [number, number][];
}

/** undefined where braces are nested or not closed (G3). */
function readPieces(text: string): Piece[] | undefined {
  const chars = Array.from(text);
  const top: Piece[] = [];
  let into = top;
  let choices: Piece[][] | undefined;
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? "";
    if (char === "{") {
      if (choices !== undefined) return undefined;
      into = [];
      choices = [into];
      top.push({ kind: "choice", choices });
    } else if (char === "}" && choices !== undefined) {
      choices = undefined;
      into = top;
    } else if (char === "," && choices !== undefined) {
      into = [];
      choices.push(into);
    } else if (char === "*") {
      if (into.at(-1)?.kind !== "any") into.push({ kind: "any" });
    } else if (char === "?") into.push({ kind: "one" });
    else {
      const found = char === "[" ? readClass(chars, at) : undefined;
      if (found === undefined) pushText(into, char);
      else {
        into.push({ kind: "class", class: found.class });
        at = found.end;
      }
    }
  }
  return choices === undefined ? top : undefined;
}

function pushText(into: Piece[], char: string): void {
  const last = into.at(-1);
  if (last?.kind === "text") last.text += char;
  else into.push({ kind: "text", text: char });
}

/** As fnmatch reads it: `]` in the first place is an ordinary character, and so is a `[` that is never closed. */
function readClass(chars: readonly string[], open: number): { class: CharClass; end: number } | undefined {
  const negated = chars[open + 1] === "!";
  const from = open + (negated ? 2 : 1);
  const end = chars.indexOf("]", from + 1);
  if (end < 0) return undefined;
  const ranges: [number, number][] = [];
  for (let at = from; at < end; at++) {
    const first = chars[at]?.codePointAt(0) ?? 0;
    if (chars[at + 1] === "-" && at + 2 < end) {
      ranges.push([first, chars[at + 2]?.codePointAt(0) ?? 0]);
      at += 2;
    } else ranges.push([first, first]);
  }
  return { class: { negated, ranges }, end };
}

function inClass(one: CharClass, code: number): boolean {
  return one.ranges.some(([first, last]) => first <= code && code <= last) !== one.negated;
}

/** All texts of pieces without wildcards, or undefined when there are wildcards or too much text. */
function listWords(pieces: readonly Piece[]): string[] | undefined {
  let words = [""];
  for (const piece of pieces) {
    let endings: string[];
    if (piece.kind === "text") endings = [piece.text];
    else if (piece.kind === "choice") {
      const lists = piece.choices.map(listWords);
      if (lists.includes(undefined)) return undefined;
      endings = lists.flatMap((list) => list ?? []);
    } else return undefined;
    if (words.length * charsOf(endings) + endings.length * charsOf(words) > wordCharsMax) return undefined;
    words = words.flatMap((word) => endings.map((ending) => word + ending));
  }
  return words;
}

/** Counts the empty text as one, so that a list of empty texts is bounded too. */
function charsOf(words: readonly string[]): number {
  return words.reduce((sum, word) => sum + word.length + 1, 0);
}

// A node with wildcards becomes a small program, run over the text with the set of all places the program can be at
// (Thompson's way): every character moves each place at most once, which is G1.
type Step =
  | { kind: "char"; code: number }
  | { kind: "one" }
  | { kind: "any" }
  | { kind: "class"; class: CharClass }
  | { kind: "split"; to: number[] }
  | { kind: "jump"; to: number }
  | { kind: "end" };

function assemble(pieces: readonly Piece[]): Step[] {
  const program: Step[] = [];
  const add = (list: readonly Piece[]) => {
    for (const piece of list) {
      if (piece.kind === "text")
        for (const char of piece.text) program.push({ kind: "char", code: char.codePointAt(0) ?? 0 });
      else if (piece.kind === "choice") {
        const split: Step = { kind: "split", to: [] };
        program.push(split);
        const jumps: { kind: "jump"; to: number }[] = [];
        for (const choice of piece.choices) {
          split.to.push(program.length);
          add(choice);
          const jump = { kind: "jump" as const, to: 0 };
          jumps.push(jump);
          program.push(jump);
        }
        for (const jump of jumps) jump.to = program.length;
      } else program.push(piece);
    }
  };
  add(pieces);
  program.push({ kind: "end" });
  return program;
}

/** `*`, `a*`, `*b` and `a*b`, which is what most globs are: no machine is needed for these. */
function makeAffixes(pieces: readonly Piece[]): ((text: string) => boolean) | undefined {
  const at = pieces.findIndex(({ kind }) => kind === "any");
  const before = textOf(pieces.slice(0, at));
  const behind = textOf(pieces.slice(at + 1));
  if (at < 0 || before === undefined || behind === undefined) return undefined;
  const least = before.length + behind.length;
  return (text) => text.length >= least && text.startsWith(before) && text.endsWith(behind);
}

function textOf(pieces: readonly Piece[]): string | undefined {
  let out = "";
  for (const piece of pieces) {
    if (piece.kind !== "text") return undefined;
    out += piece.text;
  }
  return out;
}

function makeRunner(program: readonly Step[]): (text: string) => boolean {
  let now: number[] = [];
  let next: number[] = [];
  const open: number[] = [];
  // At which position of the text a place was last entered, so that it is entered once per position.
  const entered = new Int32Array(program.length);
  /** Adds `place` and all places that it reaches without a character. */
  const enter = (places: number[], place: number, position: number) => {
    open.push(place);
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (entered[at] === position) continue;
      entered[at] = position;
      const step = program[at];
      if (step?.kind === "split") for (const to of step.to) open.push(to);
      else if (step?.kind === "jump") open.push(step.to);
      else {
        places.push(at);
        if (step?.kind === "any") open.push(at + 1);
      }
    }
  };
  return (text) => {
    entered.fill(0);
    now.length = 0;
    enter(now, 0, 1);
    for (let at = 0, position = 2; at < text.length; position++) {
      const code = text.codePointAt(at) ?? 0;
      at += code > 0xffff ? 2 : 1;
      next.length = 0;
      for (const place of now) {
        const step = program[place];
        if (step?.kind === "any") enter(next, place, position);
        else if (
          step?.kind === "one" ||
          (step?.kind === "char" && step.code === code) ||
          (step?.kind === "class" && inClass(step.class, code))
        )
          enter(next, place + 1, position);
      }
      if (next.length === 0) return false;
      [now, next] = [next, now];
    }
    return now.includes(program.length - 1);
  };
}
