// NATS seen through one interface: a record (a stream per shard) and compare-and-set keys. nats.ts is the real one,
// memory.ts the one that tests drive; both pass test/contract/bus.ts.
//
// B1. `publish` settles yes only when the stream has the frame (fsynced, on a quorum). It is never tried twice in
//     here: who owns the frame sends it again, with the same id.
// B2. When the connection is lost, everything in flight fails at once, with bus-unavailable.
// B3. A reader gives frames in the order of their sequences and never skips one by itself; what is missing shows as
//     a jump of the sequence.

export interface PublishAck {
  sequence: number;
  /** The broker had this id in its window: the frame is recorded, once. */
  duplicate: boolean;
}

/** A stream's state. `incarnation` is an id given at creation: a stream made anew has another one. */
export interface StreamState {
  incarnation: string;
  firstSequence: number;
  /** 0 for a stream that never held anything. */
  lastSequence: number;
  messages: number;
  bytes: number;
  bytesMax: number;
}

/** How a stream begins that goes on from a store: as if its earlier frames had been trimmed. */
export interface StreamBegin {
  firstSequence: number;
  incarnation: string;
}

export interface StreamOptions {
  bytesMax: number;
  duplicateWindowMs: number;
  /** Only for a stream that is made now; one that is there stays as it began. */
  begin?: StreamBegin;
}

export interface RecordedFrame {
  sequence: number;
  /** When the broker recorded it, ms since the epoch. */
  timeMs: number;
  data: Uint8Array;
}

export interface ReaderOptions {
  /**
   * Called in order. While it has not returned, nothing more is delivered; bytes in flight are bounded. A frame's `data`
   * stays as it is for as long as anybody holds it, unless it is given back by `release`.
   */
  onFrame(frame: RecordedFrame): void;
  /** Bytes of frames that were given and wait to be worked off: the reader asks for less. Say `more` when they get less. */
  waitingBytes?: () => number;
  /** The reader can't go on (connection, stream gone): open a new one. Called once. */
  onEnd(error: Error): void;
}

export interface Reader {
  /** `waitingBytes` says less than before. */
  more?(): void;
  close(): Promise<void>;
}

export interface KvEntry {
  key: string;
  /** undefined: deleted. */
  value: Uint8Array | undefined;
  revision: number;
}

export interface KvWatch {
  stop(): void;
}

export interface Kv {
  get(key: string): Promise<KvEntry | undefined>;
  /** revision-conflict when the key exists. */
  create(key: string, value: Uint8Array): Promise<number>;
  /** revision-conflict when the key's revision is another. */
  update(key: string, value: Uint8Array, revision: number): Promise<number>;
  put(key: string, value: Uint8Array): Promise<number>;
  delete(key: string): Promise<void>;
  /**
   * First the whole bucket, as one snapshot, then each change. After a lost connection the watch starts over, with a
   * new snapshot: what was deleted meanwhile is missing in it. `onLost` says that changes may be missed from now on.
   */
  watch(handler: {
    onSnapshot(entries: KvEntry[]): void;
    onChange(entry: KvEntry): void;
    onLost(): void;
  }): KvWatch;
}

export interface KvOptions {
  /** Keys vanish this long after their last put: leases and heartbeats. A watch is not told: look at the clock too. */
  ttlMs?: number;
}

export interface JournalOptions {
  /** The oldest entries go, where it would grow beyond this. */
  bytesMax: number;
  keptMs: number;
}

export interface JournalEntry {
  sequence: number;
  /** When the broker took it, ms since the epoch. */
  timeMs: number;
  data: Uint8Array;
}

/** What was done, for people: entries that are only ever added. */
export interface Journal {
  /** Settles when the entry is kept as a frame would be; answers its sequence. After bus-timeout it may be there. */
  append(data: Uint8Array): Promise<number>;
  /** The last ones, newest first: those before the sequence `before`, if it is given. */
  last(most: number, before?: number): Promise<JournalEntry[]>;
}

export interface Bus {
  readonly connected: boolean;
  /** Calls back at each change of `connected`; the answer unsubscribes. */
  onConnection(callback: (connected: boolean) => void): () => void;

  /** Makes the shard's stream, or brings its cap up to date; answers its state. */
  ensureStream(shard: number, options: StreamOptions): Promise<StreamState>;
  /** stream-missing when there is none. */
  streamState(shard: number): Promise<StreamState>;
  /**
   * Not copied: `data` must stay as it is until this settles. After bus-timeout it may still be on its way: it must stay
   * until a later try with the same id got its answer, or the connection was lost.
   */
  publish(shard: number, messageId: string, data: Uint8Array): Promise<PublishAck>;
  /** Whoever got a frame from a reader is done with its `data`: the memory may be used for another. Need not be said. */
  release(data: Uint8Array): void;
  /** From the first frame with a sequence >= `fromSequence`. */
  read(shard: number, fromSequence: number, options: ReaderOptions): Promise<Reader>;
  /** One frame by its sequence, or undefined when the stream does not hold it. */
  frameAt(shard: number, sequence: number): Promise<RecordedFrame | undefined>;
  /** Removes all frames up to and with `sequence`. */
  trim(shard: number, sequence: number): Promise<void>;
  /** Removes these frames and no others; those that are not there are no mistake. */
  removeFrames(shard: number, sequences: readonly number[]): Promise<void>;
  /** Sequences between the stream's first frame and its last that it does not hold, ascending. */
  missing(shard: number): Promise<number[]>;

  /** Opens the bucket, making it if need be. */
  kv(bucket: string, options?: KvOptions): Promise<Kv>;

  /** Opens the journal, making it if need be. */
  journal(name: string, options: JournalOptions): Promise<Journal>;

  /**
   * Ask whoever serves `subject`; all answers that come within `waitMs`, or up to the first that is `enough`. For health,
   * counters and operators, never for data.
   */
  ask(
    subject: string,
    payload: Uint8Array,
    waitMs: number,
    enough?: (answer: Uint8Array) => boolean,
  ): Promise<Uint8Array[]>;
  serve(
    subject: string,
    answer: (payload: Uint8Array) => Promise<Uint8Array> | Uint8Array,
  ): Promise<() => void>;

  /** Tells whoever listens now; nothing is kept, and without a connection nobody hears it. */
  broadcast(subject: string, payload: Uint8Array): void;
  /** Hears broadcasts, our own included, in this connection and in all to come; the answer ends that. */
  listen(subject: string, onMessage: (payload: Uint8Array) => void): Promise<() => void>;
  /**
   * Takes messages of `subject` (wildcards allowed) that others send; members of a `queue` share them. In this
   * connection and in all to come; the answer ends that.
   */
  receive(subject: string, queue: string, onMessage: (message: ReceivedMessage) => void): Promise<() => void>;

  close(): Promise<void>;
}

export interface ReceivedMessage {
  subject: string;
  data: Uint8Array;
  /** A header's first value; undefined where it is missing. */
  header(name: string): string | undefined;
  /**
   * undefined: nobody waits for an answer, or one was asked for elsewhere than in an inbox: a sender must not make us
   * publish where it may not. Answering after the connection was lost does nothing.
   */
  reply: ((data: Uint8Array) => void) | undefined;
  /** Where the answer goes. */
  replyTo: string | undefined;
}
