// What every bus must do with journals: entries in order, newest read first, the oldest ones gone where it would grow.
import assert from "node:assert/strict";
import { bytes, connectedAgain, text } from "../bus/listen.ts";
import { cases, outage, type BusWorld } from "./bus-world.ts";

const bounds = { bytesMax: 1 << 20, keptMs: 3_600_000 };

export function journalContract(name: string, makeWorld: () => Promise<BusWorld>): void {
  const f = cases(name, makeWorld);

  f("a journal gives its last entries, newest first, in pages, to all who open it", async (world, bus) => {
    const journal = await bus.journal("MR_TEST", bounds);
    assert.deepEqual(await journal.last(10), []);
    for (let i = 1; i <= 200; i++) assert.equal(await journal.append(bytes(`entry ${i}`)), i);
    const other = await world.another();
    const same = await other.journal("MR_TEST", bounds);
    const page = await same.last(150);
    assert.equal(page.length, 150);
    assert.deepEqual([page[0]?.sequence, text(page[0]?.data), page.at(-1)?.sequence], [200, "entry 200", 51]);
    assert.ok((page[0]?.timeMs ?? 0) >= (page[1]?.timeMs ?? 0) && (page[0]?.timeMs ?? 0) > 1e12);
    const rest = await same.last(150, 51);
    assert.deepEqual(
      rest.map(({ sequence }) => sequence),
      Array.from({ length: 50 }, (_, i) => 50 - i),
    );
    assert.deepEqual(await same.last(10, 1), []);
    assert.equal(await same.append(bytes("of another")), 201);
    assert.equal(text((await journal.last(1))[0]?.data), "of another");
    await other.close();
  });

  f("a journal that is full forgets its oldest entries, and takes the new one", async (_, bus) => {
    const journal = await bus.journal("MR_SMALL", { ...bounds, bytesMax: 20_000 });
    for (let i = 1; i <= 100; i++) await journal.append(bytes(`${i} ${"x".repeat(1000)}`));
    const kept = await journal.last(1000);
    assert.equal(kept[0]?.sequence, 100);
    assert.ok(kept.length >= 10 && kept.length <= 20, String(kept.length));
  });

  f("an entry is said to be there only when it is: without a broker it is refused", async (world, bus) => {
    const journal = await bus.journal("MR_TEST", bounds);
    await journal.append(bytes("1"));
    await world.crash();
    await outage("bus-unavailable", journal.append(bytes("2")));
    await outage("bus-unavailable", journal.last(1));
    await world.recover();
    await connectedAgain(bus);
    assert.equal(await journal.append(bytes("3")), 2);
    assert.deepEqual(
      (await journal.last(5)).map(({ data }) => text(data)),
      ["3", "1"],
    );
  });
}
