// Memory that an aggregator touches for each series, seen from outside: a process of its own ingests each series once,
// a commit every so many points, and says how much more of the machine's memory is its own afterwards. A kernel's
// memory is asked for at once but costs only the pages that were written to.
import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { aggregators, type Candidate } from "./kernel-candidates.ts";
import { frames } from "./kernel-lines.ts";

export interface MemoryTask {
  candidate: Candidate;
  series: number;
  /** Rows open at once, at most. */
  commitPoints: number;
}

/** Bytes. */
export async function measureMemory(task: MemoryTask): Promise<number> {
  const child = fork(fileURLToPath(import.meta.url), ["measure"], { execArgv: ["--expose-gc"] });
  const answer = new Promise<number>((resolve, reject) => {
    child.once("message", (bytes) => resolve(Number(bytes)));
    child.once("exit", (code) => reject(new Error(`the process that measures memory ended with ${code}`)));
  });
  child.send(task);
  return answer;
}

function measure({ candidate, series, commitPoints }: MemoryTask): number {
  const before = ownBytes();
  const aggregator = aggregators[candidate]();
  let sinceCommit = 0;
  for (const { bytes, receivedAtMs } of frames({ series, order: "turn" }, series)) {
    sinceCommit += aggregator.ingest(1, bytes, receivedAtMs, (reason) => {
      throw new Error(`a line was refused with reason ${reason}`);
    });
    if (sinceCommit < commitPoints) continue;
    aggregator.commit();
    sinceCommit = 0;
  }
  const after = ownBytes();
  if (aggregator.seriesCount !== series) throw new Error("a series was lost");
  return after - before;
}

/** Without mapped files. */
function ownBytes(): number {
  global.gc?.();
  const kb = /RssAnon:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  if (kb === undefined) throw new Error("this machine does not say what memory is a process' own");
  return Number(kb) * 1024;
}

if (process.argv[2] === "measure")
  process.once("message", (task: MemoryTask) => {
    const bytes = measure(task);
    process.send?.(bytes, () => process.exit(0));
  });
