// A directory's surroundings: a memory bus, a clock that stands, a temp folder for the local copy.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Counters } from "../../src/base/counters.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createMemoryBus, type MemoryBus } from "../../src/bus/memory.ts";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { type Added, addTenant } from "../../src/tenant/admin.ts";
import { Directory } from "../../src/tenant/directory.ts";
import { Heard } from "../bus/listen.ts";
import { ManualClock } from "../harness/clock.ts";

export interface World {
  bus: MemoryBus;
  clock: ManualClock;
  counters: Counters;
  folder: string;
  file: string;
  open(): Promise<Directory>;
  add(name: string): Promise<Extract<Added, { kind: "added" }>>;
}

export const random = seededRandom(5);

export async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-directory-"));
  const file = join(folder, "tenants.json");
  const clock = new ManualClock();
  const counters = new Counters();
  const bus = createMemoryBus({ clock, random });
  const kv = await bus.kv(tenantsBucket);
  try {
    await body({
      bus,
      clock,
      counters,
      folder,
      file,
      open: () => Directory.open({ file, clock, counters }),
      async add(name) {
        const added = await addTenant(kv, name, { clock, random });
        assert.ok(added.kind === "added");
        return added;
      },
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Settles when the condition holds, looked at after each change. */
export async function until(directory: Directory, holds: () => boolean): Promise<void> {
  const heard = new Heard();
  const forget = directory.onChange(() => heard.changed());
  await heard.until(holds);
  forget();
}

export async function follow(directory: Directory, bus: MemoryBus): Promise<void> {
  directory.follow(await bus.kv(tenantsBucket));
  await settle();
}

/** Lets everything that the memory bus has scheduled happen. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

export function answer(directory: Directory, key: string): string {
  const found = directory.lookupKey(key);
  return found.kind === "known" ? `${found.tenant.name} ${found.key}` : found.kind;
}
