// The gateway's half of the kernel (kernel/route.ts): the rows of plain-router.ts, its twin and oracle, and runs beside
// them. One serves all connections of a thread.
import { createKernel, type Kernel } from "./instance.ts";
import type { RoutedLines, RouteOptions, Router } from "./kernel.ts";
import { Layout, rowViews, type Region } from "./layout.ts";

/** More than a socket hands over at once, with the beginning of a line in front of it. */
const inputBytes = 128 << 10;
/** Where the input's last line has no end, its copy has one. */
const outputBytes = inputBytes + 1;
const runsMost = 1024;
const runsBytes = 36 * runsMost;

export function createKernelRouter(): Router {
  return new KernelRouter();
}

class KernelRouter implements Router {
  readonly lines: RoutedLines;
  readonly #kernel: Kernel;
  readonly #input: Region;

  constructor() {
    const layout = new Layout();
    this.#input = layout.add(inputBytes);
    const output = layout.add(outputBytes);
    const runs = layout.add(runsBytes);
    this.#kernel = createKernel(layout);
    const { buffer, bytes, exports, rows } = this.#kernel;
    exports.configureRoute(runs.at, output.at);
    const column = (n: number) => new Int32Array(buffer, runs.at + (16 + 4 * n) * runsMost, runsMost);
    this.lines = {
      count: 0,
      consumed: 0,
      skipping: false,
      ...rowViews(buffer, rows),
      runs: {
        count: 0,
        leastSeconds: new Float64Array(buffer, runs.at, runsMost),
        mostSeconds: new Float64Array(buffer, runs.at + 8 * runsMost, runsMost),
        firstRow: column(0),
        rows: column(1),
        textFrom: column(2),
        textTo: column(3),
        longestName: column(4),
        text: bytes.subarray(output.at, output.at + output.bytes),
      },
    };
  }

  route(bytes: Uint8Array, from: number, to: number, options: RouteOptions): void {
    const { exports, bytes: memory } = this.#kernel;
    const { at } = this.#input;
    const { lines } = this;
    const part = Math.min(to, from + inputBytes);
    memory.set(bytes.subarray(from, part), at);
    const isLast = options.last && part === to;
    const shift = at - from;
    const end = exports.route(
      at,
      at + part - from,
      options.keyed ? 1 : 0,
      isLast ? 1 : 0,
      options.skipping === true ? 1 : 0,
      shift,
    );
    lines.consumed = end - shift;
    lines.count = exports.routedRows();
    lines.skipping = exports.routedSkipping() !== 0;
    if (lines.runs !== undefined) lines.runs.count = exports.routedRuns();
    if (lines.skipping && part < to) this.#skipOn(bytes, part, to, options.last);
  }

  /** The line that is too long goes on behind what fitted the input region. */
  #skipOn(bytes: Uint8Array, from: number, to: number, last: boolean): void {
    const end = bytes.indexOf(0x0a, from);
    const isOver = end >= 0 && end < to;
    this.lines.consumed = isOver ? end + 1 : to;
    this.lines.skipping = !isOver && !last;
  }
}
