// Who may be a series: asked once for each name that is new or was forgotten, in whatever spelling it comes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import { reasons } from "../../src/metric/reason.ts";

test("a new name is asked for in its canonical form; a no refuses the line and leaves no trace", () => {
  const aggregator = createPlainAggregator({ stepSeconds: 1, seed: new Uint8Array(8).fill(7) });
  const asked: string[] = [];
  let yes = true;
  aggregator.admitBy((tenant, name, series) => {
    asked.push(`${tenant} ${Buffer.from(name).toString()} ${series}`);
    return yes;
  });
  const f = (text: string, counted: number, refused: string[], expected: string[]) => {
    asked.length = 0;
    const said: string[] = [];
    const lines = Buffer.from(text.replaceAll(" ", "\n").replaceAll("_", " "));
    const count = aggregator.ingest(3, lines, 1.7e12, (code, line) =>
      said.push(`${reasons[code]} ${Buffer.from(line).toString()}`),
    );
    assert.deepEqual([count, said, asked], [counted, refused, expected], text);
  };
  f("a_1 a_1 .a_1 b_1", 4, [], ["3 a 0", "3 b 1"]);
  yes = false;
  f("c_1 a_1 c._1 b_1", 2, ["series-limit c 1", "series-limit c. 1"], ["3 c 2", "3 c 2"]);
  assert.equal(aggregator.seriesCount, 2);
  aggregator.forget(0);
  aggregator.forget(0);
  f("a_1 b_1 .a_1", 1, ["series-limit a 1", "series-limit .a 1"], ["3 a 0", "3 a 0"]);
  yes = true;
  f(".a_1 a_1 a._1 c_1", 4, [], ["3 a 0", "3 c 2"]);
  f("a_1 .a_1 b_1 c_1", 4, [], []);
  assert.equal(aggregator.seriesCount, 3);
  assert.equal(aggregator.commit().count, 3);
});
