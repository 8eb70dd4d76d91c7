// The real bus: NATS JetStream. This file only puts the pieces together:
// nats-link.ts (being connected), nats-life.ts (one life of a connection), nats-acks.ts (publishing),
// nats-streams.ts (the record's streams), nats-feed.ts (reading), nats-kv.ts (buckets), nats-journal.ts (journals),
// nats-ask.ts (questions).
import { DeliverPolicy } from "@nats-io/jetstream";
import { assert } from "../base/assert.ts";
import { Outage } from "../base/errors.ts";
import type {
  Bus,
  Journal,
  JournalOptions,
  Kv,
  KvOptions,
  PublishAck,
  Reader,
  ReaderOptions,
  ReceivedMessage,
  RecordedFrame,
  StreamOptions,
  StreamState,
} from "./bus.ts";
import { Acks } from "./nats-acks.ts";
import { ask, receive, serve } from "./nats-ask.ts";
import { openFeed } from "./nats-feed.ts";
import { NatsJournal } from "./nats-journal.ts";
import { NatsKv } from "./nats-kv.ts";
import { Link, type LinkOptions } from "./nats-link.ts";
import { ensureStream, frameAt, missing, removeFrames, streamState, trim } from "./nats-streams.ts";
import { streamName } from "./subjects.ts";

export type NatsOptions = LinkOptions;

/**
 * Settles with the first connection, however long that takes (`onWaiting` says so once). Rejects with
 * server-too-old or settings-invalid, or with bus-unavailable when `signal` ends the wait.
 */
export async function connectNats(options: NatsOptions): Promise<Bus> {
  return new NatsBus(options, await Link.open(options));
}

class NatsBus implements Bus {
  readonly #options: NatsOptions;
  readonly #link: Link;
  #acks: Acks | undefined;

  constructor(options: NatsOptions, link: Link) {
    this.#options = options;
    this.#link = link;
    link.onLife((life) => {
      this.#acks = new Acks(life, options.clock);
    });
  }

  get connected(): boolean {
    return this.#link.connected;
  }

  onConnection(callback: (connected: boolean) => void): () => void {
    return this.#link.onConnection(callback);
  }

  async ensureStream(shard: number, caps: StreamOptions): Promise<StreamState> {
    return ensureStream(this.#link.life, this.#options.random, shard, caps);
  }

  async streamState(shard: number): Promise<StreamState> {
    return streamState(this.#link.life, shard);
  }

  publish(shard: number, messageId: string, data: Uint8Array): Promise<PublishAck> {
    if (this.#acks === undefined || !this.#link.connected)
      return Promise.reject(new Outage("bus-unavailable", "no connection to NATS"));
    return this.#acks.publish(shard, messageId, data);
  }

  release(data: Uint8Array): void {
    this.#link.buffers.give(data);
  }

  async read(shard: number, fromSequence: number, options: ReaderOptions): Promise<Reader> {
    assert(Number.isSafeInteger(fromSequence) && fromSequence >= 1, "sequences start at 1");
    return openFeed(this.#link.life, {
      stream: streamName(shard),
      start: { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: fromSequence },
      clock: this.#options.clock,
      onMessage: ({ sequence, timeMs, data }) => options.onFrame({ sequence, timeMs, data }),
      onEnd: (error) => options.onEnd(error),
      ...(options.waitingBytes && { waitingBytes: options.waitingBytes }),
    });
  }

  async frameAt(shard: number, sequence: number): Promise<RecordedFrame | undefined> {
    return frameAt(this.#link.life, shard, sequence);
  }

  async trim(shard: number, sequence: number): Promise<void> {
    await trim(this.#link.life, shard, sequence);
  }

  async removeFrames(shard: number, sequences: readonly number[]): Promise<void> {
    await removeFrames(this.#link.life, shard, sequences);
  }

  async missing(shard: number): Promise<number[]> {
    return missing(this.#link.life, shard);
  }

  async kv(bucket: string, options: KvOptions = {}): Promise<Kv> {
    const kv = new NatsKv(bucket, options, { link: this.#link, ...this.#options });
    await kv.open();
    return kv;
  }

  async journal(name: string, options: JournalOptions): Promise<Journal> {
    const journal = new NatsJournal(name, options, this.#link);
    await journal.open();
    return journal;
  }

  async ask(
    subject: string,
    payload: Uint8Array,
    waitMs: number,
    enough?: (answer: Uint8Array) => boolean,
  ): Promise<Uint8Array[]> {
    return ask(this.#link.life, this.#options.clock, subject, payload, waitMs, enough);
  }

  serve(
    subject: string,
    answer: (payload: Uint8Array) => Promise<Uint8Array> | Uint8Array,
  ): Promise<() => void> {
    return serve(this.#link, subject, answer, this.#options);
  }

  broadcast(subject: string, payload: Uint8Array): void {
    if (this.#link.connected) this.#link.life.nc.publish(subject, payload);
  }

  listen(subject: string, onMessage: (payload: Uint8Array) => void): Promise<() => void> {
    return receive(this.#link, subject, undefined, ({ data }) => onMessage(data));
  }

  receive(
    subject: string,
    queue: string,
    onMessage: (message: ReceivedMessage) => void,
  ): Promise<() => void> {
    return receive(this.#link, subject, queue, onMessage);
  }

  close(): Promise<void> {
    return this.#link.close();
  }
}
