// Which lines of the record became dead letters once: it stays known of those that were retried or dropped.
import assert from "node:assert/strict";
import { ledgerKeptMs, type DeadLetter, type LetterPlace, type Snapshot } from "../../src/store/store.ts";
import { claimed, commitOf, committed, withSnapshot, type Case } from "./store-helpers.ts";
import { t0 } from "./store-life.ts";

function letter(sequence: number, part: number, receivedAtMs = t0 * 1000): DeadLetter {
  const bytes = Buffer.from("a 1");
  const words = { tenant: "t1", door: "tcp", kind: "plaintext", reason: "poison", detail: "" } as const;
  return { sequence, part, lines: 1, receivedAtMs, bytes, ...words };
}

/** `sequence/part fate`, page by page. */
async function pages(snapshot: Snapshot, most: number): Promise<string[]> {
  const out: string[] = [];
  for (let behind: LetterPlace | undefined; ; ) {
    const page = await snapshot.buried(most, behind);
    out.push(...page.map(({ sequence, part, fate }) => `${sequence}/${part} ${fate}`));
    behind = page.at(-1);
    if (behind === undefined) return out;
  }
}

export function buriedCases(f: Case): void {
  f("buried: letters that are retried or dropped stay known, in the record's order", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const see = (most: number) => withSnapshot(engine, 0, (snapshot) => pages(snapshot, most));
    const dead = [letter(1, 0), letter(1, 1), letter(1, 2), letter(2, 0), letter(2, 7)];
    await committed(store, commitOf(epoch, 0, 2, { dead }));
    await committed(store, commitOf(epoch, 2, 3, { retried: [{ sequence: 1, part: 1 }] }));
    assert.equal(await store.dropLetters(epoch, [{ sequence: 2, part: 0 }]), 1);
    assert.equal(await store.dropLetters(epoch, [{ sequence: 9, part: 0 }]), 0);
    const expected = ["1/0 open", "1/1 retried", "1/2 open", "2/0 dropped", "2/7 open"];
    for (const most of [1, 2, 3, 100]) assert.deepEqual(await see(most), expected, `pages of ${most}`);
    const [first] = await withSnapshot(engine, 0, (snapshot) => snapshot.buried(1, { sequence: 1, part: 0 }));
    assert.deepEqual(first, {
      sequence: 1,
      part: 1,
      tenant: "t1",
      reason: "poison",
      receivedAtMs: t0 * 1000,
      bytes: 3,
      fate: "retried",
    });
    await store.close();
  });

  f("buried: an open one may have the place of one that is no more", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    await committed(store, commitOf(epoch, 0, 1, { dead: [letter(1, 0), letter(1, 1)] }));
    await store.dropLetters(epoch, [{ sequence: 1, part: 0 }]);
    await committed(store, commitOf(epoch, 1, 2, { dead: [letter(1, 0, t0 * 1000 + 1)] }));
    for (const most of [1, 2, 9]) {
      const seen = await withSnapshot(engine, 0, (snapshot) => pages(snapshot, most));
      assert.deepEqual(seen.toSorted(), ["1/0 dropped", "1/0 open", "1/1 open"], `pages of ${most}`);
    }
    await store.close();
  });

  f("buried: what is known of letters is forgotten with the ledger", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const dead = [letter(1, 0), letter(1, 1), letter(2, 0, t0 * 1000 + 5)];
    await committed(store, commitOf(epoch, 0, 2, { dead }));
    await store.dropLetters(epoch, [dead[0], dead[2]] as DeadLetter[]);
    const forgotten = async (ms: number) => {
      const { dead: open, closed } = await store.forget(epoch, t0 * 1000 + ledgerKeptMs + ms);
      return `${open} ${closed}`;
    };
    assert.equal(await forgotten(0), "0 0");
    assert.equal(await forgotten(1), "1 1");
    assert.deepEqual(await withSnapshot(engine, 0, (snapshot) => pages(snapshot, 9)), ["2/0 dropped"]);
    assert.equal(await forgotten(9), "0 1");
    await store.close();
  });
}
