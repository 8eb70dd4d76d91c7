// Patterns of rule files: Python's regular expressions, as carbon takes them, to the runtime's, and none that hangs.
//
// P1. The same names match as in carbon, or the pattern is refused with a sentence: what only Python knows is
//     translated ((?P<x>...), \A, \Z, []a], {,3}) or refused (flags, back-references, possessive repeats).
// P2. The runtime tries ways to match one after the other, and a bad pattern has more ways than anybody can wait for. So
//     ways are counted, in bits, for a name of the greatest length: each repeat that could end at several places, each
//     choice that the next character doesn't decide, an open beginning. At the bound the worst name costs a second or
//     two; a repeat within a repeat would cost years.
// P3. What P2 does not protect from: sixty-four rules at the bound, and a sender who makes names for them. That costs
//     the upkeep of the shard that holds the tenant its time; commits and other shards go on.

export type JudgedPattern = { kind: "pattern"; source: string } | { kind: "invalid"; why: string };

export const patternCharsMax = 1000;
/** About what the longest name has: 1,000 places where a repeat may end. */
const lengthBits = 10;
const bitsMax = 30;
const depthMax = 20;
const timesMax = 1000;

/** Something that is matched once, and how often it may be. */
interface Item {
  /** Without the repeat. */
  source: string;
  repeat: string;
  least: number;
  most: number;
  /** The one character that it matches. */
  literal?: string;
  /** It matches exactly one character. */
  single?: boolean;
  /** `^`, `$` and the like: no character at all. */
  zeroWidth?: boolean;
  alternatives?: Item[][];
}

class Refused extends Error {}

export function judgePattern(text: string): JudgedPattern {
  if (text === "") return { kind: "invalid", why: "the pattern is empty" };
  if (text.length > patternCharsMax)
    return { kind: "invalid", why: `the pattern is longer than ${patternCharsMax} characters` };
  // A rule's comment on the line of its pattern would silently match nothing.
  if (/\s/.test(text))
    return {
      kind: "invalid",
      why: "the pattern has a space, which no name has (comments need their own line)",
    };
  try {
    const parser = new Parser(text);
    const alternatives = parser.alternatives(0);
    if (!parser.done) throw new Refused("a ) without its (");
    const source = sourceOf(alternatives);
    // Throws for what only the runtime finds wrong, such as a name given twice.
    RegExp(source);
    const counted = count(alternatives, undefined, true);
    const anchored = alternatives.every((items) => items[0]?.source === "^");
    const bits = counted.bits + (counted.scans ? lengthBits : 0) + (anchored ? 0 : lengthBits);
    if (bits > bitsMax)
      throw new Refused(
        "it could take minutes on a long name: begin it with ^, use fewer * and +, and [^.]+ before a dot instead of .+",
      );
    return { kind: "pattern", source };
  } catch (error) {
    if (error instanceof Refused) return { kind: "invalid", why: error.message };
    if (error instanceof SyntaxError) return { kind: "invalid", why: error.message };
    throw error;
  }
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Up to the end or the `)` of the group. */
  alternatives(depth: number): Item[][] {
    if (depth > depthMax) throw new Refused(`groups lie more than ${depthMax} deep`);
    const all: Item[][] = [[]];
    while (!this.done && !this.#sees(")")) {
      if (this.#takes("|")) all.push([]);
      else all.at(-1)?.push(this.#repeated(this.#atom(depth)));
    }
    return all;
  }

  #sees(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  #takes(text: string): boolean {
    if (!this.#sees(text)) return false;
    this.#at += text.length;
    return true;
  }

  #takesMatch(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#at += match[0].length;
    return match;
  }

  #atom(depth: number): Item {
    if (this.#takes("^")) return zeroWidth("^");
    if (this.#takes("$")) return zeroWidth("$");
    if (this.#takes(".")) return single(".");
    if (this.#takes("(")) return this.#group(depth);
    if (this.#takes("[")) return single(this.#class());
    if (this.#takes("\\")) return this.#escape();
    const character = this.#text[this.#at++] ?? "";
    if ("*+?".includes(character)) throw new Refused(`${character} repeats nothing`);
    return literal(character);
  }

  #group(depth: number): Item {
    let open = "(";
    let look = false;
    if (this.#takes("?P<") || this.#sees("?<")) {
      look = this.#sees("?<=") || this.#sees("?<!");
      if (look) open = `(${this.#takesMatch(/\?<[=!]/y)?.[0]}`;
      else {
        this.#takes("?<");
        const name = this.#takesMatch(/([A-Za-z_]\w*)>/y)?.[1];
        if (name === undefined) throw new Refused("(?P< needs a name and >");
        open = `(?<${name}>`;
      }
    } else if (this.#sees("?")) {
      const kind = this.#takesMatch(/\?[:=!]/y)?.[0];
      if (kind === undefined) throw new Refused(groupWhy(this.#text.slice(this.#at)));
      look = kind !== "?:";
      open = `(${kind}`;
    }
    const alternatives = this.alternatives(depth + 1);
    if (!this.#takes(")")) throw new Refused("a ( without its )");
    const item: Item = {
      source: `${open}${sourceOf(alternatives)})`,
      repeat: "",
      least: 1,
      most: 1,
      alternatives,
    };
    return look ? { ...item, zeroWidth: true } : item;
  }

  /** After the `[`. In Python a `]` right at the beginning is a character. */
  #class(): string {
    const open = this.#takes("^") ? "[^" : "[";
    let inside = this.#takes("]") ? String.raw`\]` : "";
    while (!this.#takes("]")) {
      if (this.done) throw new Refused("a [ without its ]");
      if (this.#takes("\\")) {
        const escaped = this.#text[this.#at++] ?? "";
        if (/[A-Za-z0-9]/.test(escaped) && !/[dDwWsS]/.test(escaped))
          throw new Refused(`\\${escaped} in [...] is not served`);
        inside += `\\${escaped}`;
      } else inside += this.#text[this.#at++] ?? "";
    }
    return `${open}${inside}]`;
  }

  #escape(): Item {
    const escaped = this.#text[this.#at++];
    if (escaped === undefined) throw new Refused("a \\ at the end");
    if (escaped === "A") return zeroWidth("^");
    if (escaped === "Z") return zeroWidth("$");
    if (escaped === "b" || escaped === "B") return zeroWidth(`\\${escaped}`);
    if (/[dDwWsS]/.test(escaped)) return single(`\\${escaped}`);
    if (/[1-9]/.test(escaped)) throw new Refused(`back-references such as \\${escaped} are not served`);
    if (/[A-Za-z0-9]/.test(escaped)) throw new Refused(`\\${escaped} is not served`);
    return literal(escaped);
  }

  #repeated(item: Item): Item {
    const simple = this.#takesMatch(/[*+?]/y)?.[0];
    const counted = simple === undefined ? this.#takesMatch(/\{(\d*)(,?)(\d*)\}/y) : null;
    if (simple === undefined && counted === null) return item;
    const [least, most] =
      simple === "*"
        ? [0, Infinity]
        : simple === "+"
          ? [1, Infinity]
          : simple === "?"
            ? [0, 1]
            : times(counted);
    if (item.zeroWidth === true) throw new Refused(`${item.source} can't be repeated`);
    if (this.#sees("+")) throw new Refused("possessive repeats are not served");
    const lazy = this.#takes("?") ? "?" : "";
    if (this.#takesMatch(/[*+?]|\{\d*,?\d*\}/y) !== null) throw new Refused("two repeats in a row");
    const repeat = simple ?? `{${least}${most === least ? "" : most === Infinity ? "," : `,${most}`}}`;
    return { ...item, least, most, repeat: repeat + lazy };
  }
}

function times(counted: RegExpExecArray | null): [number, number] {
  const [, from = "", comma = "", to = ""] = counted ?? [];
  if (from === "" && to === "")
    throw new Refused(`${counted?.[0]} is no repeat: write \\{ for the character`);
  const least = from === "" ? 0 : Number(from);
  const most = to !== "" ? Number(to) : comma === "" ? least : Infinity;
  if (least > timesMax || (most !== Infinity && most > timesMax))
    throw new Refused(`${counted?.[0]} repeats more than ${timesMax} times`);
  return [least, most];
}

function groupWhy(text: string): string {
  if (text.startsWith("?P=")) return "back-references such as (?P=x) are not served";
  if (/^\?[a-zA-Z]+[):]/.test(text)) return `flags such as (${text.slice(0, 2)}) are not served: write [aA]`;
  return `(${text.slice(0, 2)} is not served`;
}

function zeroWidth(source: string): Item {
  return { source, repeat: "", least: 1, most: 1, zeroWidth: true };
}

function single(source: string): Item {
  return { source, repeat: "", least: 1, most: 1, single: true };
}

function literal(character: string): Item {
  const source = /[\\^$.*+?()[\]{}|]/.test(character) ? `\\${character}` : character;
  return { ...single(source), literal: character };
}

function sourceOf(alternatives: readonly Item[][]): string {
  return alternatives.map((items) => items.map((item) => item.source + item.repeat).join("")).join("|");
}

interface Counted {
  bits: number;
  /** It holds a repeat that runs over characters, though it can end at one place only. */
  scans: boolean;
}

/** P2. `follow`: the character that must come behind; `last`: nothing comes behind at all. */
function count(alternatives: readonly Item[][], follow: string | undefined, last: boolean): Counted {
  const each = alternatives.map((items) => countItems(items, follow, last));
  return {
    bits:
      Math.max(...each.map(({ bits }) => bits)) +
      (decided(alternatives) ? 0 : Math.log2(alternatives.length)),
    scans: each.some(({ scans }) => scans),
  };
}

function countItems(items: readonly Item[], follow: string | undefined, last: boolean): Counted {
  let bits = 0;
  let scans = false;
  for (const [i, item] of items.entries()) {
    const behind = items.slice(i + 1);
    const next = behind.length === 0 ? follow : firstOf(behind);
    const toTheEnd = last && (behind.length === 0 || (item.source === "." && isEnd(behind)));
    const ways = item.most - item.least + 1;
    if (ways > 1 && !toTheEnd) {
      const decides = item.single === true && next !== undefined && !new RegExp(item.source).test(next);
      if (decides) scans ||= item.most > 1;
      else bits += Math.min(lengthBits, Math.log2(ways));
    }
    if (item.alternatives !== undefined) {
      const once = item.most === 1 && item.zeroWidth !== true;
      const inner = count(item.alternatives, once ? next : undefined, once && toTheEnd);
      if (inner.bits > 0 && item.most === Infinity)
        throw new Refused("a repeat or a choice within a repeat: it could take years");
      bits += inner.bits * Math.max(1, item.most === Infinity ? 1 : item.most);
      scans ||= inner.scans;
    }
  }
  return { bits, scans };
}

function isEnd(behind: readonly Item[]): boolean {
  return behind.length === 1 && behind[0]?.source === "$";
}

/** The character that must come first, if there is one. */
function firstOf(items: readonly Item[]): string | undefined {
  const [first] = items;
  if (first === undefined || first.least < 1 || first.zeroWidth === true) return undefined;
  if (first.alternatives?.length === 1) return firstOf(first.alternatives[0] ?? []);
  return first.literal;
}

/** Whether the characters themselves say which alternative it is: none begins as another one does. */
function decided(alternatives: readonly Item[][]): boolean {
  const texts = alternatives.map((items) => {
    let text = "";
    for (const item of items) {
      if (item.source === "^") continue;
      if (item.literal === undefined || item.repeat !== "") break;
      text += item.literal;
    }
    return text;
  });
  return texts.every((text, i) => texts.every((other, k) => i === k || !other.startsWith(text)));
}
