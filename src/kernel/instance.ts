// One instance of the compiled kernel (kernel/kernel.ts) in a memory of its own. The module is compiled once a thread.
import { readFileSync } from "node:fs";
import { Layout, rowsBytes, type Region } from "./layout.ts";
import { powersBytes, powersOfFive } from "./powers.ts";

/** What kernel/kernel.ts exports. Numbers are addresses or counts; a pointer is never negative. */
export interface KernelExports {
  configure(numbers: number, rows: number): void;
  configureHash(secret: number): void;
  configureNames(
    evenSlots: number,
    oddSlots: number,
    places: number,
    seriesMax: number,
    entries: number,
    entriesBytes: number,
  ): void;
  seriesCount(): number;
  entryBytesUsed(): number;
  findSeries(tenant: number, at: number, length: number): number;
  hasRoomFor(length: number): number;
  addSeries(tenant: number, at: number, length: number): number;
  addAlias(tenant: number, at: number, length: number, series: number): void;
  wasForgotten(series: number): number;
  setForgotten(series: number, is: number): void;
  configureCells(cells: number, cellsMax: number, evenLater: number, oddLater: number): void;
  setReceivedAtMs(ms: number): void;
  cellCount(): number;
  addPoint(series: number, bucket: number, value: number, seconds: number): number;
  preferLast(cell: number, value: number, seconds: number): void;
  configureIngest(stepSeconds: number): void;
  ingest(at: number, to: number, tenant: number, now: number, least: number, most: number): number;
  configureColumns(columns: number, rowsMax: number): void;
  commit(): number;
  configureRoute(runs: number, output: number): void;
  /** Answers the address that it got to. */
  route(at: number, to: number, isKeyed: number, isLast: number, skipping: number, shift: number): number;
  routedRows(): number;
  routedRuns(): number;
  routedSkipping(): number;
  /** For benches. */
  countLines(from: number, to: number): number;
}

/** What the kernel asks of us, with addresses in its memory. */
export interface KernelImports {
  /** Number() of the ASCII bytes of a decimal number. */
  slowNumber(from: number, to: number): number;
  /** The line [from, to) does not count. */
  refuse(reason: number, from: number, to: number): void;
  /** The series of the name at `at`, or a negative number: then the line [from, to) was refused. */
  newName(tenant: number, at: number, length: number, from: number, to: number): number;
}

export interface Kernel {
  readonly exports: KernelExports;
  readonly memory: WebAssembly.Memory;
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly rows: Region;
}

/** For a half of the kernel that never asks it. */
const unasked = (): never => {
  throw new Error("the kernel asks for what its user did not expect");
};
const shortTablesBytes = 640;
const ascii = new TextDecoder("latin1");
let compiled: WebAssembly.Module | undefined;

/** `layout` has the caller's regions already; those of every kernel are added. */
export function createKernel(layout: Layout, imports: Partial<KernelImports> = {}): Kernel {
  const numbers = layout.add(shortTablesBytes + powersBytes);
  const rows = layout.add(rowsBytes);
  const memory = layout.memory();
  const { buffer } = memory;
  const bytes = new Uint8Array(buffer);
  compiled ??= new WebAssembly.Module(readFileSync(new URL("../../kernel/kernel.wasm", import.meta.url)));
  const instance = new WebAssembly.Instance(compiled, {
    env: {
      memory,
      abort: () => {
        throw new Error("the kernel has met a state that can't be");
      },
    },
    millrace: {
      slowNumber: (from: number, to: number) => Number(ascii.decode(bytes.subarray(from, to))),
      refuse: unasked,
      newName: unasked,
      ...imports,
    },
  });
  bytes.set(powersOfFive(), numbers.at + shortTablesBytes);
  const exports = instance.exports as unknown as KernelExports;
  exports.configure(numbers.at, rows.at);
  return { exports, memory, buffer, bytes, rows };
}
