// Where things lie in a kernel's memory. A memory has its full size from the start: pages that nobody touched cost
// nothing, nothing ever moves, and views stay valid.
//
// M1. Regions begin at a multiple of 64 bytes and have as many unused bytes around them: the kernel reads whole vectors.
// M2. Places never move while the memory lives.

export const paddingBytes = 64;
const pageBytes = 65_536;
const pagesMost = 65_536;

/** A piece of the memory. */
export interface Region {
  readonly at: number;
  readonly bytes: number;
}

/** Lays regions one behind the other. */
export class Layout {
  #next = paddingBytes;

  add(bytes: number): Region {
    const at = this.#next;
    this.#next = Math.ceil((at + bytes + paddingBytes) / paddingBytes) * paddingBytes;
    return { at, bytes };
  }

  /** Whether all of it can be addressed. */
  get fits(): boolean {
    return this.#pages <= pagesMost;
  }

  memory(): WebAssembly.Memory {
    if (!this.fits) throw new RangeError(`a kernel's memory has at most 4 GB, not ${this.#next} bytes`);
    try {
      return new WebAssembly.Memory({ initial: this.#pages, maximum: this.#pages });
    } catch (cause) {
      // It is address space, not memory, that is taken here; strict accounting (vm.overcommit_memory=2) counts it all.
      const megabytes = Math.ceil((this.#pages * pageBytes) / 1e6);
      throw new RangeError(`the system gives no ${megabytes} MB of address space for a kernel`, { cause });
    }
  }

  get #pages(): number {
    return Math.ceil(this.#next / pageBytes);
  }
}

/** Of kernel/rows.ts: columns of lines that were read. */
export const rowsMost = 1024;
export const rowsBytes = 45 * rowsMost;

export interface RowViews {
  readonly value: Float64Array;
  readonly seconds: Float64Array;
  readonly from: Int32Array;
  readonly nameTo: Int32Array;
  readonly to: Int32Array;
  readonly keyFrom: Int32Array;
  readonly keyTo: Int32Array;
  readonly reason: Uint8Array;
}

export function rowViews(buffer: ArrayBuffer, { at }: Region): RowViews {
  return {
    value: new Float64Array(buffer, at, rowsMost),
    seconds: new Float64Array(buffer, at + 8 * rowsMost, rowsMost),
    from: new Int32Array(buffer, at + 16 * rowsMost, rowsMost),
    nameTo: new Int32Array(buffer, at + 20 * rowsMost, rowsMost),
    to: new Int32Array(buffer, at + 24 * rowsMost, rowsMost),
    keyFrom: new Int32Array(buffer, at + 28 * rowsMost, rowsMost),
    keyTo: new Int32Array(buffer, at + 32 * rowsMost, rowsMost),
    reason: new Uint8Array(buffer, at + 44 * rowsMost, rowsMost),
  };
}
