// A query thread: opens the stores read-only and answers one query at a time (src/api/reader.ts says how). Started by
// src/api/pool.ts; the answer's bytes are handed over, not copied.
import { move, transferableSymbol, valueSymbol, workerData } from "piscina";
import type { QueryAnswer, QueryJob } from "../src/api/messages.ts";
import type { QueryWorkerData } from "../src/api/pool.ts";
import { createReading, type Reading } from "../src/api/reader.ts";
import { systemClock } from "../src/base/clock.ts";
import { createLmdbEngine } from "../src/store/lmdb.ts";

/** Made by the first query: what throws while a thread starts would be no answer to anybody. */
let reading: Reading | undefined;

export default async function query(job: QueryJob): Promise<unknown> {
  const { folder, mapBytes } = workerData as QueryWorkerData;
  const engine = () => createLmdbEngine({ folder, mapBytes, readOnly: true, clock: systemClock });
  reading ??= createReading(engine(), systemClock);
  const answer: QueryAnswer = await reading.answer(job);
  if (answer.kind !== "ok") return answer;
  return move({ [transferableSymbol]: [answer.body.buffer], [valueSymbol]: answer });
}
