import assert from "node:assert/strict";
import { test } from "node:test";
import { compileViews } from "../../src/graphite/default-view.ts";
import {
  parseAggregationFile,
  parseRetentions,
  parseSchemasFile,
  type RuleFile,
} from "../../src/graphite/rule-files.ts";
import { ladderText } from "../../src/metric/ladder-rules.ts";

test("retentions as carbon and whisper read them", () => {
  function f(text: string, expected: string | RegExp): void {
    const got = parseRetentions(text);
    if (typeof expected === "string") assert.equal(typeof got === "string" ? got : ladderText(got), expected);
    else assert.match(typeof got === "string" ? got : ladderText(got), expected, text);
  }
  f("60s:1d", "60s:86400s");
  f("60s:1d,5m:30d,1h:3y", "60s:86400s,300s:2592000s,3600s:94608000s");
  // a bare number: seconds before the colon, points behind it
  f("60:1440", "60s:86400s");
  f("60:90d", "60s:7776000s");
  f("1m:1440", "60s:86400s");
  f("30:20160,3600:2592000", /longer than 20 years/);
  f(" 10s : 6h , 1min : 7days ", "10s:21600s,60s:604800s");
  f("1s:1w,1minute:2weeks", "1s:604800s,60s:1209600s");
  // any order, and whole points only
  f("5m:30d,60s:1d", "60s:86400s,300s:2592000s");
  f("60s:90s", "60s:60s");
  f("60s:30s", /span is shorter/);
  f("7s:1d,60s:30d", /multiple of 7s/);
  f("60s:30d,300s:1d", /span must be longer/);
  f("60s:1d,60s:2d", /multiple of 60s/);
  f("10s:30s,60s:1d", /less than the next step/);
  f("0:10", /at least one second/);
  f("1s:21y", /longer than 20 years/);
  f("1s:10,2s:20,4s:40,8s:80,16s:160,32s:320,64s:640,128s:1280,256s:2560", /at most 8/);
  for (const bad of [
    "",
    "60",
    "60s",
    "60x:1d",
    "60s:1D",
    "60s:1mon",
    "60s:1d:2",
    "60s:1d,",
    "-1:5",
    "1.5s:1d",
  ])
    f(bad, /is not of the form/);
});

/** `[name] pattern what` a rule, or the problems. */
function lines(file: RuleFile<{ name: string; pattern: string }>, what: (rule: never) => string): string[] {
  return file.kind === "invalid"
    ? file.problems
    : file.rules.map((rule) => `[${rule.name}] ${rule.pattern} ${what(rule as never)}`);
}

test("storage-schemas.conf", () => {
  function f(text: string, expected: string[]): void {
    const what = (rule: { ladder: Parameters<typeof ladderText>[0] }) => ladderText(rule.ladder);
    assert.deepEqual(lines(parseSchemasFile(text), what), expected);
  }
  f("", []);
  f("# nothing\n; at all\n\n", []);
  f(
    "\uFEFF# as carbon ships it\r\n[carbon]\r\npattern = ^carbon\\.\r\nretentions = 60:90d\r\n\r\n" +
      "  [ default 1min ]\n  PATTERN=.*\n  Retentions: 60s:1d\n",
    ["[carbon] ^carbon\\. 60s:7776000s", "[default 1min] .* 60s:86400s"],
  );
  // F1: everything that is wrong, in the order of the file
  f(
    [
      "pattern = early",
      "[a]",
      "pattern = ^x(",
      "retentions = 60s",
      "priority = 100",
      "[a]",
      "patern = x",
      "retentions = 7s:1d,60s:2d",
      "nonsense",
      "[]",
      "[b",
      "[DEFAULT]",
      "pattern = (a+)+",
      "pattern = again",
      "retentions = 60s:1d # a minute",
    ].join("\n"),
    [
      "line 1: pattern stands before the first [name]",
      "line 3: pattern: a ( without its )",
      'line 4: "60s" is not of the form 60s:1d or 60:1440',
      "line 5: priority is not served: rules are tried in the order of the file",
      "line 6: [a] is there already, on line 2",
      "line 6: [a] has no pattern",
      'line 7: "patern" is not known; pattern, retentions are',
      'line 8: "60s:172800s": the step must be a multiple of 7s',
      'line 9: "nonsense" is neither [name] nor key = value',
      'line 10: "[]" is no [name] of at most 100 characters',
      "line 10: [] has no pattern",
      "line 10: [] has no retentions",
      'line 11: "[b" is no [name] of at most 100 characters',
      "line 11: [] is there already, on line 10",
      "line 11: [] has no pattern",
      "line 11: [] has no retentions",
      "line 12: [DEFAULT] means something else in carbon: give the rule another name",
      "line 13: pattern: a repeat or a choice within a repeat: it could take years",
      "line 14: pattern is there twice in [DEFAULT]",
      'line 15: "60s:1d # a minute" is not of the form 60s:1d or 60:1440',
    ],
  );
});

test("bounds of a file", () => {
  const rule = (n: number, span = 1) => `[r${n}]\npattern = ^r${n}\nretentions = 60s:${span}d\n`;
  const rules = (count: number, span: (n: number) => number) =>
    parseSchemasFile(Array.from({ length: count }, (_, n) => rule(n, span(n))).join(""));
  const taken = (file: RuleFile<unknown>) => (file.kind === "rules" ? file.rules.length : file.problems);
  assert.equal(taken(rules(64, () => 1)), 64);
  assert.deepEqual(taken(rules(65, () => 1)), ["line 193: more than 64 rules"]);
  assert.equal(taken(rules(64, (n) => (n % 16) + 1)), 64);
  assert.deepEqual(taken(rules(20, (n) => n + 1)), [
    "line 51: more than 16 different retentions in one file",
  ]);
  assert.deepEqual(taken(parseSchemasFile("#".repeat(500_001))), [
    "the file is longer than 500000 characters",
  ]);
  const many = taken(parseSchemasFile("x\n".repeat(1000)));
  assert.ok(Array.isArray(many) && many.length === 51 && many.at(-1) === "and 950 more");
});

test("storage-aggregation.conf, and what it shows", () => {
  function f(text: string, expected: string[]): void {
    const what = (rule: { view: string; xFilesFactor: number }) => `${rule.view} ${rule.xFilesFactor}`;
    assert.deepEqual(lines(parseAggregationFile(text), what), expected);
  }
  const shipped = [
    ["min", "\\.min$", "0.1", "min"],
    ["max", "\\.max$", "0.1", "max"],
    ["sum", "\\.count$", "0", "sum"],
    ["last", "^gauges\\.", ".5", "last"],
    ["avg", "\\.avg$", "1", "avg"],
    ["default_average", ".*", "0.5", "average"],
  ]
    .map(([name, pattern, factor, method]) => [
      `[${name}]`,
      `pattern = ${pattern}`,
      `xFilesFactor = ${factor}`,
      `aggregationMethod = ${method}`,
      "",
    ])
    .flat()
    .join("\n");
  f(shipped, [
    "[min] \\.min$ min 0.1",
    "[max] \\.max$ max 0.1",
    "[sum] \\.count$ sum 0",
    "[last] ^gauges\\. last 0.5",
    "[avg] \\.avg$ avg 1",
    "[default_average] .* avg 0.5",
  ]);
  f("[a]\npattern = a\n", ["[a] a avg 0.5"]);
  f(
    "[a]\npattern = a\nxFilesFactor = 1.1\naggregationMethod = avg_zero\n[b]\nxFilesFactor = half\nretentions = 1:1",
    [
      'line 3: xFilesFactor is a number from 0 to 1, not "1.1"',
      'line 4: aggregationMethod "avg_zero" is not served; average, avg, sum, last, max, min are',
      "line 5: [b] has no pattern",
      'line 6: xFilesFactor is a number from 0 to 1, not "half"',
      'line 7: "retentions" is not known; pattern, xFilesFactor, aggregationMethod are',
    ],
  );
  const parsed = parseAggregationFile(shipped);
  assert.ok(parsed.kind === "rules");
  const viewOf = compileViews(parsed.rules);
  const shown = (name: string, view: string) => assert.equal(viewOf(name), view, name);
  shown("a.min", "min");
  shown("a.min.b", "avg");
  shown("gauges.x.max", "max");
  shown("gauges.x", "last");
  shown("x.count", "sum");
  assert.equal(compileViews([])("a.min"), "avg");
});
