// The bus that tests drive: the same contract as nats.ts on a record in memory, with the faults of the world as calls.
// Deterministic: it does its work in microtasks, in the order it was asked, and knows no timers.
//
// M1. Several connections may share one broker (`another`), each is disconnected on its own.
// M2. A lost ack or a lost frame is answered with bus-timeout at once: the wait itself teaches a test nothing.
import type { Clock } from "../base/clock.ts";
import { Outage } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type {
  Bus,
  Journal,
  JournalOptions,
  Kv,
  KvEntry,
  KvOptions,
  KvWatch,
  PublishAck,
  Reader,
  ReaderOptions,
  ReceivedMessage,
  RecordedFrame,
  StreamOptions,
  StreamState,
} from "./bus.ts";
import { MemoryJournal } from "./memory-journal.ts";
import { MemoryReader } from "./memory-reader.ts";
import { MemoryBucket, MemoryStream } from "./memory-record.ts";
import { streamName } from "./subjects.ts";
import { tell } from "./tell.ts";

/** What becomes of one publish. lose-ack: recorded, and answered with bus-timeout. lose-frame: not even recorded. */
export type PublishFault = "none" | "lose-ack" | "lose-frame" | "stream-full" | "bus-unavailable";

export interface MemoryFaults {
  /** Asked for each publish; a test draws from its own seeded source. */
  onPublish?(shard: number, messageId: string): PublishFault;
}

export interface MemoryOptions {
  clock: Clock;
  random: Random;
  faults?: MemoryFaults;
}

interface Service {
  answer(payload: Uint8Array): Promise<Uint8Array> | Uint8Array;
}

interface Listener {
  subject: string;
  /** undefined: each listener hears all. */
  queue: string | undefined;
  onMessage(message: ReceivedMessage): void;
}

/** What all connections share. */
class Broker {
  readonly streams = new Map<number, MemoryStream>();
  readonly buckets = new Map<string, MemoryBucket>();
  readonly journals = new Map<string, MemoryJournal>();
  readonly services = new Map<string, Set<Service>>();
  readonly listeners = new Set<Listener>();
  /** Told after a stream changed: readers look again. */
  readonly onStream = new Set<(shard: number) => void>();
}

export function createMemoryBus(options: MemoryOptions): MemoryBus {
  return new MemoryBus(options, new Broker());
}

export class MemoryBus implements Bus {
  readonly #options: MemoryOptions;
  readonly #broker: Broker;
  readonly #onConnection = new Set<(connected: boolean) => void>();
  /** What ends with the connection: readers, watches, services, publishes on their way. */
  readonly #onLost = new Set<(why: Outage) => void>();
  #connected = true;
  #closed = false;

  constructor(options: MemoryOptions, broker: Broker) {
    this.#options = options;
    this.#broker = broker;
  }

  /** A further connection to the same broker. */
  another(faults: MemoryFaults = {}): MemoryBus {
    return new MemoryBus({ ...this.#options, faults }, this.#broker);
  }

  // --- The faults of the world.

  disconnect(): void {
    if (!this.#connected) return;
    this.#connected = false;
    tell(this.#onConnection, false);
    const lost = [...this.#onLost];
    this.#onLost.clear();
    tell(lost, new Outage("bus-unavailable", "connection lost"));
  }

  reconnect(): void {
    if (this.#connected || this.#closed) return;
    this.#connected = true;
    tell(this.#onConnection, true);
  }

  /** The stream is gone; readers end. The next ensureStream makes another incarnation. */
  wipeStream(shard: number): void {
    this.#broker.streams.delete(shard);
    tell(this.#broker.onStream, shard);
  }

  /** The same incarnation as it was at `sequence`, as after a restored backup; readers end. */
  rewindStream(shard: number, sequence: number): void {
    const stream = this.#stream(shard);
    this.#broker.streams.delete(shard);
    tell(this.#broker.onStream, shard);
    stream.rewind(sequence);
    this.#broker.streams.set(shard, stream);
  }

  /** Frames that the broker lost, in the middle. */
  loseFrames(shard: number, sequences: readonly number[]): void {
    this.#stream(shard).remove(sequences);
  }

  /** The bucket is empty, without a change having been told: watchers learn at their next snapshot. */
  wipeBucket(bucket: string): void {
    this.#broker.buckets.get(bucket)?.wipe();
  }

  // --- The bus.

  get connected(): boolean {
    return this.#connected;
  }

  onConnection(callback: (connected: boolean) => void): () => void {
    this.#onConnection.add(callback);
    return () => this.#onConnection.delete(callback);
  }

  ensureStream(shard: number, caps: StreamOptions): Promise<StreamState> {
    return this.#call(() => {
      let stream = this.#broker.streams.get(shard);
      if (stream === undefined) {
        stream = new MemoryStream(shard, this.#options.clock, this.#options.random, caps.begin);
        this.#broker.streams.set(shard, stream);
      }
      stream.bytesMax = caps.bytesMax;
      stream.duplicateWindowMs = caps.duplicateWindowMs;
      return stream.state();
    });
  }

  streamState(shard: number): Promise<StreamState> {
    return this.#call(() => this.#stream(shard).state());
  }

  /** Whoever still reads it sees that it is gone. */
  release(data: Uint8Array): void {
    data.fill(0xee);
  }

  publish(shard: number, messageId: string, data: Uint8Array): Promise<PublishAck> {
    return this.#call(() => {
      const fault = this.#options.faults?.onPublish?.(shard, messageId) ?? "none";
      const timeout = () => new Outage("bus-timeout", `publish to ${streamName(shard)}: no ack`);
      if (fault === "lose-frame") throw timeout();
      if (fault === "stream-full" || fault === "bus-unavailable")
        throw new Outage(fault, "as the test wished");
      const ack = this.#stream(shard).add(messageId, data);
      tell(this.#broker.onStream, shard);
      if (fault === "lose-ack") throw timeout();
      return ack;
    });
  }

  read(shard: number, fromSequence: number, options: ReaderOptions): Promise<Reader> {
    return this.#call(() => {
      const gone = () => new Outage("bus-unavailable", `${streamName(shard)}: the stream is gone`);
      const reader = new MemoryReader(this.#stream(shard), fromSequence, options, () => {
        this.#onLost.delete(end);
        this.#broker.onStream.delete(look);
      });
      const end = (why: Outage) => reader.end(why);
      const look = (changed: number) => {
        if (changed === shard) reader.look(this.#broker.streams.get(shard), gone);
      };
      this.#onLost.add(end);
      this.#broker.onStream.add(look);
      look(shard);
      return reader;
    });
  }

  frameAt(shard: number, sequence: number): Promise<RecordedFrame | undefined> {
    return this.#call(() => {
      const frame = this.#stream(shard).from(sequence);
      return frame?.sequence === sequence ? { ...frame, data: frame.data.slice() } : undefined;
    });
  }

  trim(shard: number, sequence: number): Promise<void> {
    return this.#call(() => this.#stream(shard).trim(sequence));
  }

  removeFrames(shard: number, sequences: readonly number[]): Promise<void> {
    return this.#call(() => this.#stream(shard).remove(sequences));
  }

  missing(shard: number): Promise<number[]> {
    return this.#call(() => this.#stream(shard).missing());
  }

  kv(bucket: string, options: KvOptions = {}): Promise<Kv> {
    return this.#call(() => {
      const have = this.#broker.buckets.get(bucket) ?? new MemoryBucket(bucket, this.#options.clock, options);
      have.ttlMs = options.ttlMs ?? 0;
      this.#broker.buckets.set(bucket, have);
      return this.#kvOf(have);
    });
  }

  journal(name: string, options: JournalOptions): Promise<Journal> {
    return this.#call(() => {
      const { journals } = this.#broker;
      const have = journals.get(name) ?? new MemoryJournal(options, this.#options.clock);
      have.options = options;
      journals.set(name, have);
      return {
        append: (data) => this.#call(() => have.append(data)),
        last: (most, before = Number.MAX_SAFE_INTEGER) => this.#call(() => have.last(most, before)),
      };
    });
  }

  async ask(
    subject: string,
    payload: Uint8Array,
    _waitMs: number,
    enough: (answer: Uint8Array) => boolean = () => false,
  ): Promise<Uint8Array[]> {
    const services = await this.#call(() => [...(this.#broker.services.get(subject) ?? [])]);
    const answers: Uint8Array[] = [];
    await new Promise<void>((resolve) => {
      const asked = services.map(async (service) => {
        const answer = await service.answer(payload.slice());
        answers.push(answer);
        if (enough(answer)) resolve();
      });
      void Promise.allSettled(asked).then(() => resolve());
    });
    return [...answers];
  }

  serve(subject: string, answer: Service["answer"]): Promise<() => void> {
    return this.#call(() => {
      const services = this.#broker.services.get(subject) ?? new Set<Service>();
      this.#broker.services.set(subject, services);
      const own: Service = { answer };
      services.add(own);
      const stopListening = this.onConnection((connected) => {
        if (connected) services.add(own);
        else services.delete(own);
      });
      return () => {
        stopListening();
        services.delete(own);
      };
    });
  }

  broadcast(subject: string, payload: Uint8Array): void {
    this.send(subject, payload);
  }

  /** As a sender over NATS would: to every listener, and to one of each queue. */
  send(
    subject: string,
    payload: Uint8Array,
    options: { headers?: Record<string, string>; reply?: (data: Uint8Array) => void; replyTo?: string } = {},
  ): void {
    if (!this.#connected) return;
    const queues = new Set<string>();
    const data = payload.slice();
    for (const listener of this.#broker.listeners) {
      if (!matches(listener.subject, subject)) continue;
      if (listener.queue !== undefined && queues.has(listener.queue)) continue;
      if (listener.queue !== undefined) queues.add(listener.queue);
      queueMicrotask(() =>
        listener.onMessage({
          subject,
          data,
          header: (name) => options.headers?.[name],
          reply: options.reply,
          replyTo: options.replyTo,
        }),
      );
    }
  }

  listen(subject: string, onMessage: (payload: Uint8Array) => void): Promise<() => void> {
    return this.#listen({ subject, queue: undefined, onMessage: ({ data }) => onMessage(data) });
  }

  receive(
    subject: string,
    queue: string,
    onMessage: (message: ReceivedMessage) => void,
  ): Promise<() => void> {
    return this.#listen({ subject, queue, onMessage });
  }

  #listen(listener: Listener): Promise<() => void> {
    return this.#call(() => {
      const { listeners } = this.#broker;
      listeners.add(listener);
      const stopListening = this.onConnection((connected) => {
        if (connected) listeners.add(listener);
        else listeners.delete(listener);
      });
      return () => {
        stopListening();
        listeners.delete(listener);
      };
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    this.disconnect();
    return Promise.resolve();
  }

  // --- Inner parts.

  /** Throws stream-missing. */
  #stream(shard: number): MemoryStream {
    const stream = this.#broker.streams.get(shard);
    if (stream === undefined) throw new Outage("stream-missing", `there is no ${streamName(shard)}`);
    return stream;
  }

  /** Does `work` now and answers in a microtask; a disconnection before the answer makes it bus-unavailable (B2). */
  #call<T>(work: () => T): Promise<T> {
    if (!this.#connected) return Promise.reject(new Outage("bus-unavailable", "no connection"));
    return new Promise((resolve, reject) => {
      this.#onLost.add(reject);
      const answer = () => {
        this.#onLost.delete(reject);
        try {
          resolve(work());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      queueMicrotask(() => {
        if (this.#onLost.has(reject)) answer();
      });
    });
  }

  #kvOf(bucket: MemoryBucket): Kv {
    return {
      get: (key) => this.#call(() => bucket.get(key)),
      create: (key, value) => this.#call(() => bucket.put(key, value, 0)),
      update: (key, value, revision) => this.#call(() => bucket.put(key, value, revision)),
      put: (key, value) => this.#call(() => bucket.put(key, value)),
      delete: (key) => this.#call(() => void bucket.put(key, undefined)),
      watch: (handler) => this.#watch(bucket, handler),
    };
  }

  #watch(bucket: MemoryBucket, handler: Parameters<Kv["watch"]>[0]): KvWatch {
    let stopped = false;
    /** undefined: the snapshot has been given. Else what changed before it was. */
    let complete = false;
    const onChange = (entry: KvEntry) => {
      if (complete) queueMicrotask(() => (complete && !stopped ? handler.onChange(entry) : undefined));
    };
    const onLost = () => {
      const was = complete;
      complete = false;
      if (was && !stopped) handler.onLost();
    };
    const begin = () => {
      this.#onLost.add(onLost);
      queueMicrotask(() => {
        if (stopped || !this.#connected || complete) return;
        complete = true;
        handler.onSnapshot(bucket.all());
      });
    };
    const forgetChanges = bucket.onChange(onChange);
    const forgetConnection = this.onConnection((connected) => (connected ? begin() : undefined));
    if (this.#connected) begin();
    return {
      stop: () => {
        stopped = true;
        forgetChanges();
        forgetConnection();
        this.#onLost.delete(onLost);
      },
    };
  }
}

/** Subjects with `*` for a word and a last `>` for one or more. */
function matches(pattern: string, subject: string): boolean {
  const words = subject.split(".");
  const wanted = pattern.split(".");
  if (wanted.at(-1) === ">") {
    wanted.pop();
    return words.length > wanted.length && wanted.every((word, i) => word === "*" || word === words[i]);
  }
  return words.length === wanted.length && wanted.every((word, i) => word === "*" || word === words[i]);
}
