// The reading side of a query thread: stores opened once, a snapshot per home and query.
//
// D1. A home that can't be read costs its part of the answer, not the answer (design.md, P8: what is missing is said).
// D2. Every snapshot is closed when its query is over, however it ended: an open one keeps old pages alive.
// D3. A reader that failed is opened anew for the next query, so a store that comes back is found.
// D4. A query whose time is up ends within its thread: an ended thread can take the process with it.
import type { Clock } from "../base/clock.ts";
import { isOutage } from "../base/errors.ts";
import { type ShardReader, type Snapshot, SnapshotClosed, type StoreEngine } from "../store/store.ts";
import { answerQuery, type Home, refusedByTime } from "./answer.ts";
import type { QueryAnswer, QueryJob } from "./messages.ts";

export interface Reading {
  /** Rejects only for our bugs: an outage is an answer, because error classes don't survive the way to another thread. */
  answer(job: QueryJob): Promise<QueryAnswer>;
  close(): Promise<void>;
}

export function createReading(engine: StoreEngine, clock: Clock): Reading {
  const readers = new Map<number, ShardReader>();

  async function snapshotOf(shard: number): Promise<Snapshot | undefined> {
    try {
      const reader = readers.get(shard) ?? (await engine.openReader(shard));
      readers.set(shard, reader);
      return await reader.snapshot();
    } catch (error) {
      if (!isOutage(error)) throw error;
      await forget(shard);
      return undefined;
    }
  }

  async function forget(shard: number): Promise<void> {
    const reader = readers.get(shard);
    readers.delete(shard);
    try {
      await reader?.close();
    } catch (error) {
      // What could not be read may not be closable either.
      if (!isOutage(error)) throw error;
    }
  }

  return {
    async answer(job) {
      const startedMs = clock.monotonicMs();
      const homes: Home[] = [];
      // D4. The loops over series look at the clock themselves; a long walk inside the store ends with its snapshot.
      const stopTimer = clock.after(job.limits.timeMs, () => {
        for (const home of homes) home.snapshot.close();
      });
      const missing: number[] = [];
      try {
        for (const shard of job.homes) {
          const snapshot = await snapshotOf(shard);
          if (snapshot === undefined) missing.push(shard);
          else homes.push({ shard, snapshot });
        }
        return await answerQuery(job, homes, missing, () => clock.monotonicMs() - startedMs);
      } catch (error) {
        if (error instanceof SnapshotClosed) return refusedByTime(job.limits.timeMs);
        if (!isOutage(error)) throw error;
        return { kind: "unavailable", why: `the store can't be read at the moment (${error.code})` };
      } finally {
        stopTimer();
        for (const home of homes) home.snapshot.close();
      }
    },
    async close() {
      for (const shard of readers.keys()) await forget(shard);
    },
  };
}
