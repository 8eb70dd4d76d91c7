import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeadLetter, Forgotten, LedgerRow } from "../../src/store/store.ts";
import { withStore } from "./shard-bench.ts";

const dayMs = 86_400_000;
const none: Forgotten = { keyed: 0, boots: 0, ledger: 0, dead: 0, closed: 0 };

function row(tenant: string, minute: number, reason = ""): LedgerRow {
  return { tenant, door: "tcp", minute, fate: reason === "" ? "stored" : "dead", reason, count: 1 };
}

function letter(sequence: number, receivedAtMs: number, bytes = 10): DeadLetter {
  const text = {
    tenant: "t1",
    door: "tcp",
    kind: "plaintext" as const,
    lines: 1,
    reason: "malformed",
    detail: "",
  };
  return { sequence, part: 0, ...text, receivedAtMs, bytes: new Uint8Array(bytes) };
}

test("the ledger's minutes go after 35 days, of every tenant", async () => {
  await withStore(async ({ store, epoch, name, count }) => {
    const minutes = [0, 60, 120];
    const tenants = ["t", "t1", "t10", "\u{1f600}"];
    const ledger = tenants.flatMap((tenant) =>
      minutes.flatMap((minute) => [row(tenant, minute), row(tenant, minute, "nan")]),
    );
    await name([], { commit: { ledger } });
    assert.deepEqual(await store.forget(epoch, 35 * dayMs), none);
    assert.deepEqual(await store.forget(epoch - 1, 36 * dayMs), none);
    assert.deepEqual(await store.forget(epoch, 35 * dayMs + 60_000), { ...none, ledger: 8 }); // minute 0
    assert.equal(count("ledger"), 16);
    assert.deepEqual(await store.forget(epoch, 35 * dayMs + 180_000), { ...none, ledger: 16 });
    assert.deepEqual(await store.forget(epoch, 99 * dayMs), none);
  });
});

test("F1: much of the ledger goes a bounded part at a time, and a tenant behind many others has its turn", async () => {
  await withStore(async ({ store, epoch, name, count }) => {
    const ledger = Array.from({ length: 7000 }, (_, i) => row("big", 60 * i));
    for (let i = 0; i < 2500; i++) ledger.push(row(`tenant${10_000 + i}`, 40 * 86_400));
    ledger.push(row("z".repeat(20), 60));
    await name([], { commit: { ledger } });
    const nowMs = 70 * dayMs;
    assert.equal((await store.forget(epoch, nowMs)).ledger, 5000);
    assert.equal((await store.forget(epoch, nowMs)).ledger, 2000);
    const last = [];
    for (let i = 0; i < 3; i++) last.push(await store.forget(epoch, nowMs));
    assert.equal(
      last.reduce((sum, { ledger: some }) => sum + some, 0),
      1,
    );
    assert.equal(count("ledger"), 2500);
    assert.equal((await store.forget(epoch, 80 * dayMs)).ledger, 1000);
  });
});

test("dead letters go after 35 days, also behind some that are younger", async () => {
  await withStore(async ({ store, epoch, name, count }) => {
    const old = [1, 3, 4].map((sequence) => letter(sequence, sequence, 100_000));
    await name([], { commit: { dead: [...old, letter(2, 50 * dayMs), letter(5, 5 * dayMs)] } });
    assert.deepEqual(await store.forget(epoch, 35 * dayMs), none);
    assert.deepEqual(await store.forget(epoch, 36 * dayMs), { ...none, dead: 3 });
    assert.equal(count("dead"), 2);
    assert.deepEqual(await store.forget(epoch, 50 * dayMs), { ...none, dead: 1 });
  });
});

test("F1: many dead letters go a bounded part at a time", async () => {
  await withStore(async ({ store, epoch, name, count }) => {
    await name([], { commit: { dead: Array.from({ length: 2500 }, (_, i) => letter(i, 1)) } });
    await name([], {
      commit: { dead: Array.from({ length: 1500 }, (_, i) => letter(3000 + i, 99 * dayMs)) },
    });
    assert.equal((await store.forget(epoch, 40 * dayMs)).dead, 2000);
    assert.equal((await store.forget(epoch, 40 * dayMs)).dead, 500);
    assert.equal((await store.forget(epoch, 40 * dayMs)).dead, 0);
    assert.equal(count("dead"), 1500);
  });
});
