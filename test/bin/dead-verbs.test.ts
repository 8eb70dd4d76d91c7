// Dead letters of many shards, of which one does not answer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deadVerbs, type DeadList, type DeadPart } from "../../bin/admin/dead-verbs.ts";
import type { LetterAnswer, LetterQuestion, LetterShown } from "../../cluster/letter-messages.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createMemoryBus } from "../../src/bus/memory.ts";
import { clusterBucket, shardControlSubject, tenantsBucket } from "../../src/bus/subjects.ts";
import { readSettings } from "../../src/config/settings.ts";
import { ManualClock } from "../harness/clock.ts";
import { silentLog } from "../harness/log.ts";

const shards = 4;

function letter(sequence: number): LetterShown {
  const words = { tenant: "t", door: "tcp", reason: "poison", detail: "", kind: "plaintext" } as const;
  return { ...words, sequence, part: 0, receivedAtMs: 1000, lines: 1, bytes: 4, text: "a 1\n" };
}

type Told = LetterAnswer | { kind: "none"; why: string };

/** A system each of whose shards has two letters; `silent`: what it says instead of an answer. */
async function system(silent: (question: LetterQuestion) => Told | undefined) {
  const bus = createMemoryBus({ clock: new ManualClock(), random: seededRandom(1) });
  const open = new Map(Array.from({ length: shards }, (_, shard) => [shard, [letter(1), letter(2)]]));
  const told = (question: LetterQuestion): Told => {
    const all = open.get(question.shard) ?? [];
    switch (question.kind) {
      case "dead-counts": {
        const counts = [{ tenant: "t", reason: "poison", letters: all.length, lines: 2, bytes: 8 }];
        return { kind: "dead-counts", counts, quarantined: [], last: 9 };
      }
      case "dead-list": {
        const after = question.only.after?.sequence ?? 0;
        return { kind: "dead-letters", letters: all.filter(({ sequence }) => sequence > after) };
      }
      case "dead-drop": {
        const { length } = question.places;
        open.set(question.shard, []);
        return { kind: "dead-dropped", letters: length };
      }
      case "dead-retry":
        return { kind: "dead-retried", recorded: question.places.length, gone: 0, refused: [], why: "" };
      case "dead-show":
      case "dead-release":
        return assert.fail(`nobody asks for ${question.kind}`);
      default:
        return question satisfies never;
    }
  };
  await bus.serve(shardControlSubject, (payload) => {
    const question = JSON.parse(Buffer.from(payload).toString()) as LetterQuestion;
    return Buffer.from(JSON.stringify(silent(question) ?? told(question)));
  });
  const operator = {
    bus,
    tenants: await bus.kv(tenantsBucket),
    cluster: await bus.kv(clusterBucket),
    settings: readSettings({ MILLRACE_SHARDS: String(shards) }, {}),
    log: silentLog,
  };
  const verbs = deadVerbs(async () => operator);
  return async <T>(url: string, body: object): Promise<T> => {
    const verb = verbs.find((each) => each.url === url) ?? assert.fail(url);
    const asked = { params: {}, query: {}, body: { ...body }, dryRun: false };
    return (await verb.answer(asked)) as T;
  };
}

const all = { all: true };
const why = "no node runs it";

test("a shard that can't be asked costs its own letters alone, and is said at the end", async () => {
  for (const verb of ["retry", "drop"]) {
    const ask = await system(({ shard }) => (shard === 1 ? { kind: "none", why } : undefined));
    const part = await ask<DeadPart>(`/v1/dead/${verb}`, all);
    assert.deepEqual([part.letters, part.next, part.unasked], [6, null, [{ shard: 1, why }]], verb);
  }
});

test("one that stops to answer half way is said, too", async () => {
  const f = async (kind: LetterQuestion["kind"], url: string, expected: number) => {
    const ask = await system((asked) =>
      asked.kind === kind && asked.shard > 1 ? { kind: "none", why } : undefined,
    );
    const part = await ask<DeadPart>(url, all);
    const silent = [2, 3].map((shard) => ({ shard, why }));
    assert.deepEqual([part.letters, part.next, part.unasked], [expected, null, silent], kind);
  };
  await f("dead-drop", "/v1/dead/drop", 4);
  await f("dead-list", "/v1/dead/drop", 4);
  await f("dead-retry", "/v1/dead/retry", 4);
  const full = await system((asked) =>
    asked.kind === "dead-retry" && asked.shard === 0
      ? { kind: "dead-retried", recorded: 1, gone: 0, refused: [], why: "stream-full" }
      : undefined,
  );
  const part = await full<DeadPart>("/v1/dead/retry", all);
  assert.deepEqual([part.letters, part.unasked], [7, [{ shard: 0, why: "stream-full" }]]);
  const ask = await system((asked) =>
    asked.kind === "dead-list" && asked.shard === 2 ? { kind: "none", why } : undefined,
  );
  const list = await ask<DeadList>("/v1/dead", {});
  assert.deepEqual([list.letters.length, list.unasked], [6, [{ shard: 2, why }]]);
});
