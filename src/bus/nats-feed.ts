// Messages of a stream in order, by an own short-lived pull consumer. The library's ordered consumer would heal itself:
// what it does then (wait half a minute, start elsewhere, go on with another incarnation of the stream) is hidden.
// Here whatever is not plain delivery ends the feed, and whoever needs it opens a new one at the place it knows.
//
// F1. Deliveries are counted by the server: one that is missing ends the feed before a later message is given.
// F2. `onEnd` comes once, unless the feed was closed before; nothing comes after it.
// F3. Asked for and not yet given, and what its user says that waits there: about 16 MB together. The count asked for
//     follows the size of recent messages.
import { AckPolicy, ReplayPolicy, type ConsumerConfig, type ConsumerInfo } from "@nats-io/jetstream";
import { createInbox, nanos, type Msg, type Subscription } from "nats";
import type { Clock } from "../base/clock.ts";
import { messageOf, Outage } from "../base/errors.ts";
import type { Life } from "./nats-life.ts";
import { tell } from "./tell.ts";

export interface FeedMessage {
  subject: string;
  /** The stream's sequence. */
  sequence: number;
  /** When the broker recorded it, ms since the epoch. */
  timeMs: number;
  /** How many more the server had when it sent this one. */
  pending: number;
  /** What a bucket's message does when it does not put: the header KV-Operation, "MARKER" for the server's own, or "". */
  operation: string;
  data: Uint8Array;
}

export interface FeedOptions {
  stream: string;
  start: Pick<ConsumerConfig, "deliver_policy"> &
    Partial<Pick<ConsumerConfig, "opt_start_seq" | "filter_subject">>;
  clock: Clock;
  /** What throws in here ends the feed with that error. */
  onMessage(message: FeedMessage): void;
  /** Bytes that were given and wait to be worked off. When they get less, say `more`. */
  waitingBytes?: () => number;
  /** Everything there was has been given, and the server says that it waits. Comes again and again. */
  onIdle?(): void;
  onEnd(error: Error): void;
}

const inFlightBytes = 16 * 1024 * 1024;
const inFlightMost = 256;
const inFlightLeast = 4;
/** Until sizes are known, frames count as large as they get. */
const firstSizeGuess = 1024 * 1024;
const heartbeatMs = 2_000;
const pullExpiresMs = 30_000;
/** The server forgets a consumer that nobody asks this long. */
const forgottenAfterMs = 20_000;

/** Rejects with stream-missing, bus-unavailable or bus-timeout; settled, messages begin to come. */
export async function openFeed(life: Life, options: FeedOptions): Promise<Feed> {
  const info = await life.call(`read ${options.stream}`, () =>
    life.jsm.consumers.add(options.stream, {
      ...options.start,
      ack_policy: AckPolicy.None,
      replay_policy: ReplayPolicy.Instant,
      inactive_threshold: nanos(forgottenAfterMs),
      mem_storage: true,
      num_replicas: 1,
    }),
  );
  return new Feed(life, info, options);
}

export class Feed {
  /** How many messages there were for this feed when it was opened. */
  readonly pendingAtStart: number;
  readonly #life: Life;
  readonly #options: FeedOptions;
  readonly #consumer: string;
  readonly #inbox = createInbox();
  readonly #subscription: Subscription;
  readonly #forgetLost: () => void;
  #cancelWatch: () => void;
  #asked = 0;
  #delivered = 0;
  #sizeGuess = firstSizeGuess;
  #heardMs: number;
  #ended = false;

  constructor(life: Life, info: ConsumerInfo, options: FeedOptions) {
    this.#life = life;
    this.#options = options;
    this.#consumer = info.name;
    this.pendingAtStart = info.num_pending;
    this.#heardMs = options.clock.monotonicMs();
    this.#forgetLost = life.onLost((why) => this.#end(why));
    this.#cancelWatch = this.#watchSoon();
    this.#subscription = life.nc.subscribe(this.#inbox, {
      callback: (error, message) => this.#receive(error, message),
    });
    // Also when the life was lost between the consumer's answer and here.
    queueMicrotask(() => (life.lost === undefined ? this.#ask() : this.#end(life.lost)));
  }

  /** Nothing is given after this call; settled, the server's side is gone as well, as far as can be known. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#stop();
    await this.#deleteConsumer();
  }

  /** What waited was worked off. */
  more(): void {
    this.#ask();
  }

  #receive(error: Error | null, message: Msg): void {
    if (this.#ended) return;
    try {
      if (error !== null) throw new Outage("bus-unavailable", error.message);
      this.#heardMs = this.#options.clock.monotonicMs();
      if (message.reply?.startsWith("$JS.ACK.")) this.#deliver(message, message.reply);
      else this.#status(message);
      this.#ask();
    } catch (thrown) {
      this.#end(thrown instanceof Error ? thrown : new Error(messageOf(thrown)));
    }
  }

  #deliver(message: Msg, reply: string): void {
    const info = parseDelivery(reply);
    if (info.delivery !== this.#delivered + 1)
      throw new Outage("bus-unavailable", `delivery ${info.delivery} came after ${this.#delivered}`); // F1
    this.#delivered = info.delivery;
    this.#asked -= 1;
    this.#sizeGuess = Math.max(message.data.length, this.#sizeGuess * 0.99);
    this.#options.onMessage({
      subject: message.subject,
      sequence: info.sequence,
      timeMs: info.timeMs,
      pending: info.pending,
      operation: operationOf(message),
      data: message.data,
    });
  }

  #status(message: Msg): void {
    const code = message.headers?.code ?? 0;
    const text = message.headers?.description ?? "";
    if (code === 100) {
      const sent = Number(message.headers?.get("Nats-Last-Consumer") ?? "");
      if (sent > this.#delivered)
        throw new Outage("bus-unavailable", `the server sent ${sent} messages, ${this.#delivered} came`); // F1
      this.#options.onIdle?.();
    } else if (code === 408 && message.headers?.has("Nats-Pending-Messages")) {
      // A pull that has waited long enough; it is renewed.
      this.#asked -= Number(message.headers.get("Nats-Pending-Messages"));
    } else {
      throw new Outage(
        "bus-unavailable",
        `${this.#options.stream}: the server ended the reading: ${code} ${text}`,
      );
    }
  }

  #ask(): void {
    if (this.#ended) return;
    const room = inFlightBytes - (this.#options.waitingBytes?.() ?? 0);
    const wanted = Math.floor(room / Math.max(1, this.#sizeGuess));
    const bounded = room > 0 ? Math.min(inFlightMost, Math.max(inFlightLeast, wanted)) : 0;
    if (this.#asked > bounded * 0.75 || bounded === 0) return;
    const batch = bounded - Math.max(0, this.#asked);
    const pull = { batch, expires: nanos(pullExpiresMs), idle_heartbeat: nanos(heartbeatMs) };
    this.#asked = Math.max(0, this.#asked) + batch;
    this.#life.nc.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${this.#options.stream}.${this.#consumer}`,
      JSON.stringify(pull),
      { reply: this.#inbox },
    );
  }

  /** Heartbeats that stay out mean that the consumer, its stream or its server is gone. */
  #watchSoon(): () => void {
    const { clock } = this.#options;
    const dueMs = clock.monotonicMs() + heartbeatMs;
    return clock.after(heartbeatMs, () => {
      if (this.#ended) return;
      const nowMs = clock.monotonicMs();
      // When this thread itself was held up, what came meanwhile lies unread in the socket: look again later.
      // Nor does the server send any while nothing is asked of it.
      if (nowMs - dueMs > heartbeatMs || this.#asked <= 0) this.#heardMs = nowMs;
      if (nowMs - this.#heardMs > 3 * heartbeatMs)
        this.#end(new Outage("bus-timeout", `${this.#options.stream}: the server's heartbeats stay out`));
      else this.#cancelWatch = this.#watchSoon();
    });
  }

  #end(error: Error): void {
    if (this.#ended) return;
    this.#stop();
    void this.#deleteConsumer();
    tell([(why: Error) => this.#options.onEnd(why)], error);
  }

  #stop(): void {
    this.#ended = true;
    this.#cancelWatch();
    this.#forgetLost();
    this.#subscription.unsubscribe();
  }

  /** A courtesy: the server would forget it by itself. */
  async #deleteConsumer(): Promise<void> {
    const { stream } = this.#options;
    await this.#life
      .call("close", () => this.#life.jsm.consumers.delete(stream, this.#consumer))
      .catch(() => false);
  }
}

function operationOf(message: Msg): string {
  const { headers } = message;
  if (headers === undefined) return "";
  return headers.get("KV-Operation") || (headers.has("Nats-Marker-Reason") ? "MARKER" : "");
}

/** `$JS.ACK.<stream>.<consumer>.<tries>.<sequence>.<delivery>.<time>.<pending>`; newer servers put two words before the stream. */
export function parseDelivery(reply: string): {
  sequence: number;
  delivery: number;
  timeMs: number;
  pending: number;
} {
  const words = reply.split(".");
  const at = words.length === 9 ? 5 : 7;
  const sequence = Number(words[at]);
  const delivery = Number(words[at + 1]);
  // Nanoseconds don't fit a float: the last six digits are cut as text.
  const timeMs = Number(words[at + 2]?.slice(0, -6));
  const pending = Number(words[at + 3]);
  if (![sequence, delivery, timeMs, pending].every(Number.isSafeInteger))
    throw new Outage("bus-unavailable", `the server sent a message as "${reply}"`);
  return { sequence, delivery, timeMs, pending };
}
