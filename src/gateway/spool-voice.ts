// What a shard's spool counts and says: each change of its state once, in numbers and in the log.
import type { Cell } from "../base/counters.ts";
import { messageOf } from "../base/errors.ts";
import type { SpoolOptions } from "./spool.ts";

export class SpoolVoice {
  readonly bytes: Cell;
  readonly frames: Cell;
  readonly written: Cell;
  readonly forwarded: Cell;
  readonly #oldest: Cell;
  readonly #errors: Cell;
  readonly #options: SpoolOptions;
  #oldestMs = 0;
  #failed = false;
  isFull = false;

  constructor(options: SpoolOptions) {
    const { counters, shard } = options;
    this.#options = options;
    const gauge = (name: string, help: string) => counters.gauge(`gateway_spool_${name}`, help, { shard });
    const counter = (name: string, help: string) =>
      counters.counter(`gateway_spool_${name}`, help, { shard });
    this.bytes = gauge("bytes", "Bytes in the spool");
    this.frames = gauge("frames", "Frames that this process spooled and the record does not have");
    this.#oldest = gauge("oldest_seconds", "When the oldest spooled frame was received, epoch; 0: none");
    this.written = counter("frames_total", "Frames put into the spool");
    this.forwarded = counter("forwarded_total", "Frames of the spool that the record took");
    this.#errors = counter("errors_total", "Failures of the spool's disk");
  }

  get oldestMs(): number {
    return this.#oldestMs;
  }

  set oldestMs(ms: number) {
    this.#oldestMs = ms;
    this.#oldest.value = Math.floor(ms / 1000);
  }

  leftBehind(bytes: number): void {
    this.#options.log.info({ shard: this.#options.shard, bytes }, "spool: an earlier process left frames");
  }

  /** Each failure is counted; said once, until the disk works again. */
  failed(error: unknown): void {
    this.#errors.value++;
    const { shard, folder, log } = this.#options;
    if (!this.#failed)
      log.error({ shard, folder, why: messageOf(error), page: true }, "spool: the disk fails");
    this.#failed = true;
  }

  works(): void {
    if (this.#failed) this.#options.log.info({ shard: this.#options.shard }, "spool: the disk works again");
    this.#failed = false;
  }

  full(bytes: number): void {
    if (this.isFull) return;
    this.isFull = true;
    const { shard, log, bytesMax } = this.#options;
    log.warn({ shard, bytes, bytesMax }, "spool: full, raw doors wait or refuse");
  }

  notFull(): void {
    if (this.isFull) this.#options.log.info({ shard: this.#options.shard }, "spool: there is room again");
    this.isFull = false;
  }

  /** Bytes that hold no whole frame. A torn end is what a crash leaves; anything else is worth a look. */
  lost(why: "torn" | "corrupt" | "unreadable", file: string, from: number, to: number): void {
    const { counters, shard, log } = this.#options;
    const help = "Places of the spool that held no whole frame";
    counters.counter("gateway_spool_dropped_total", help, { shard, why }).value++;
    const fields = { shard, file, from, to, why, page: why !== "torn" };
    log.error(fields, "spool: what lies there can't be forwarded");
  }
}
