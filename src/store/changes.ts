// What a commit changes, worked out against one state of the shard: rows to put, rows to remove, the next head. Nothing
// is written here.
import { assert } from "../base/assert.ts";
import { encodeBlob } from "./blob.ts";
import type { State, Writes } from "./environment.ts";
import { encodeGauge, gaugeSince, gaugeValue } from "./gauge-rows.ts";
import { applyGauges } from "./gauges.ts";
import type { ShardHead } from "./head.ts";
import { committedHead } from "./lane-changes.ts";
import { mergeIntervals } from "./intervals.ts";
import { blobKey, bootKey, gaugeKey, keyedKey, keyedTimeKey, ledgerKey, nameKey } from "./keys.ts";
import { DeadLetters } from "./letters.ts";
import { Naming } from "./naming.ts";
import { planQuarantine } from "./quarantine.ts";
import { decodeBoot, decodeNumber, encodeBoot, encodeNumber } from "./rows.ts";
import { newSeriesFlag, type BootApplied, type Commit, type DeltaColumns } from "./store.ts";

export interface CommitPlan {
  head: ShardHead;
  writes: Writes;
  ids: Uint32Array;
}

/** The commit has been judged: its epoch and offset are those of the state. */
export function planCommit(state: State, commit: Commit): CommitPlan {
  assert(
    (commit.deltas.count === 0 && (commit.gauges ?? []).length === 0) ||
      commit.to > commit.from ||
      (commit.partLines ?? 0) > 0,
    "no points in a commit that gets no further",
  );
  const naming = new Naming(
    state,
    { block: state.head.nextBlock, node: state.head.nextNode },
    commit.newSeries.length,
  );
  const ids = Uint32Array.from(commit.newSeries, (key) => naming.idOf(key));
  const writes: Writes = { puts: naming.puts(), removes: [], packed: naming.packed() };
  // A number of its own also where only gauges' values are written: it says since when they are gauges.
  const isNumbered = commit.deltas.count > 0 || (commit.gauges ?? []).length > 0;
  const blobs = state.head.blobs + (isNumbered ? 1 : 0);
  const deltas = planGauges(state, commit, ids, writes, blobs);
  if (deltas.count > 0) {
    const { bytes, minBucket, maxBucket } = encodeBlob(deltas, ids);
    writes.puts.push({ key: blobKey({ number: blobs, minBucket, maxBucket, commits: 1 }), value: bytes });
  }
  for (const boot of mergeBoots(state, commit.boots))
    writes.puts.push({ key: bootKey(boot.boot), value: encodeBoot(boot) });
  planKeyed(state, commit.keyed, writes);
  planLedger(state, commit, writes);
  planLetters(state, commit, writes);
  if (commit.quarantine !== undefined) planQuarantine(state, commit.quarantine, writes);
  const head: ShardHead = {
    ...committedHead(state.head, commit),
    blobs,
    nextBlock: naming.next.block,
    nextNode: naming.next.node,
  };
  return { head, writes, ids };
}

/** The deltas with the rows of gauges that were given as differences. */
function planGauges(
  state: State,
  commit: Commit,
  ids: Uint32Array,
  writes: Writes,
  blob: number,
): DeltaColumns {
  const { deltas, gauges } = commit;
  if (gauges === undefined || gauges.length === 0) return deltas;
  const idOf = (said: number) => (said >= newSeriesFlag ? (ids[said - newSeriesFlag] ?? 0) : said);
  const applied = applyGauges(deltas, gauges, idOf, (id) => {
    const stored = state.get(gaugeKey(id));
    return stored === undefined ? 0 : gaugeValue(stored);
  });
  const fresh = new Set(ids);
  // A series that was deleted meanwhile leaves nothing behind.
  for (const [id, value] of applied.values)
    if (fresh.has(id) || state.get(nameKey(id)) !== undefined) {
      const key = gaugeKey(id);
      const stored = state.get(key);
      const since = stored === undefined ? blob : gaugeSince(stored);
      writes.puts.push({ key, value: encodeGauge(value, since) });
    }
  return applied.deltas;
}

function mergeBoots(state: State, boots: readonly BootApplied[]): Iterable<BootApplied> {
  const merged = new Map<string, BootApplied>();
  for (const { boot, applied, lastAppliedMs } of boots) {
    let known = merged.get(boot);
    if (known === undefined) {
      const stored = state.get(bootKey(boot));
      known = stored === undefined ? { boot, applied: [], lastAppliedMs: 0 } : decodeBoot(boot, stored);
    }
    merged.set(boot, {
      boot,
      applied: mergeIntervals(known.applied, applied),
      lastAppliedMs: Math.max(known.lastAppliedMs, lastAppliedMs),
    });
  }
  return merged.values();
}

function planKeyed(state: State, keyed: Commit["keyed"], writes: Writes): void {
  const once = new Map(keyed.map((entry) => [keyedKey(entry.id).toString("latin1"), entry]));
  for (const { id, appliedAtMs } of once.values()) {
    const key = keyedKey(id);
    // Older by more than a day, and not forgotten yet: else the commit would have been refused (twice.ts).
    const stored = state.get(key);
    if (stored !== undefined) writes.removes.push(keyedTimeKey(decodeNumber(stored), id));
    writes.puts.push({ key, value: encodeNumber(appliedAtMs) });
    writes.puts.push({ key: keyedTimeKey(appliedAtMs, id), value: Buffer.of(0) });
  }
}

function planLedger(state: State, { ledger }: Commit, writes: Writes): void {
  const sums = new Map<string, { key: Buffer; count: number }>();
  for (const row of ledger) {
    assert(row.minute % 60 === 0 && row.minute >= 0, `a minute in epoch seconds, got ${row.minute}`);
    const key = ledgerKey(row);
    const at = key.toString("latin1");
    let sum = sums.get(at);
    if (sum === undefined) {
      const stored = state.get(key);
      sum = { key, count: stored === undefined ? 0 : decodeNumber(stored) };
      sums.set(at, sum);
    }
    sum.count += row.count;
  }
  for (const { key, count } of sums.values())
    if (count === 0) writes.removes.push(key);
    else writes.puts.push({ key, value: encodeNumber(count) });
}

/** A letter that is retried may poison again, as a letter of its new frame. */
function planLetters(state: State, { dead, retried = [] }: Commit, writes: Writes): void {
  const letters = new DeadLetters(state);
  for (const place of retried)
    assert(letters.close(place, "retried") !== undefined, "letters that are retried are open");
  for (const letter of dead) letters.put(letter);
  letters.addTo(writes);
}
