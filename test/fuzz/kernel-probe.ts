// The kernel's readers of a single line and a single number (kernel/probe.ts), with bytes of the caller's choice around
// what they read: whatever lies there must never change an answer.
import type { Random } from "../../src/base/random.ts";
import { createKernel, type KernelExports } from "../../src/kernel/instance.ts";
import { Layout, rowViews } from "../../src/kernel/layout.ts";
import { pick } from "./fuzzer.ts";

interface Probes extends KernelExports {
  probeLine(at: number, to: number, keyed: boolean): number;
  probeFlags(): number;
  probeNumber(from: number, to: number): number;
  probedNumber(): number;
}

/** What is set before and behind: more than any vector reads. */
const aroundBytes = 192;
const inputBytes = 1 << 22;

export interface ProbedLine {
  blank: boolean;
  finished: boolean;
  /** Offsets are into the bytes that were handed in. */
  end: number;
  reason: number;
  keyFrom: number;
  keyTo: number;
  from: number;
  nameTo: number;
  to: number;
  value: number;
  seconds: number;
}

const layout = new Layout();
const input = layout.add(inputBytes);
const { exports, bytes: memory, buffer, rows: rowsAt } = createKernel(layout);
const probes = exports as Probes;
const rows = rowViews(buffer, rowsAt);

/** Bytes at a place of their own with hostile ones around them; answers the place. */
function place(bytes: Uint8Array, random: Random): number {
  const at = input.at + aroundBytes + random.below(64);
  surround(random, at - aroundBytes, at);
  surround(random, at + bytes.length, at + bytes.length + aroundBytes);
  memory.set(bytes, at);
  return at;
}

/** Words that would be right where they don't belong, or noise. */
function surround(random: Random, from: number, to: number): void {
  const pattern = pick(random, [
    "0",
    "9",
    "\n",
    " ",
    ".",
    "-",
    "e",
    "\xff",
    "\0",
    " 1 1790000000\n",
    "1790000000\n",
    "a.b 1",
    "",
  ]);
  for (let at = from; at < to; at++)
    memory[at] = pattern === "" ? random.below(256) : pattern.charCodeAt((at - from) % pattern.length);
}

/** The line that starts at bytes[from] and ends before `\n` or at `to`. */
export function probeLine(
  bytes: Uint8Array,
  from: number,
  to: number,
  keyed: boolean,
  random: Random,
): ProbedLine {
  const at = place(bytes.subarray(from, to), random);
  const end = probes.probeLine(at, at + to - from, keyed);
  const flags = probes.probeFlags();
  const offset = (column: Int32Array) => (column[0] ?? 0) - at + from;
  return {
    blank: (flags & 1) !== 0,
    finished: (flags & 2) !== 0,
    end: end - at + from,
    reason: rows.reason[0] ?? 0,
    keyFrom: offset(rows.keyFrom),
    keyTo: offset(rows.keyTo),
    from: offset(rows.from),
    nameTo: offset(rows.nameTo),
    to: offset(rows.to),
    value: rows.value[0] ?? 0,
    seconds: rows.seconds[0] ?? 0,
  };
}

/** Code, and the number where it is finite. */
export function probeNumber(bytes: Uint8Array, random: Random): { code: number; value: number } {
  const at = place(bytes, random);
  const code = probes.probeNumber(at, at + bytes.length);
  return { code, value: code === 0 ? probes.probedNumber() : Number.NaN };
}
