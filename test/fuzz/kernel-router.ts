// The kernel's router gives the rows of its twin, however bytes are cut into packets, and its runs are what the rows say:
// as long as can be, with the lines as a frame wants them.
import assert from "node:assert/strict";
import type { Random } from "../../src/base/random.ts";
import { createKernelRouter } from "../../src/kernel/kernel-router.ts";
import type { Router } from "../../src/kernel/kernel.ts";
import { createPlainRouter } from "../../src/kernel/plain-router.ts";
import { pick, type Fuzzer } from "./fuzzer.ts";
import { lineText } from "./line-text.ts";
import { cutAtRandom, routedRows, routePackets, type Row } from "./router.ts";

const now = 1_790_000_000;

interface Run {
  firstRow: number;
  rows: number;
  text: string;
  leastSeconds: number;
  mostSeconds: number;
  longestName: number;
}

const blanks = " \t\r\v\f\x1c\x1d\x1e\x1f";

function nameBytes(line: string): number {
  let at = 0;
  while (at < line.length && !blanks.includes(line.charAt(at))) at++;
  return at;
}

/** R3 of kernel/route.ts, from the rows of one call. */
function expectedRuns(rows: readonly Row[]): Run[] {
  const runs: Run[] = [];
  for (const [i, { reason, key, rest, seconds }] of rows.entries()) {
    if (reason !== "ok") continue;
    const before = rows[i - 1];
    let run = runs.at(-1);
    if (run === undefined || before?.reason !== "ok" || before.key !== key) {
      run = {
        firstRow: i,
        rows: 0,
        text: "",
        leastSeconds: Infinity,
        mostSeconds: -Infinity,
        longestName: 0,
      };
      runs.push(run);
    }
    run.rows++;
    run.text += `${rest}\n`;
    if (seconds < run.leastSeconds) run.leastSeconds = seconds;
    if (seconds > run.mostSeconds) run.mostSeconds = seconds;
    run.longestName = Math.max(run.longestName, nameBytes(rest));
  }
  return runs;
}

/** For `look` of routePackets. */
export function checkRuns(router: Router): (rows: readonly Row[]) => void {
  return (rows) => {
    const { runs } = router.lines;
    assert.ok(runs !== undefined);
    const expected = expectedRuns(rows);
    assert.equal(runs.count, expected.length);
    for (const [i, { text, ...run }] of expected.entries()) {
      const columns: Record<string, number | undefined> = {
        firstRow: runs.firstRow[i],
        rows: runs.rows[i],
        leastSeconds: runs.leastSeconds[i],
        mostSeconds: runs.mostSeconds[i],
        longestName: runs.longestName[i],
      };
      assert.deepStrictEqual(columns, run);
      const got = Buffer.from(runs.text.subarray(runs.textFrom[i], runs.textTo[i])).toString("latin1");
      // Not by an assertion of its own: it would show all of both.
      if (got !== text)
        assert.fail(`run ${i} has ${got.length} bytes, not these ${text.length}: ${text.slice(0, 200)}`);
    }
  };
}

function routedText(random: Random, keyed: boolean): string {
  const oddity = pick(random, [0, 0.02, 0.5]);
  const count = random.below(pick(random, [3, 40, 40, 40, 1500, 4000]));
  let key = "KEY";
  let text = "";
  for (let i = 0; i < count; i++) {
    if (random.below(20) === 0)
      key = pick(random, ["KEY", "KEZ", "KE", "0f8fad5b-d9cb-469f-a165-70867728950e"]);
    if (keyed && random.below(100) > 0) text += `${key}.`;
    const padding = count < 1500 ? 0 : random.below(100);
    text +=
      random.next() < oddity
        ? lineText(random, now)
        : `servers.web${i % 50}.cpu${"x".repeat(padding)} ${i % 7}.5 ${now - random.below(100)}`;
    if (random.next() * 20 < oddity) text += "x".repeat(16_384 - 100 + random.below(200));
    if (random.next() * 50 < oddity) text += pick(random, ["y ", " "]).repeat(random.below(200_000));
    if (random.next() < oddity) text += pick(random, [" ", "\r", "\n", "\n \n"]);
    if (i < count - 1 || random.below(2) === 0) text += "\n";
  }
  return text;
}

/** Exactly as much as the kernel takes at once, without a line end: what comes out is longer than what went in. */
function filledText(random: Random): string {
  let text = "";
  const bytes = (128 << 10) - random.below(3);
  while (bytes - text.length > 990) text += `${"n".repeat(200 + random.below(500))} 1 ${now}\n`;
  return `${text}${"m".repeat(bytes - text.length - 2)} 1`;
}

const plain = createPlainRouter();
const kernel = createKernelRouter();

export const kernelRouterFuzzer: Fuzzer = {
  name: "kernel-router",
  smokeRounds: 40,
  round(random) {
    const keyed = random.below(2) === 0;
    const text = random.below(20) === 0 ? filledText(random) : routedText(random, keyed);
    const bytes = Buffer.from(text, "latin1");
    const expected = routePackets(plain, [bytes], keyed);
    const look = checkRuns(kernel);
    assert.deepStrictEqual(routePackets(kernel, [bytes], keyed, look), expected);
    const packets = cutAtRandom(random, bytes);
    assert.deepStrictEqual(routePackets(kernel, packets, keyed, look), expected);
    assert.deepStrictEqual(routePackets(plain, packets, keyed), expected);
    // All of it, and nothing follows: as a body comes.
    assert.deepStrictEqual(routeBody(kernel, bytes, keyed), expected);
  },
};

function routeBody(router: Router, bytes: Uint8Array, keyed: boolean): Row[] {
  const rows: Row[] = [];
  const { lines } = router;
  for (let at = 0; at < bytes.length; at = lines.consumed) {
    router.route(bytes, at, bytes.length, { keyed, last: true });
    assert.ok(lines.consumed > at, "each call takes something");
    assert.equal(lines.skipping, false);
    const got = routedRows(router, bytes);
    checkRuns(router)(got);
    rows.push(...got);
  }
  return rows;
}
