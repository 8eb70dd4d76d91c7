import assert from "node:assert/strict";
import { test } from "node:test";
import { diagnose } from "../../bin/doctor/diagnose.ts";
import type { Facts, ShardFacts } from "../../bin/doctor/facts.ts";
import { findingKinds } from "../../bin/doctor/findings.ts";

const node: NonNullable<ShardFacts["node"]> = {
  state: "running",
  why: "",
  doing: "ingesting",
  restarts: 0,
  isolated: false,
  offset: [10, 10],
  gapFrames: 0,
};
const shard: ShardFacts = {
  shard: 3,
  lastSequence: [10, 10],
  streamBytes: 10,
  streamBytesMax: 100,
  unasked: "",
  node,
  store: { usedBytes: 1, budgetBytes: 100 },
};
const well: Facts = {
  nats: { version: "2.10.27", clockMs: 3 },
  natsUrl: "nats://127.0.0.1:4222",
  lookMs: 1000,
  processes: [{ name: "api", address: "127.0.0.1:8080", status: 200, clockMs: -900 }],
  shards: [shard],
  disks: [{ path: "home", freeBytes: 50, bytes: 100 }],
  dead: [],
  quarantined: [],
  unbalanced: [],
  lost: [],
  spools: [{ shard: "3", bytes: 0 }],
  doubted: 0,
  upkeepBacklogBytes: 1 << 20,
  unwanted: [],
  unseen: [],
};

test("the doctor finds what is wrong, and nothing where all is well", () => {
  const seen = new Set<string>();
  const f = (change: Partial<Facts>, ...expected: string[]) => {
    const found = diagnose({ ...well, ...change });
    assert.deepEqual(
      found.map(({ id, what }) => `${id} | ${what}`),
      expected,
    );
    for (const { id } of found) seen.add(id);
  };
  const ofShard = (change: Partial<ShardFacts>) => ({ shards: [{ ...shard, ...change }] });
  const ofNode = (change: Partial<typeof node>, more: Partial<ShardFacts> = {}) =>
    ofShard({ ...more, node: { ...node, ...change } });

  f({});
  f({ nats: undefined }, "nats-unreachable | nats-server at nats://127.0.0.1:4222 does not answer");
  f(
    { nats: { version: "2.9.10", clockMs: 0 } },
    "nats-version | nats-server is 2.9.10, at least 2.10 is needed",
  );
  f({ nats: { version: "3.0.1", clockMs: undefined } });
  f(
    { nats: { version: "2.12.0", clockMs: 3500 } },
    "clock-skew | the clock of the nats-server differs from this machine's by 3.5 s",
  );
  const process = { name: "api", address: "127.0.0.1:8080", status: 200, clockMs: 0 };
  f(
    { processes: [{ ...process, status: undefined }] },
    "process-down | the api at 127.0.0.1:8080 does not answer",
  );
  f(
    { processes: [{ ...process, clockMs: -2001 }] },
    "clock-skew | the clock of the api differs from this machine's by -2.0 s",
  );

  f(ofNode({ state: "failed", why: "10 deaths" }), "shard-failed | shard 3 is failed: 10 deaths");
  f(ofNode({ state: "paused" }), "shard-paused | shard 3 is paused");
  f(ofNode({ state: "fenced", why: "x" }), "shard-fenced | shard 3 is fenced: x");
  f(
    ofNode({ state: "restarting", restarts: 4, why: "exit 1" }),
    "shard-restarting | shard 3 is restarting, after 4 restarts: exit 1",
  );
  f(ofNode({ state: "starting" }));
  f(
    ofNode({ doing: "waiting-store", why: "store-full" }),
    "shard-waiting | shard 3 is waiting for the store: store-full",
  );
  const moving = { lastSequence: [300, 310] } as const;
  f(
    ofNode({ offset: [10, 10] }, { lastSequence: [12, 12] }),
    "shard-stuck | shard 3 has 2 frames to read, and its offset did not move for 1000 ms",
  );
  f(ofNode({ offset: [290, 305] }, { lastSequence: [...moving.lastSequence] }));
  f(
    ofNode({ offset: [50, 90] }, { lastSequence: [...moving.lastSequence] }),
    "shard-behind | shard 3 is 250 frames behind the record",
  );
  f(ofNode({ isolated: true }), "shard-isolated | shard 3 reads line by line");
  f({ lost: [{ shard: 3, frames: 2 }] }, "record-hole | shard 3 misses 2 frames that the record lost");
  f(ofNode({ gapFrames: 7 }), "backlog | shard 3 has 7 frames set aside");
  const { node: _, ...lonely } = shard;
  f(
    { shards: [{ ...lonely, unasked: "no node answers" }] },
    "shard-unowned | shard 3 can't be asked: no node answers",
  );
  f(
    ofShard({ store: { usedBytes: 85, budgetBytes: 100 } }),
    "store-filling | shard 3 uses 85 % of its store's budget",
  );
  f(
    ofShard({ store: { usedBytes: 90, budgetBytes: 100 } }),
    "store-full | shard 3 uses 90 % of its store's budget",
  );
  f(ofShard({ streamBytes: 95 }), "stream-filling | shard 3 uses 95 % of its stream's cap");
  f(ofShard({ streamBytesMax: 0 }));

  f({ disks: [{ path: "home", freeBytes: 9, bytes: 100 }] }, "disk-low | the disk of home has 9 % left");
  f(
    { dead: [{ tenant: "acme", reason: "poison", letters: 2 }] },
    "dead-letters | 2 dead letters are open, of acme",
  );
  f(
    { quarantined: [{ tenant: "acme", shard: 3, why: "3 poison lines" }] },
    "tenant-quarantined | tenant acme is quarantined in shard 3: 3 poison lines",
  );
  f({ unbalanced: [{ tenant: "acme", missing: -4 }] }, "books-unbalanced | the books of acme miss -4 points");
  f(
    { unwanted: [{ tenant: "acme", reason: "tenant-deleted", lines: 9 }] },
    "unwanted-senders | 1 sender still sends for tenants that are gone or suspended",
  );
  f({ spools: [{ shard: "3", bytes: 2e6 }] }, "spool-in-use | 2.0 MB lie in spools, of shards 3");
  f({ doubted: 2 }, "directory-doubted | 2 processes do not follow the directory of tenants");
  f({ upkeepBacklogBytes: 300 << 20 }, "upkeep-behind | 314.6 MB of commits wait for upkeep");

  assert.deepEqual(
    Object.keys(findingKinds).filter((id) => !seen.has(id)),
    [],
    "each finding was seen here",
  );
});

test("the worst comes first, and each names what helps", () => {
  const found = diagnose({
    ...well,
    dead: [{ tenant: "acme", reason: "poison", letters: 2 }],
    shards: [{ ...shard, streamBytes: 95, node: { ...node, state: "failed" } }],
  });
  assert.deepEqual(
    found.map(({ severity, id, command, runbook }) => [severity, id, command, runbook]),
    [
      ["wrong", "shard-failed", "millrace shard show 3", "docs/oncall/shard-failed.md"],
      ["soon", "stream-filling", "millrace backfill list", "docs/oncall/stream-filling.md"],
      ["note", "dead-letters", "millrace dead list", "docs/oncall/dead-letters.md"],
    ],
  );
});
