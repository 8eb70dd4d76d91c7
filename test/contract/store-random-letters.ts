// What becomes of dead letters and of tenants that end, in a random life (store-random.ts): the same at both engines.
import assert from "node:assert/strict";
import type { Commit, LetterPlace, ShardStore, Snapshot } from "../../src/store/store.ts";
import { tenants, type Chance } from "./store-random-input.ts";

interface Stores {
  tested: ShardStore;
  memory: ShardStore;
  epoch: number;
}

/** What a commit may do beside its points. `now`: of the memory engine. */
export async function letterChanges(chance: Chance, now: Snapshot): Promise<Partial<Commit>> {
  const { random } = chance;
  const share = chance.pick([0, 0, 0, 3]);
  const retried = (await now.dead(1000)).filter(() => random.below(10) < share);
  const quarantine = Array.from({ length: random.below(12) === 0 ? 1 + random.below(2) : 0 }, () => ({
    tenant: chance.pick(tenants),
    sinceMs: chance.now * 1000,
    why: `why ${random.below(3)}`,
  }));
  return { retried: retried.map(({ sequence, part }) => ({ sequence, part })), quarantine };
}

/** Drops some letters, one of which may not be there, or ends a quarantine. Answers how many went. */
export async function dropSome(chance: Chance, now: Snapshot, stores: Stores): Promise<number> {
  const { random } = chance;
  const { tested, memory } = stores;
  const epoch = stores.epoch - (random.below(10) === 0 ? 1 : 0);
  const tenant = chance.pick(tenants);
  if (random.below(3) === 0)
    assert.equal(await tested.release(epoch, tenant), await memory.release(epoch, tenant));
  const places: LetterPlace[] = [{ sequence: random.below(1000), part: 0 }];
  for (const letter of await now.dead(1000, { tenant })) if (random.below(2) === 0) places.push(letter);
  assert.deepEqual(await tested.lettersOpen(places), await memory.lettersOpen(places));
  const dropped = await memory.dropLetters(epoch, places);
  assert.equal(await tested.dropLetters(epoch, places), dropped);
  return dropped;
}

/** A tenant ends, with all its series. Answers their ids, as the tested engine has them. */
export async function purgeWhole(chance: Chance, stores: Stores): Promise<number[]> {
  const { tested, memory, epoch } = stores;
  const tenant = chance.pick(tenants);
  assert.equal(await tested.bury(epoch, tenant), await memory.bury(epoch, tenant));
  const most = 1 + chance.random.below(30);
  const ids: number[] = [];
  const names: string[] = [];
  for (let before = -1; before < ids.length; ) {
    before = ids.length;
    const some = await tested.purge(epoch, tenant, most);
    assert.ok(some.ids.length <= most && some.names.length === some.ids.length);
    ids.push(...some.ids);
    names.push(...some.names);
  }
  assert.equal(new Set(ids).size, ids.length, "each once");
  const expected = await memory.purge(epoch, tenant, 10_000);
  assert.deepEqual(names.toSorted(), expected.names.toSorted());
  let letters = 0;
  for (let some = -1; some !== 0; letters += some) some = await tested.purgeLetters(epoch, tenant, most);
  assert.equal(letters, await memory.purgeLetters(epoch, tenant, 10_000));
  return ids;
}

/** The same letters, whoever asks in which way. */
export async function compareLetters(tested: Snapshot, memory: Snapshot): Promise<void> {
  const counts = await memory.deadCounts();
  assert.deepEqual(await tested.deadCounts(), counts);
  const all = await memory.dead(1000);
  assert.deepEqual(await tested.dead(1000), all);
  for (const after of [undefined, all[Math.floor(all.length / 2)]])
    for (const { tenant, reason } of [...counts, { tenant: "t1", reason: "none" }])
      for (const only of [{ tenant }, { reason }, { tenant, reason }]) {
        const asked = { ...only, ...(after === undefined ? {} : { after }) };
        assert.deepEqual(await tested.dead(3, asked), await memory.dead(3, asked), JSON.stringify(only));
      }
}
