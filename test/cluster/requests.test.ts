// Questions to an actor always end; the ladders that upkeep is given change when the rules do.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Requests, type Answer } from "../../cluster/requests.ts";
import { RulesSource } from "../../cluster/upkeep-rules.ts";
import type { SchemasSince } from "../../src/metric/ladder-rules.ts";
import type { Tenant } from "../../src/tenant/tenant.ts";
import { ManualClock } from "../harness/clock.ts";

const deleted = (request: number): Answer => ({ kind: "series-deleted", request, names: ["a"] });

test("a question ends with its answer, with its actor, or with its time; never twice, never not", async () => {
  const clock = new ManualClock();
  const requests = new Requests(clock);
  const sent: number[] = [];
  const ask = () => requests.ask(1000, (request) => void sent.push(request));
  const [first, second, third] = [ask(), ask(), ask()];
  assert.deepEqual(sent, [1, 2, 3]);
  requests.answered(2, deleted(2));
  requests.answered(2, deleted(2));
  requests.answered(9, deleted(9));
  assert.deepEqual(await second, { kind: "answered", answer: deleted(2) });
  clock.advance(1000);
  assert.deepEqual(await first, { kind: "none", why: "its actor gave no answer in 1 s" });
  assert.equal((await third).kind, "none");
  requests.answered(1, deleted(1));
  const last = ask();
  requests.endAll("its actor ended meanwhile");
  assert.deepEqual(await last, { kind: "none", why: "its actor ended meanwhile" });
  assert.equal(clock.timers, 0);
});

test("questions that wait are few", async () => {
  const requests = new Requests(new ManualClock());
  const waiting = Array.from({ length: 64 }, () => requests.ask(1000, () => {}));
  const over = await requests.ask(1000, () => assert.fail("it was sent"));
  assert.ok(over.kind === "none" && /64 questions wait/.test(over.why));
  requests.endAll("over");
  await Promise.all(waiting);
  const next = requests.ask(1000, () => {});
  requests.endAll("over");
  assert.equal((await next).kind, "none");
});

test("ladders are known once the directory is, and have another version when the rules change", () => {
  const standard = { rungs: [{ stepSeconds: 10, spanSeconds: 3600 }] };
  const tenant = (id: string): Tenant => ({
    id,
    name: id,
    state: "active",
    createdMs: 0,
    keys: [],
    homes: [],
  });
  const own: SchemasSince = { fromSeconds: 0, rules: [{ name: "all", pattern: ".", ladder: standard }] };
  const tenants = { generation: 1, live: false, tenants: [] as Tenant[], all: () => tenants.tenants };
  const sets = new Map<string, SchemasSince[]>();
  const source = new RulesSource({ tenants, standard, schemasOf: ({ id }) => sets.get(id) ?? [] });
  const changed = (change: () => void) => {
    change();
    tenants.generation += 1;
    return source.current();
  };
  assert.equal(source.current(), undefined, "neither a copy nor a live watch");
  assert.deepEqual(
    changed(() => (tenants.live = true)),
    { version: 1, standard, tenants: [] },
  );
  assert.equal(changed(() => tenants.tenants.push(tenant("a"), tenant("b")))?.version, 1);
  const ruled = changed(() => sets.set("b", [own]));
  assert.deepEqual(ruled, { version: 2, standard, tenants: [["b", [own]]] });
  assert.equal(
    changed(() => sets.set("b", [structuredClone(own)])),
    ruled,
  );
  assert.equal(changed(() => (tenants.live = false))?.version, 2, "what is known stays known");
  assert.deepEqual(structuredClone(ruled), ruled, "it crosses to a thread");
  assert.equal(changed(() => sets.delete("b"))?.version, 3);
});

test("a copy of the directory is enough to know the ladders", () => {
  const copy: Tenant = { id: "a", name: "a", state: "active", createdMs: 0, keys: [], homes: [] };
  const tenants = { generation: 1, live: false, all: () => [copy] };
  const source = new RulesSource({ tenants, standard: { rungs: [] }, schemasOf: () => [] });
  assert.equal(source.current()?.version, 1);
});
