// The house rules that a machine can hold: imports point one way, pure rooms stay pure, files stay readable, nothing
// private or unfinished slips in. Each rule is also shown to fail on a planted example.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { test } from "node:test";
import { findRoot } from "../bin/setup/root.mjs";

/** From the ground up: a file imports from its own room and from rooms before it. bench and test may use all. */
const rooms = (
  "kernel src/base src/metric src/kernel src/graphite src/config src/tenant src/bus src/store src/gateway src/api " +
  "workers cluster bin test bench"
).split(" ");
const pure = /^(src\/metric\/|src\/graphite\/|cluster\/decide\.ts$)/;
/** AssemblyScript: it imports nothing from the other rooms, and names files in its own compiler's way. */
const kernel = /^kernel\//;
const impure = /^(node:|lmdb$|msgpackr-extract$)/;
const linesMost = 450;
const columnsMost = 140;
/** Unfinished work, tests that don't run, paths of somebody's machine, download hosts. (Written not to match itself.) */
const banned = [
  /\bTOD[O]\b|\bFIXM[E]\b|\bXX[X]\b/,
  // A store has a deed of that name.
  /\b(?:test|it|describe|suite|t)\.(?:onl[y]|ski[p])\(/,
  /(?<![\w.])\/(wor[k]|roo[t]|hom[e]|User[s]|tm[p]\/mr)\//,
  /registry\.(npmj[s]|yarnpk[g])/,
];

/** What is wrong with a file: sentences. `path` is below the checkout, with slashes. */
function complain(path: string, text: string): string[] {
  const lines = text.replace(/\n$/, "").split("\n");
  const opening = lines[0]?.startsWith("#!") ? lines[1] : lines[0];
  return [
    // A test's first line is what it tests: its name and imports say that.
    ...(path.endsWith(".test.ts") || /^\/[/*]/.test(opening ?? "") ? [] : ["doesn't open with a comment"]),
    ...(lines.length > linesMost ? [`has ${lines.length} lines, over ${linesMost}`] : []),
    ...lines.flatMap((line, i) =>
      line.length > columnsMost ? [`line ${i + 1} is over ${columnsMost} long`] : [],
    ),
    ...banned.flatMap((pattern) => (pattern.exec(text) ?? []).slice(0, 1).map((said) => `says ${said}`)),
    ...importsOf(text).flatMap((target) => complainOfImport(path, target)),
  ];
}

function importsOf(text: string): string[] {
  const from =
    /^\s*(?:import|export|\})(?:[^"'`;]*?\bfrom)?\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm;
  return [...text.matchAll(from)].map((match) => match[1] ?? match[2] ?? "");
}

function complainOfImport(path: string, target: string): string[] {
  if (!target.startsWith(".")) {
    return pure.test(path) && impure.test(target) ? [`is pure but imports ${target}`] : [];
  }
  const reached = posix.join(posix.dirname(path), target);
  const here = roomOf(path);
  const there = roomOf(reached);
  const rightEnd = kernel.test(path) ? /\/[a-z-]+$/ : reached.startsWith("bin/setup") ? /\.mjs$/ : /\.ts$/;
  return [
    ...(rightEnd.test(target) ? [] : [`imports ${target}, which doesn't end in .ts`]),
    ...(rooms.indexOf(there) > rooms.indexOf(here) ? [`imports ${target}: ${there} is below ${here}`] : []),
    ...(there === "" || here === "" ? [`imports ${target}: one of them is in no room`] : []),
    ...(here === "cluster" && there === "workers" && reached !== "workers/messages.ts"
      ? [`imports ${target}: threads are started by URL, of workers only messages.ts is imported`]
      : []),
  ];
}

function roomOf(path: string): string {
  return rooms.find((room) => path.startsWith(`${room}/`)) ?? "";
}

const root = findRoot(import.meta.url) ?? "";

function listSources(): string[] {
  return [...new Set(rooms.map((room) => room.split("/")[0] ?? ""))].flatMap((top) => {
    const names = readdirSync(root).includes(top)
      ? readdirSync(join(root, top), { recursive: true, encoding: "utf8" })
      : [];
    return names.filter((name) => /\.[cm]?[jt]s$/.test(name)).map((name) => posix.join(top, name));
  });
}

test("every source file keeps the house rules", () => {
  const sources = listSources();
  assert.ok(sources.includes("test/tidy.test.ts"));
  const wrong = sources.flatMap((path) =>
    complain(path, readFileSync(join(root, path), "utf8")).map((what) => `${path} ${what}`),
  );
  assert.deepEqual(wrong, []);
});

test("the lock file names no place to download from", () => {
  assert.doesNotMatch(readFileSync(join(root, "package-lock.json"), "utf8"), /"resolved"/);
});

test("each rule catches what it is for", () => {
  const f = (path: string, text: string, ...expected: RegExp[]) => {
    const found = complain(path, text);
    assert.equal(found.length, expected.length, `${path}: ${found.join("; ")}`);
    for (const [i, pattern] of expected.entries()) assert.match(found[i] ?? "", pattern);
  };
  const imports = (target: string) => `// A file.\nimport { a } from "${target}";\n`;
  f("src/bus/a.ts", imports("../base/b.ts"));
  f("src/bus/a.ts", imports("./b.ts"));
  f("src/bus/a.ts", imports("node:fs"));
  f("src/bus/a.ts", imports("../store/store.ts"), /src\/store is below src\/bus/);
  f("src/bus/a.ts", "// A.\nexport * from '../store/store.ts';\n", /src\/store is below/);
  f("src/bus/a.ts", "// A.\nimport type {\n  B,\n} from '../store/store.ts';\n", /src\/store is below/);
  f(
    "src/bus/a.ts",
    "// A.\nconst b = await im|port('../store/store.ts');\n".replace("|", ""),
    /src\/store is below/,
  );
  f("src/bus/a.ts", "// A.\nimport '../store/store.ts';\n", /src\/store is below/);
  f("src/api/a.ts", imports("../../cluster/node.ts"), /cluster is below src\/api/);
  f("src/bus/a.ts", imports("../../tools/b.ts"), /in no room/);
  f("src/bus/a.ts", imports("../base/b.js"), /doesn't end in \.ts/);
  f("src/bus/a.ts", imports("../base/b"), /doesn't end in \.ts/);
  f("src/metric/a.ts", imports("node:fs"), /is pure but imports node:fs/);
  f("src/graphite/functions/a.ts", imports("lmdb"), /is pure but imports lmdb/);
  f("cluster/decide.ts", imports("node:os"), /is pure/);
  f("cluster/node.ts", imports("node:os"));
  f("cluster/node.ts", imports("../workers/messages.ts"));
  f("cluster/node.ts", imports("../workers/shard.ts"), /only messages\.ts/);
  f("kernel/a.ts", imports("./b"));
  f("kernel/a.ts", imports("./b.ts"), /doesn't end/);
  f("kernel/a.ts", imports("../src/base/b"), /src\/base is below kernel/);
  f("test/bus/a.test.ts", imports("../../cluster/node.ts"));
  f("src/bus/a.ts", "const a = 1;\n", /open with a comment/);
  f("bin/a.ts", "#!/usr/bin/env node\n// A.\n");
  f("src/bus/a.ts", "// A.\n".repeat(linesMost + 1), /has 451 lines/);
  f("src/bus/a.ts", `// ${"a".repeat(columnsMost)}\n`, /line 1 is over/);
  // The bar keeps these from being found here.
  for (const word of [
    "TO|DO",
    "FIX|ME",
    "XX|X",
    "test.on|ly(",
    "test.sk|ip(",
    '"/wo|rk/a"',
    "registry.npm|js",
  ]) {
    f("src/bus/a.ts", `// ${word.replace("|", "")}\n`, /^says /);
  }
});
