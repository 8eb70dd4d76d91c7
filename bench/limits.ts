// Lines per CPU second of an actor's batch and store for tenants within and over their limit of living series: what a
// flood of new names costs its neighbours. One thread, LMDB in a temporary folder, a commit every 20,000 lines.
//
//   npm run bench -- limits [--json] [--lines 400000]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../src/base/clock.ts";
import { seededRandom } from "../src/base/random.ts";
import { createPlainAggregator } from "../src/kernel/plain-aggregator.ts";
import { encodeFrame } from "../src/metric/frame.ts";
import { createLmdbEngine } from "../src/store/lmdb.ts";
import { Batch } from "../workers/batch.ts";
import { RefusedNames } from "../workers/refused-names.ts";
import { SeriesLimits } from "../workers/series-limits.ts";
import { SeriesRoom } from "../workers/series-room.ts";

const frameLines = 2000;
const commitFrames = 10;
const seriesLimit = 10_000;
const receivedAtMs = 1_790_000_000_000;

/** Names that line i has. */
const workloads: Record<string, { name: (i: number) => string; limit: number | "off" }> = {
  "10k known series": { name: (i) => `known.m${i % seriesLimit}`, limit: seriesLimit },
  "each line a new series, no limit": { name: (i) => `free.m${i}`, limit: "off" },
  "each line a new name, all refused": { name: (i) => `over.m${i}`, limit: seriesLimit },
  "10k names again and again, all refused": { name: (i) => `again.m${i % 10_000}`, limit: seriesLimit },
};

export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: { json: { type: "boolean", default: false }, lines: { type: "string", default: "400000" } },
  });
  const lines = Number(values.lines);
  const results: Record<string, number> = {};
  for (const [title, { name, limit }] of Object.entries(workloads)) {
    const folder = mkdtempSync(join(tmpdir(), "millrace-bench-limits-"));
    try {
      const engine = createLmdbEngine({ folder, mapBytes: 1 << 30, clock: systemClock });
      const store = await engine.openShard(0);
      const claim = await store.claim({ node: "bench", mapVersion: 1, instance: "i" });
      if (claim.kind !== "claimed") throw new Error("the shard is claimed");
      const random = seededRandom(1);
      const limits = new SeriesLimits();
      limits.tell({ standard: limit, tenants: [] });
      const room = new SeriesRoom(limits, store, new RefusedNames(random.bytes(16)));
      const aggregator = createPlainAggregator({ stepSeconds: 1, seed: random.bytes(8) });
      const batch = new Batch({ aggregator, state: claim.state, room });
      let sequence = 0;
      let offset = 0;
      const linesOf = async (nameOf: (i: number) => string, count: number) => {
        const frames = Array.from({ length: count / frameLines }, (_, frame) =>
          encodeFrame({
            identity: { kind: "boot", boot: new Uint8Array(16), n: sequence + frame },
            receivedAtMs,
            sections: [
              {
                tenant: "t",
                door: "tcp",
                kind: "plaintext",
                lineCount: frameLines,
                lines: Buffer.from(
                  Array.from(
                    { length: frameLines },
                    (__, i) => `host.${nameOf(frame * frameLines + i)} 1\n`,
                  ).join(""),
                ),
              },
            ],
            refusals: [],
          }),
        );
        const before = process.cpuUsage();
        for (const data of frames) {
          const recorded = { sequence: ++sequence, timeMs: receivedAtMs, data };
          batch.apply(recorded, batch.decode(recorded), false);
          if (batch.isUndecided) await batch.decide();
          if (sequence % commitFrames !== 0) continue;
          const commit = batch.commit(claim.state.epoch, offset, "bench");
          const result = await store.commit(commit);
          if (result.kind !== "ok") throw new Error(result.kind);
          batch.committed(result.ids);
          offset = commit.to;
        }
        const { user, system } = process.cpuUsage(before);
        return (user + system) / 1e6;
      };
      await linesOf((i) => `known.m${i % seriesLimit}`, 40_000);
      const seconds = await linesOf(name, lines);
      results[title] = Math.round(lines / seconds);
      process.stderr.write(`${title}: ${results[title]?.toLocaleString("en")} lines/CPU s\n`);
      await store.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  if (values.json) process.stdout.write(`${JSON.stringify({ bench: "limits", ...results })}\n`);
}
