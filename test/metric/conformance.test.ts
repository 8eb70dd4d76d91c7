// What carbon 1.1.7 takes and refuses on its line port, recorded, against our grammar. The record lies beside the
// project; a machine that has none is told so.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Line, readLine } from "../../src/metric/line.ts";
import { canonicalName } from "../../src/metric/name.ts";
import { fromLatin1, latin1, utf8 } from "../fuzz/fuzzer.ts";

interface Case {
  id: string;
  proto: string;
  note: string;
  policy: "match" | "free" | "better";
  parts: ({ hex: string } | { rep: [string, number] } | { ts: number })[];
  carbon: { accepted: [string, number | "now" | { abs: number }, number | string][] };
  better?: [string, number, number][];
}

type Point = [name: string, seconds: number | "now", value: number];

const base = 1_795_343_940;
const key = "KEY";

/** Bytes as the case sends them, one character a byte; with a key in front of each name if asked for. */
function payload(one: Case, keyed: boolean): string {
  const text = one.parts
    .map((part) => {
      if ("hex" in part) return Buffer.from(part.hex, "hex").toString("latin1");
      if ("rep" in part) return Buffer.from(part.rep[0], "hex").toString("latin1").repeat(part.rep[1]);
      return String(base + part.ts);
    })
    .join("");
  return keyed ? text.replaceAll("mal.", `${key}.mal.`) : text;
}

function taken(text: string, keyed: boolean): Point[] {
  const bytes = fromLatin1(text);
  const line = new Line();
  const points: Point[] = [];
  for (let at = 0; at < bytes.length; at = line.end + 1) {
    readLine(bytes, at, bytes.length, keyed, line);
    if (line.blank || line.reason !== 0) continue;
    const name = latin1(canonicalName(bytes, line.from, line.nameTo));
    // -0 is read back as 0.
    const point: Point = [name, Number.isNaN(line.seconds) ? "now" : line.seconds, line.value + 0];
    // Of two values for one second one is read back: the larger one, by the rule of summaries.
    const same = points.find((p) => p[0] === point[0] && p[1] === point[1]);
    if (same === undefined) points.push(point);
    else same[2] = Math.max(same[2], point[2]);
  }
  return points;
}

function recorded(points: Case["carbon"]["accepted"]): Point[] {
  return points.map(([name, time, value]) => [
    utf8(name),
    typeof time === "number" ? base + time : time === "now" ? "now" : time.abs,
    Number(value) + 0,
  ]);
}

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const file = join(root, "../shared/conformance/malformed/malformed.json");

test("odd lines are taken and refused as carbon does", () => {
  if (!existsSync(file)) {
    console.error(`NOT COMPARED WITH CARBON: the record of odd lines is not at ${file}`);
    return;
  }
  const cases = (JSON.parse(readFileSync(file, "utf8")) as Case[]).filter((one) => one.proto === "line");
  assert.ok(cases.length > 70, "the record has its line cases");
  let matched = 0;
  for (const one of cases) {
    for (const keyed of [false, true]) {
      const points = taken(payload(one, keyed), keyed);
      const label = `${one.id} ${one.note}`;
      if (one.policy === "match") {
        // `1 1795343880` is a name and a value for us, as for Hosted Graphite: a time stamp may be left out.
        const expected: Point[] =
          one.id === "l020" && !keyed ? [["1", "now", base - 60]] : recorded(one.carbon.accepted);
        assert.deepStrictEqual(points, expected, label);
        matched++;
      } else if (one.policy === "better") {
        for (const point of recorded(one.better ?? []))
          assert.ok(
            points.some((p) => p.join() === point.join()),
            `${label}: ${point.join(" ")} is saved`,
          );
      }
      for (const [name] of points)
        assert.equal(latin1(canonicalName(fromLatin1(name), 0, name.length)), name, label);
    }
  }
  assert.ok(matched > 60, `${matched} cases compared`);
});
