import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { createLmdbEngine } from "../../src/store/lmdb.ts";
import { storeContract } from "../contract/store.ts";

storeContract("lmdb", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-store-"));
  const make = () => createLmdbEngine({ folder, mapBytes: 64 << 20, clock: systemClock });
  return {
    engine: make(),
    reopen: async () => make(),
    end: async () => rmSync(folder, { recursive: true, force: true }),
  };
});
