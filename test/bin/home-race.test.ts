// Several starts at the same moment, with a lock that an earlier one left behind.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

const racers = 4;
const rounds = 200;

test("of several that find a stale lock at once exactly one gets it", async (t) => {
  const home = mkdtempSync(join(tmpdir(), "millrace-home-"));
  const round = new Int32Array(new SharedArrayBuffer(4));
  const entry = new URL(
    `home-racer${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`,
    import.meta.url,
  );
  const workers = Array.from(
    { length: racers },
    () => new Worker(entry, { workerData: { home, round, rounds } }),
  );
  t.after(async () => {
    await Promise.all(workers.map((worker) => worker.terminate()));
    rmSync(home, { recursive: true, force: true });
  });
  for (let next = 1; next <= rounds; next++) {
    writeFileSync(join(home, "lock"), "1 0");
    const answers = workers.map(async (worker) => (await once(worker, "message"))[0] as boolean);
    Atomics.store(round, 0, next);
    Atomics.notify(round, 0);
    const got = await Promise.all(answers);
    assert.equal(got.filter((one) => one).length, 1, `round ${next}`);
    rmSync(join(home, "lock"));
  }
});
