// A reader of the memory bus: gives frames in microtasks, ends when its stream or its connection does.
import type { Outage } from "../base/errors.ts";
import type { Reader, ReaderOptions } from "./bus.ts";
import type { MemoryStream } from "./memory-record.ts";

export class MemoryReader implements Reader {
  readonly #stream: MemoryStream;
  readonly #options: ReaderOptions;
  readonly #forget: () => void;
  #next: number;
  #open = true;
  #scheduled = false;

  /** `forget` takes this reader out of whoever calls `look` and `end`. */
  constructor(stream: MemoryStream, fromSequence: number, options: ReaderOptions, forget: () => void) {
    this.#stream = stream;
    this.#next = fromSequence;
    this.#options = options;
    this.#forget = forget;
  }

  /** There may be something new. `present`: the stream as it is now; another one, or none, ends the reader. */
  look(present: MemoryStream | undefined, gone: () => Outage): void {
    if (!this.#open) return;
    if (present !== this.#stream) return this.end(gone());
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#pump());
  }

  end(why: Error): void {
    if (!this.#open) return;
    this.#stop();
    this.#options.onEnd(why);
  }

  close(): Promise<void> {
    this.#stop();
    return Promise.resolve();
  }

  #stop(): void {
    this.#open = false;
    this.#forget();
  }

  #pump(): void {
    this.#scheduled = false;
    try {
      while (this.#open) {
        const frame = this.#stream.from(this.#next);
        if (frame === undefined) return;
        this.#next = frame.sequence + 1;
        this.#options.onFrame({ ...frame, data: frame.data.slice() });
      }
    } catch (error) {
      this.end(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
