// A thread that tries to lock a home, round after round, at the same moment as its siblings.
import { parentPort, workerData } from "node:worker_threads";
import { lockHome } from "../../bin/home.ts";
import { isOutage } from "../../src/base/errors.ts";

/** `round` holds the number of the round that may run. */
const { home, round, rounds } = workerData as { home: string; round: Int32Array; rounds: number };
for (let next = 1; next <= rounds; next++) {
  while (Atomics.load(round, 0) < next) Atomics.wait(round, 0, next - 1);
  let got = true;
  try {
    lockHome(home);
  } catch (error) {
    if (!isOutage(error, "home-locked")) throw error;
    got = false;
  }
  parentPort?.postMessage(got);
}
