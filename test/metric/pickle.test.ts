import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { findRoot } from "../../bin/setup/root.mjs";
import { PickleReader, pickleBytesMax } from "../../src/metric/pickle.ts";
import { Values } from "../../src/metric/pickle-values.ts";
import { pointLineBytesMost, writeNameOnly, writePoint } from "../../src/metric/point-line.ts";
import { fromLatin1 } from "../fuzz/fuzzer.ts";
import { little } from "../fuzz/pickle-text.ts";

const reader = new PickleReader();
const lists = (text: string) => `\x80\x02](${text}e.`;

/** P2. What is made of a message, or looked at, for each byte of it. */
const stepsPerByte = 5;

/** Throws at the first step behind the last one that is allowed. */
function withSteps<T>(most: number, work: () => T): T {
  const own = Object.getOwnPropertyDescriptors(Values.prototype);
  const target = Values.prototype as unknown as Record<string, unknown>;
  let steps = 0;
  const names = Object.keys(own).filter((name) => name !== "constructor");
  for (const name of names) {
    const method = own[name as keyof Values]?.value as (...given: unknown[]) => unknown;
    target[name] = function (this: unknown, ...given: unknown[]) {
      if (++steps > most) throw new Error(`more than ${most} steps`);
      return method.apply(this, given);
    };
  }
  try {
    return work();
  } finally {
    Object.defineProperties(Values.prototype, own);
  }
}

/** The lines that a pickle makes, or why it is refused. */
function read(text: string | Uint8Array): string[] | string {
  const problem = reader.read(typeof text === "string" ? fromLatin1(text) : text);
  if (problem !== undefined) return problem;
  const out = Buffer.alloc(pointLineBytesMost);
  const lines: string[] = [];
  while (reader.next()) {
    const { nameBytes, nameFrom, nameTo, value, seconds } = reader;
    const end = reader.isPoint
      ? writePoint(out, 0, nameBytes, nameFrom, nameTo, value, seconds)
      : writeNameOnly(out, 0, nameBytes, nameFrom, nameTo);
    lines.push(out.toString("utf8", 0, end));
  }
  return lines;
}

test("points become lines; what is none becomes a line that is refused for its reason", () => {
  const f = (element: string, ...expected: string[]) => assert.deepEqual(read(lists(element)), expected);
  const point = (seconds: string, value: string, name = "U\x03k.a") => `${name}${seconds}${value}\x86\x86`;
  f(point("K\x05", "K\x07"), "k.a 7 5\n");
  f(point("J\xff\xff\xff\xff", "\x88"), "k.a 1 -1\n"); // now
  f(point("F12.75\n", "F-0.0\n"), "k.a -0 12\n");
  f(point("F-1.9\n", "F1e300\n"), "k.a 1e+300 -1\n");
  f(point("U\x032.5", "U\x04 1.5"), "k.a 1.5 2\n");
  f(point("Fnan\n", "Fnan\n"), "k.a nan nan\n");
  f(point("Finf\n", "F-inf\n"), "k.a inf inf\n");
  f(point("K\x01", "N"), "k.a inf 1\n");
  f(point("K\x01", "]"), "k.a inf 1\n");
  f(point("K\x01", "U\x01x"), "k.a inf 1\n");
  f(point("K\x01", "\x8b\xe9\x03\0\0" + "\x01".repeat(1001)), "k.a inf 1\n");
  f(point("K\x01", "K\x02", "U\x0dk.a 1 2\nk.b 3"), "k.a\x011\x012\x01k.b\x013 2 1\n"); // no second line
  f(point("K\x01", "K\x02", "U\0"), "\x01 2 1\n");
  f(point("K\x01", "K\x02", "K\x03"), "\x01\n");
  f("U\x03k.aK\x01K\x02\x87", "k.a\n"); // flat
  f("U\x03k.aK\x01K\x02K\x03\x87\x86", "k.a\n");
  f("U\x03k.aU\x0212\x86", "k.a\n");
  f("N", "\x01\n");
  f("]", "\x01\n");
  f(`N${point("K\x05", "K\x07")}N`, "\x01\n", "k.a 7 5\n", "\x01\n");
  const long = "x".repeat(20_000);
  f(point("K\x01", "K\x02", `X${little(20_000, 4)}${long}`), `${long.slice(0, 16_385)} 2 1\n`);
});

test("what would do anything but be data is refused whole, and so is what is no list of a pickle", () => {
  const f = (text: string, expected: string) =>
    assert.equal(read(text), expected, JSON.stringify(text).slice(0, 80));
  f("cos\nsystem\n(S'true'\ntR.", "code");
  f("(S'true'\nios\nsystem\n.", "code");
  for (const opcode of "cioRbPQ\x81\x82\x83\x84\x92\x93\x97\x98") {
    f(`\x80\x02](U\x03k.aK\x01K\x02\x86\x86${opcode}\x01\x01\x01\x01\x01\n\ne.`, "code");
    assert.equal(reader.next(), false);
  }
  f("", "cut");
  f(".", "stack");
  f("(.", "stack");
  f("]", "cut");
  f("](.", "stack");
  f("a.", "stack");
  f("]K\x01(a.", "stack");
  f("(N]a.", "stack");
  f("e.", "stack");
  f("](K\x01u.", "stack");
  f(")K\x01a.", "stack");
  f("N\x86.", "stack");
  f("0.", "stack");
  f("](K\x01a0.", "stack"); // what lies below a mark is not to be had
  f("NN(\x860.", "stack");
  f("t.", "stack");
  f("\x80\x06].", "opcode");
  f("\xff", "opcode");
  f("N.", "shape");
  f("}.", "shape");
  f("\x8f.", "shape");
  f("U\x03abc.", "shape");
  f("S'abc\n.", "text");
  f("Sabc\n.", "text");
  f("S'\\x1'\n.", "text");
  f("V\\u12\n.", "text");
  f("V\\U00110000\n.", "text");
  f("Ix\n.", "text");
  f("I\n.", "text");
  f("L1.5L\n.", "text");
  f("g0\n.", "memo");
  f("h\0.", "memo");
  f("]j\xff\xff\xff\x7f.", "memo");
  f("]r\xff\xff\xff\xff.", "memo");
  f("]p-1\n.", "memo");
  f("q\0.", "stack");
});

test("bombs: lengths that lie, nesting, shared parts", () => {
  const f = (text: string, expected: string | number) => {
    const got = withSteps(stepsPerByte * (text.length + 1000), () => read(text));
    assert.equal(typeof got === "string" ? got : got.length, expected, JSON.stringify(text.slice(0, 40)));
  };
  for (const opcode of "TXB\x8b") {
    f(`${opcode}\xff\xff\xff\x7fabc.`, "cut");
    f(`${opcode}\xff\xff\xff\xffabc.`, "cut");
    f(`${opcode}\x05`, "cut");
  }
  for (const opcode of "\x8d\x8e\x96") {
    f(`${opcode}\x03\0\0\0\0\0\0\x80abc.`, "cut");
    f(`${opcode}\x04\0\0\0\0\0\0\0abc`, "cut");
  }
  f("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff].", "cut");
  f("\x80\x04\x95\x03\0\0\0\0\0\0\0].", "cut");
  f("\x80\x04\x95\x01\0\0\0\0\0\0\0].", 0); // one that says too little does no harm
  const most = pickleBytesMax;
  f("(".repeat(most - 1) + ".", "stack");
  f("N".repeat(most), "cut");
  f(`](${"N".repeat(most - 4)}e.`, most - 4);
  f("]".repeat(most / 2) + "a".repeat(most / 2 - 1) + ".", 1);
  f(`${"(".repeat(most / 2 - 1)}${"t".repeat(most / 2 - 1)}.`, 1);
  f(`)${"\x85".repeat(most - 2)}.`, 1);
  f("]q\0h\0a.", 1); // contains itself
  f("N".repeat(most + 1), "too-long");
  // Doubling: 2^300 members for whoever walks them.
  f(`]${"2\x86".repeat(300)}.`, 2);
  f(`](${"N2\x86q\0".repeat(60_000)}e.`, 60_000);
  // One name of 16 KB for 100,000 points: 1.6 GB of lines.
  const shared = (name: string, times: number) =>
    `X${little(name.length, 4)}${name}q\0](${"h\0K\x01K\x02\x86\x86".repeat(times)}e.`;
  f(shared("k.".padEnd(16_000, "x"), 100_000), "work");
  f(shared("k.".padEnd(100, "x"), 100_000), 100_000); // a plain one of many points
  f(`U\xff${"1".repeat(255)}q\0](${"U\x01ah\0h\0\x86\x86".repeat(100_000)}e.`, "work");
  f(
    `\x8b${little(100_000, 4)}${"\x01".repeat(100_000)}q\0](${"U\x01ah\0h\0\x86\x86".repeat(100_000)}e.`,
    100_000,
  );
  f(`L${"7".repeat(900_000)}L\nq\0](U\x01ah\0h\0\x86\x86e.`, 1);
  f(`](${`\x8a\x80${"\x55".repeat(128)}`.repeat(8000)}e.`, 8000);
  f(`(${"I1\n".repeat(340_000)}t.`, 340_000);
});

test("a message that lay somewhere else is found again", () => {
  const bytes = fromLatin1(
    lists(Array.from({ length: 9 }, (_, i) => `U\x01aK\x01K${String.fromCharCode(i)}\x86\x86`).join("")),
  );
  assert.equal(reader.read(bytes), undefined);
  for (let i = 0; i < 4; i++) assert.ok(reader.next());
  assert.deepEqual([reader.value, reader.seen, reader.message], [3, 4, bytes]);
  assert.equal(read("N."), "shape");
  assert.equal(reader.read(bytes), undefined);
  reader.seek(4);
  assert.ok(reader.next());
  assert.equal(reader.value, 4);
  reader.seek(9);
  assert.ok(!reader.next());
});

interface Dumped {
  broken: boolean;
  hex: string;
  points: ([string, string, string] | null)[] | null;
}

const python = await promisify(execFile)("python3", ["--version"]).then(
  () => true,
  () => false,
);
if (!python) console.error("\n*** PICKLES NOT COMPARED WITH PYTHON: there is no python3 here ***\n");

test("what Python dumps reads as Python reads it, to the bit; what it can't read is never read otherwise", async () => {
  if (!python) return;
  const seed = process.env["MILLRACE_SEED"] ?? "1";
  const script = join(findRoot(import.meta.url) ?? "", "test", "metric", "pickle-dumps.py");
  const { stdout } = await promisify(execFile)("python3", [script, seed, "600"], { maxBuffer: 1 << 28 });
  const dumped = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Dumped);
  let same = 0;
  const differ: string[] = [];
  for (const { broken, hex, points } of dumped) {
    const mine = pointsOf(Buffer.from(hex, "hex"));
    // Of a broken one: where Python finds a text that is no UTF-8 and gives up, we may read on.
    if (JSON.stringify(mine) === JSON.stringify(points)) same++;
    else if (!broken || (mine !== null && points !== null))
      differ.push(`${hex}\n${JSON.stringify(points)}\n${JSON.stringify(mine)}`);
  }
  assert.deepEqual(differ, [], `seed ${seed}`);
  assert.ok(same > 600, `${same} of ${dumped.length} the same`);
});

function pointsOf(bytes: Uint8Array): Dumped["points"] {
  if (reader.read(bytes) !== undefined) return null;
  const points: NonNullable<Dumped["points"]> = [];
  while (reader.next()) {
    const { nameBytes, nameFrom, nameTo, isPoint, value, seconds } = reader;
    const name = Buffer.from(nameBytes.subarray(nameFrom, nameTo)).toString("hex");
    points.push(isPoint ? [name, double(seconds), double(value)] : null);
  }
  return points;
}

function double(number: number): string {
  if (Number.isNaN(number)) return "nan";
  if (!Number.isFinite(number)) return "bad";
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(number);
  return bytes.toString("hex");
}
