// Publishing into the record: core publishes whose acknowledgements all come to one inbox subscription, and a map of
// who waits for which. Much cheaper per frame than a request each.
//
//   publish(frame) ──► millrace.in.3, reply inbox.<slot> ──► stream ──► inbox.<slot> ──► the promise of that slot
//
// A1. Each publish settles once: by its ack, an error answer, the sweep after 5 s, or the end of the life.
// A2. Slots are never used twice, so a late ack finds nobody.
// A3. At most 65,536 wait at a time; more is refused as bus-unavailable.
import { createInbox, headers, type Msg } from "nats";
import type { Clock } from "../base/clock.ts";
import { messageOf, Outage } from "../base/errors.ts";
import type { PublishAck } from "./bus.ts";
import { outageOfApi, ownError } from "./nats-errors.ts";
import type { Life } from "./nats-life.ts";
import { streamName, streamSubject } from "./subjects.ts";

const waitingMax = 65_536;
const ackTimeoutMs = 5_000;
const sweepMs = 500;

interface Slot {
  stream: string;
  deadlineMs: number;
  resolve(ack: PublishAck): void;
  reject(why: Error): void;
}

export class Acks {
  readonly #life: Life;
  readonly #clock: Clock;
  readonly #prefix = `${createInbox()}.`;
  /** In the order of the deadlines: each waits equally long. */
  readonly #slots = new Map<number, Slot>();
  #nextSlot = 1;
  #cancelSweep: (() => void) | undefined;

  constructor(life: Life, clock: Clock) {
    this.#life = life;
    this.#clock = clock;
    life.nc.subscribe(`${this.#prefix}*`, {
      callback: (error, message) => this.#onAnswer(error, message),
    });
    life.onLost((why) => this.#failAll(why));
  }

  /** `data` is not copied (bus.ts). Rejects with an Outage; never tries twice (B1). */
  publish(shard: number, messageId: string, data: Uint8Array): Promise<PublishAck> {
    if (this.#life.lost !== undefined) return Promise.reject(this.#life.lost);
    if (this.#slots.size >= waitingMax)
      return Promise.reject(new Outage("bus-unavailable", `${waitingMax} frames wait for their ack already`));
    const slot = this.#nextSlot++;
    return new Promise((resolve, reject) => {
      const stream = streamName(shard);
      const deadlineMs = this.#clock.monotonicMs() + ackTimeoutMs;
      this.#slots.set(slot, { stream, deadlineMs, resolve, reject });
      const head = headers();
      head.set("Nats-Msg-Id", messageId);
      try {
        const reply = this.#prefix + slot;
        this.#life.nc.publish(streamSubject(shard), data, { reply, headers: head });
      } catch (error) {
        this.#slots.delete(slot);
        reject(ownError(`publish to ${stream}`, error));
        return;
      }
      this.#cancelSweep ??= this.#clock.after(sweepMs, () => this.#sweep());
    });
  }

  #onAnswer(error: Error | null, message: Msg): void {
    if (error !== null) {
      this.#life.lose(`acknowledgements can't be received: ${error.message}`);
      return;
    }
    const number = Number(message.subject.slice(this.#prefix.length));
    const slot = this.#slots.get(number);
    if (slot === undefined) return; // A2
    this.#slots.delete(number);
    const answer = judgeAnswer(slot.stream, message);
    if (answer instanceof Error) slot.reject(answer);
    else slot.resolve(answer);
  }

  #sweep(): void {
    this.#cancelSweep = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (const [number, slot] of this.#slots) {
      if (slot.deadlineMs > nowMs) break;
      this.#slots.delete(number);
      slot.reject(new Outage("bus-timeout", `publish to ${slot.stream}: no ack within ${ackTimeoutMs} ms`));
    }
    if (this.#slots.size > 0) this.#cancelSweep = this.#clock.after(sweepMs, () => this.#sweep());
  }

  #failAll(why: Outage): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    const slots = [...this.#slots.values()];
    this.#slots.clear();
    for (const slot of slots) slot.reject(why);
  }
}

function judgeAnswer(stream: string, message: Msg): PublishAck | Error {
  const doing = `publish to ${stream}`;
  if (message.data.length === 0) {
    if (message.headers?.code === 503)
      return new Outage("stream-missing", `${doing}: no stream takes it (not made yet, or without a leader)`);
    return new Outage("bus-unavailable", `${doing}: an empty answer`);
  }
  let answer: AckJson;
  try {
    answer = message.json<AckJson>();
  } catch (error) {
    return new Outage("bus-unavailable", `${doing}: an answer that is no JSON: ${messageOf(error)}`);
  }
  if (answer.error !== undefined)
    return outageOfApi(doing, answer.error.err_code ?? 0, answer.error.description ?? "refused");
  if (answer.stream !== stream || typeof answer.seq !== "number" || answer.seq < 1)
    return new Outage("bus-unavailable", `${doing}: taken by the stream ${answer.stream ?? "?"} instead`);
  return { sequence: answer.seq, duplicate: answer.duplicate === true };
}

interface AckJson {
  stream?: string;
  seq?: number;
  duplicate?: boolean;
  error?: { code?: number; err_code?: number; description?: string };
}
