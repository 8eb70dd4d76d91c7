import { strict as assert } from "node:assert";
import { test } from "node:test";
import { decide } from "../../cluster/decide.ts";
import { decodeBeat, decodeMap, encodeJson, shardsOf, type ShardMap } from "../../cluster/shard-map.ts";

const beat = (node: string) => ({ node, instance: `${node}-1`, startedMs: 0 });
const map = (version: number, shards: number, node: string): ShardMap => ({
  version,
  shards,
  owners: Object.fromEntries(Array.from({ length: shards }, (_, shard) => [String(shard), node])),
});

test("every shard belongs to the one node", () => {
  const f = (facts: Parameters<typeof decide>[0], expected: ShardMap | undefined) =>
    assert.deepEqual(decide(facts), expected);
  f({ shards: 2, map: undefined, alive: [] }, undefined);
  f({ shards: 2, map: undefined, alive: [beat("a")] }, map(1, 2, "a"));
  f({ shards: 2, map: undefined, alive: [beat("b"), beat("a")] }, map(1, 2, "a"));
  f({ shards: 2, map: map(1, 2, "a"), alive: [beat("a")] }, undefined);
  // A node that restarts keeps its shards: nobody else could open its store.
  f({ shards: 2, map: map(1, 2, "a"), alive: [] }, undefined);
  f({ shards: 2, map: map(1, 2, "a"), alive: [beat("b")] }, undefined);
  f({ shards: 2, map: { version: 4, shards: 2, owners: { "0": "a" } }, alive: [] }, map(5, 2, "a"));
});

test("what lies in KV is read back, and what can't be read is undefined", () => {
  assert.deepEqual(decodeMap(encodeJson(map(3, 2, "a"))), map(3, 2, "a"));
  assert.deepEqual(decodeBeat(encodeJson(beat("a"))), beat("a"));
  for (const text of ["", "null", "[]", "{}", '{"version":1}', '{"version":"1","shards":2,"owners":{}}', "{"])
    assert.equal(decodeMap(Buffer.from(text)), undefined, text);
  assert.equal(decodeMap(undefined), undefined);
  assert.equal(decodeBeat(Buffer.from('{"node":1}')), undefined);
  assert.deepEqual(
    shardsOf({ version: 1, shards: 12, owners: { "10": "a", "2": "a", "3": "b" } }, "a"),
    [2, 10],
  );
});
