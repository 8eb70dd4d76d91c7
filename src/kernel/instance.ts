// One instance of the compiled kernel (kernel/kernel.ts) in a memory of its own. The module is compiled once a thread.
import { readFileSync } from "node:fs";
import { Layout, rowsBytes, type Region } from "./layout.ts";
import { powersBytes, writePowers } from "./powers.ts";

/** What kernel/kernel.ts exports. Numbers are addresses or counts; a pointer is never negative. */
export interface KernelExports {
  configure(numbers: number, rows: number): void;
}

/** What the kernel asks of us, with addresses in its memory. */
export interface KernelImports {
  /** Number() of the ASCII bytes of a decimal number. */
  slowNumber(from: number, to: number): number;
}

export interface Kernel {
  readonly exports: KernelExports;
  readonly memory: WebAssembly.Memory;
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly rows: Region;
}

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
      ...imports,
    },
  });
  writePowers(new DataView(buffer), numbers.at + shortTablesBytes);
  const exports = instance.exports as unknown as KernelExports;
  exports.configure(numbers.at, rows.at);
  return { exports, memory, buffer, bytes, rows };
}
