// Random pickles of points: every way in which a pickler of protocols 0 to 5 may write the same list.
import type { Random } from "../../src/base/random.ts";
import { latin1, pick } from "./fuzzer.ts";
import { nameText } from "./line-text.ts";

export interface PickledPoint {
  /** Bytes as a text. */
  name: string;
  seconds: number;
  value: number;
}

const numbers = [
  0, -0, 1, -1, 1.5, 255, 256, 65_535, 65_536, -2_147_483_648, 2_147_483_648, 1e21, 5e-324, 0.1,
];

export function randomPoint(random: Random): PickledPoint {
  const value = random.below(2) === 0 ? pickNumber(random) : (random.next() - 0.5) * 10 ** random.below(30);
  return { name: nameText(random), seconds: 1_700_000_000 + random.below(1e6), value };
}

function pickNumber(random: Random): number {
  return numbers[random.below(numbers.length)] ?? 0;
}

/** Bytes as a text of one character each. */
export function pickleOf(random: Random, points: readonly PickledPoint[]): string {
  let memo = 0;
  const put = () => {
    if (random.below(3) > 0) return "";
    const index = memo++;
    if (random.below(3) === 0) return `p${index}\n`;
    return random.below(2) === 0 && index < 256 ? `q${byte(index)}` : `r${little(index, 4)}`;
  };
  const noise = () => pick(random, ["", "", "", "N0", "(N1", "](K\x01e0", "}K\x01Ns0", "N200"]);
  let out = pick(random, ["", "\x80\x02", "\x80\x05"]);
  const names = new Map<string, string>();
  const name = (text: string) => {
    const known = names.get(text);
    if (known !== undefined && random.below(2) === 0) return known;
    const written = textOf(random, text);
    if (random.below(4) > 0) return written;
    const index = memo++;
    names.set(text, `j${little(index, 4)}`);
    return `${written}r${little(index, 4)}`;
  };
  const two = (first: string, second: string) => {
    switch (random.below(4)) {
      case 0:
        return `${first}${second}\x86${put()}`;
      case 1:
        return `(${first}${second}t${put()}`;
      case 2:
        return `](${first}${second}e${put()}`;
      default:
        return `(${first}${second}l${put()}`;
    }
  };
  const elements = points.map(
    (point) =>
      noise() + two(name(point.name), two(numberOf(random, point.seconds), numberOf(random, point.value))),
  );
  switch (random.below(4)) {
    case 0:
      out += `(${elements.join("")}l`;
      break;
    case 1:
      out += `]${put()}${elements.map((element) => `${element}a`).join("")}`;
      break;
    case 2:
      out += `(${elements.join("")}t`;
      break;
    default:
      out += "]";
      for (let i = 0; i < elements.length; ) {
        const next = i + 1 + random.below(5);
        out += `(${elements.slice(i, next).join("")}e`;
        i = next;
      }
  }
  return `${out}${put()}.`;
}

function textOf(random: Random, text: string): string {
  const length = text.length;
  const ways = [
    `X${little(length, 4)}${text}`,
    `T${little(length, 4)}${text}`,
    `B${little(length, 4)}${text}`,
  ];
  for (const opcode of "\x8d\x8e\x96") ways.push(`${opcode}${little(length, 4)}\0\0\0\0${text}`);
  if (length < 256) for (const opcode of "UC\x8c") ways.push(`${opcode}${byte(length)}${text}`);
  ways.push(`S'${quoted(text)}'\n`, `S"${quoted(text)}"\n`);
  const decoded = unicodeOf(text);
  if (decoded !== undefined) ways.push(`V${escaped(decoded)}\n`);
  return ways[random.below(ways.length)] ?? "";
}

/** As Python 2's repr. */
function quoted(text: string): string {
  return Array.from(text, (char) => {
    const code = char.charCodeAt(0);
    if (char === "\n") return "\\n";
    if (char === "\\" || char === "'" || char === '"') return `\\${char}`;
    return code < 0x20 || code >= 0x7f ? `\\x${code.toString(16).padStart(2, "0")}` : char;
  }).join("");
}

function unicodeOf(text: string): string | undefined {
  const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** As Python's raw-unicode-escape. */
function escaped(text: string): string {
  return Array.from(text, (char) => {
    const code = char.codePointAt(0) ?? 0;
    if (code > 0xffff) return `\\U${code.toString(16).padStart(8, "0")}`;
    return code > 0xff || char === "\\" || char === "\n" || code === 0
      ? `\\u${code.toString(16).padStart(4, "0")}`
      : char;
  }).join("");
}

function numberOf(random: Random, number: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, number);
  const ways = [`G${latin1(new Uint8Array(view.buffer))}`, `F${Object.is(number, -0) ? "-0" : number}\n`];
  const text = Object.is(number, -0) ? "-0.0" : String(number);
  ways.push(`U${byte(text.length)}${text}`, `X${little(text.length + 2, 4)} ${text}\n`);
  if (Number.isInteger(number) && !Object.is(number, -0)) {
    const digits = BigInt(number).toString();
    ways.push(`I${digits}\n`, `L${digits}L\n`, `L${digits}\n`);
    const long = longBytes(BigInt(number));
    ways.push(`\x8a${byte(long.length)}${long}`, `\x8b${little(long.length, 4)}${long}`);
    if (number >= 0 && number < 256) ways.push(`K${byte(number)}`);
    if (number >= 0 && number < 65_536) ways.push(`M${little(number, 2)}`);
    if (number >= -(2 ** 31) && number < 2 ** 31) ways.push(`J${little(number >>> 0, 4)}`);
    if (number === 0) ways.push("\x89", "I00\n");
    if (number === 1) ways.push("\x88", "I01\n");
  }
  return ways[random.below(ways.length)] ?? "";
}

function longBytes(number: bigint): string {
  let out = "";
  let left = number;
  while (left < -128n || left > 127n) {
    out += byte(Number(left & 255n));
    left >>= 8n;
  }
  return out + byte(Number(left & 255n));
}

export function little(number: number, bytes: number): string {
  return Array.from({ length: bytes }, (_, i) => byte(Math.floor(number / 256 ** i) % 256)).join("");
}

function byte(code: number): string {
  return String.fromCharCode(code);
}
