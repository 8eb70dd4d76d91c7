// A lane's reader of the record: frames in their order behind a place, queued up to a bound.
//
// E1. What is queued is bounded: beyond it the reader, which is told, is closed until the queue is worked off.
// E2. A frame that does not follow the last one is a hole only where the record says so too.
import { messageOf, Outage } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { Bus, Reader, RecordedFrame } from "../src/bus/bus.ts";

/** E1. */
const queueBytesMax = 32 << 20;

export interface RecordReaderOptions {
  shard: number;
  bus: Bus;
  log: Log;
  /** Frames came, or the reader ended. */
  onNews: () => void;
}

export class RecordReader {
  readonly #options: RecordReaderOptions;
  #reader: Reader | undefined;
  /** Which reader may speak. */
  #opening = 0;
  #queue: RecordedFrame[] = [];
  #queueBytes = 0;
  #ended: Error | undefined;

  constructor(options: RecordReaderOptions) {
    this.#options = options;
  }

  get queue(): readonly RecordedFrame[] {
    return this.#queue;
  }

  get queueBytes(): number {
    return this.#queueBytes;
  }

  /** Why nothing more comes. */
  get ended(): Error | undefined {
    return this.#ended;
  }

  get isOpen(): boolean {
    return this.#reader !== undefined;
  }

  async open(from: number): Promise<void> {
    const { bus, shard, onNews } = this.#options;
    const opening = ++this.#opening;
    const reader = await bus.read(shard, from, {
      onFrame: (frame) => {
        // A closed reader may still hand over what was on its way: the next one brings it again.
        if (opening !== this.#opening) return;
        this.#queue.push(frame);
        this.#queueBytes += frame.data.length;
        if (this.#queueBytes > queueBytesMax) this.close();
        onNews();
      },
      waitingBytes: () => this.#queueBytes,
      onEnd: (error) => {
        if (opening !== this.#opening) return;
        this.#ended ??= error instanceof Outage ? error : new Outage("bus-unavailable", messageOf(error));
        onNews();
      },
    });
    // It may have filled the queue before it was even in our hands.
    if (opening === this.#opening) this.#reader = reader;
    else this.#close(reader);
  }

  /** The frame was worked off; it is still in the queue. Its bytes may be used again. */
  release({ data }: RecordedFrame): void {
    this.#queueBytes -= data.length;
    this.#options.bus.release(data);
  }

  /** So many released ones leave the queue. */
  taken(count: number): void {
    if (count === 0) return;
    this.#queue = this.#queue.slice(count);
    this.#reader?.more?.();
  }

  close(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    this.#opening++;
    if (reader !== undefined) this.#close(reader);
  }

  /** Nobody waits for it: nothing depends on when, or whether, the other side hears of it. */
  #close(reader: Reader): void {
    const { log, shard } = this.#options;
    reader
      .close()
      .catch((error: unknown) => log.warn({ shard, why: messageOf(error) }, "closing a reader failed"));
  }
}

/** E2. The record has none of [from, to]: if it still has one of them, reading starts over. */
export async function confirmMissing(bus: Bus, shard: number, from: number, to: number): Promise<void> {
  // What lies before the record's first frame is gone at once, however many that are: only the rest is asked for.
  const { firstSequence } = await bus.streamState(shard);
  for (let missing = Math.max(from, firstSequence); missing <= to; missing++)
    if ((await bus.frameAt(shard, missing)) !== undefined)
      throw new Outage("bus-unavailable", `the reader passed over frame ${missing}, which the record has`);
}
