// What the benches of the kernel read: frames of plaintext lines of about 73 bytes, written byte by byte so that making
// them costs less than reading them.
import { seededRandom } from "../src/base/random.ts";

export const frameBytes = 256 << 10;
export const key = "0123456789abcdef0123456789abcdef01234567";
const firstMs = 1_790_000_000_000;
const lineBytesMost = 160;

export interface Workload {
  series: number;
  /** Each series in turn, or drawn at random. */
  order: "turn" | "random";
  keyed?: boolean;
  /** Part of the points that are 10 to 300 s late. */
  late?: number;
  /**
   * Each series has three senders: one of each second, one of each ten with a clock 3 s behind, one of each minute
   * with a clock 2 s ahead. Time goes on by a second each 100,000 points. Without it, it stands still.
   */
  clocks?: boolean;
}

export interface Frame {
  bytes: Uint8Array;
  lines: number;
  receivedAtMs: number;
}

const pointsPerSecond = 100_000;

/** `first`: the series of the first line, where they come in turn. */
export function* frames(workload: Workload, points: number, seed = 1): Generator<Frame> {
  const random = seededRandom(seed);
  const buffer = Buffer.alloc(frameBytes + lineBytesMost);
  const prefix = workload.keyed === true ? `${key}.` : "";
  let at = 0;
  let lines = 0;
  let receivedAtMs = firstMs;
  for (let i = 0; i < points; i++) {
    if (workload.clocks === true) receivedAtMs = firstMs + Math.floor(i / pointsPerSecond) * 1000;
    const series = workload.order === "turn" ? i % workload.series : random.below(workload.series);
    const seconds = secondsOf(workload, Math.floor(receivedAtMs / 1000), random);
    const value = random.below(1_000_000) / 1000;
    const name = `servers.host${series % 1000}.app${series >> 10}.requests.latency.m${series}`;
    at += buffer.write(`${prefix}${name} ${value} ${seconds}\n`, at, "latin1");
    lines++;
    if (at < frameBytes && i < points - 1) continue;
    yield { bytes: Uint8Array.prototype.slice.call(buffer, 0, at), lines, receivedAtMs };
    at = 0;
    lines = 0;
  }
}

function secondsOf(workload: Workload, now: number, random: { next(): number; below(n: number): number }) {
  if (workload.clocks === true) {
    const sender = random.below(3);
    if (sender === 1) return now - 3 - ((now - 3) % 10);
    if (sender === 2) return now + 2 - ((now + 2) % 60);
    return now;
  }
  return random.next() < (workload.late ?? 0) ? now - 10 * (1 + random.below(30)) : now;
}
