import assert from "node:assert/strict";
import { test } from "node:test";
import { tagsOf } from "../../src/graphite/tags.ts";
import { parseTarget, pythonFloat } from "../../src/graphite/target.ts";
import { splitView, type View, viewPoints, views } from "../../src/graphite/view.ts";

function parsed(text: string, expected: string): void {
  const target = parseTarget(text);
  const got =
    target.kind === "path"
      ? `path ${target.pattern}${target.viewed ? ` as ${target.viewed.view} of ${target.viewed.pattern}` : ""}`
      : target.kind === "constant"
        ? `constant ${target.name} ${target.value}`
        : `call ${target.name}`;
  assert.equal(got, expected);
}

test("targets: paths, the health check, calls", () => {
  parsed("web.cpu", "path web.cpu");
  parsed("  web.*.cpu\n", "path web.*.cpu");
  parsed("web.cpu:sum", "path web.cpu:sum as sum of web.cpu");
  parsed("web.{a,b}:count", "path web.{a,b}:count as count of web.{a,b}");
  parsed("a:sum:max", "path a:sum:max as max of a:sum");
  parsed(":sum", "path :sum");
  parsed("odd.with:colon", "path odd.with:colon");
  parsed("a:median", "path a:median");
  parsed("disk;host=a:sum", "path disk;host=a:sum as sum of disk;host=a");
  parsed("constantLine(100)", "constant 100.0 100");
  parsed("constantLine( -1.5e3 )", "constant -1500.0 -1500");
  parsed("constantLine(1e999)", "call constantLine");
  parsed("constantline(1)", "call constantline");
  parsed("constantLine()", "call constantLine");
  parsed("constantLine(1);drop", "call constantLine");
  parsed("sumSeries(a.*)", "call sumSeries");
  parsed("sumSeries (a.*", "call sumSeries");
  parsed("a.b|scale(10)", "call scale");
  parsed("a.b | alias('x')", "call alias");
  parsed("a(b", "call a");
  parsed("1a(b", "path 1a(b");
  parsed("a|b", "path a|b");
});

function written(value: number, expected: string): void {
  assert.equal(pythonFloat(value), expected);
}

test("numbers in names as Python writes them", () => {
  written(100, "100.0");
  written(-0, "-0.0");
  written(0.1, "0.1");
  written(1e15, "1000000000000000.0");
  written(1e16, "1e+16");
  written(1.5e22, "1.5e+22");
  written(0.0001, "0.0001");
  written(0.00001, "1e-05");
  written(1e-9, "1e-09");
});

test("views show the parts of a summary, V2: and null where there is no point", () => {
  const columns = {
    points: Float64Array.of(9, 4, 0, 1),
    sum: Float64Array.of(9, 10, 0, -2),
    min: Float64Array.of(9, -1, 0, -2),
    max: Float64Array.of(9, 8, 0, -2),
    last: Float64Array.of(9, 3, 0, -2),
  };
  function f(view: View, expected: number[]): void {
    assert.deepEqual([...viewPoints(columns, 1, 3, view, plan, 0)], expected);
  }
  const plan = { start: 0, stepSeconds: 1, drop: 0, perPoint: 1 };
  f("avg", [2.5, Number.NaN, -2]);
  f("sum", [10, Number.NaN, -2]);
  f("min", [-1, Number.NaN, -2]);
  f("max", [8, Number.NaN, -2]);
  f("count", [4, Number.NaN, 1]);
  f("last", [3, Number.NaN, -2]);
  for (const view of views) assert.deepEqual(splitView(`x:${view}`), { pattern: "x", view });
});

function tags(name: string, expected: Record<string, string>): void {
  assert.deepEqual({ ...tagsOf(name) }, expected);
}

test("V3: buckets that share a point are merged first and viewed then", () => {
  const columns = {
    points: Float64Array.of(9, 1, 0, 3, 0, 0, 2),
    sum: Float64Array.of(9, 10, 0, 2, 0, 0, -2),
    min: Float64Array.of(9, 10, Number.NaN, -4, Number.NaN, Number.NaN, -1),
    max: Float64Array.of(9, 10, Number.NaN, 5, Number.NaN, Number.NaN, -1),
    last: Float64Array.of(9, 10, Number.NaN, 1, Number.NaN, Number.NaN, -1),
  };
  const plan = { start: 0, stepSeconds: 3, drop: 1, perPoint: 3 };
  function f(view: View, expected: number[], xFilesFactor = 0): void {
    assert.deepEqual([...viewPoints(columns, 0, 7, view, plan, xFilesFactor)], expected);
  }
  f("avg", [3, -1]);
  f("sum", [12, -2]);
  f("min", [-4, -1]);
  f("max", [10, -1]);
  f("count", [4, 2]);
  f("last", [1, -1]);
  f("sum", [12, Number.NaN], 0.5);
  f("sum", [Number.NaN, Number.NaN], 0.7);
});

test("tags of a name", () => {
  tags("web.cpu", { name: "web.cpu" });
  tags("disk.used;dc=dc1;host=a", { name: "disk.used", dc: "dc1", host: "a" });
  tags("x;eq=a=b", { name: "x", eq: "a=b" });
  tags("x;name=y", { name: "x" });
  tags("x;bad", { name: "x;bad" });
  tags("x;a=1;=2", { name: "x;a=1;=2" });
  assert.equal(tagsOf("x;__proto__=1")["__proto__"], "1");
  assert.equal(JSON.stringify(tagsOf("x;__proto__=1")), '{"__proto__":"1","name":"x"}');
});
