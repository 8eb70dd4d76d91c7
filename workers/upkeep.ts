// An upkeep thread: does one slice at a time (slices.ts says how), for the shards that cluster/upkeep.ts gives it.
import { workerData } from "piscina";
import { systemClock } from "../src/base/clock.ts";
import { createLmdbEngine } from "../src/store/lmdb.ts";
import type { UpkeepAnswer, UpkeepJob, UpkeepWorkerData } from "./messages.ts";
import { Slices } from "./slices.ts";

/** Made by the first job: what throws while a thread starts would be no answer to anybody. */
let slices: Slices | undefined;

export default async function upkeep(job: UpkeepJob): Promise<UpkeepAnswer> {
  const { folder, mapBytes } = workerData as UpkeepWorkerData;
  slices ??= new Slices(createLmdbEngine({ folder, mapBytes, clock: systemClock }), systemClock);
  return await slices.answer(job);
}
