// A journal: a small stream of its own, fsynced as every stream is; its oldest entries go where it would grow too large.
import { DiscardPolicy, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { nanos } from "nats";
import { isOutage, Outage } from "../base/errors.ts";
import type { Journal, JournalEntry, JournalOptions } from "./bus.ts";
import { apiCodes, isApiError } from "./nats-errors.ts";
import type { Life } from "./nats-life.ts";
import type { Link } from "./nats-link.ts";
import { parseTime } from "./nats-streams.ts";
import { journalSubject } from "./subjects.ts";

/** Entries that are asked for at the same time. */
const readAtOnce = 64;

export class NatsJournal implements Journal {
  readonly #name: string;
  readonly #options: JournalOptions;
  readonly #link: Link;

  constructor(name: string, options: JournalOptions, link: Link) {
    this.#name = name;
    this.#options = options;
    this.#link = link;
  }

  /** Makes the stream, or brings its bounds up to date. */
  async open(): Promise<void> {
    const { life } = this.#link;
    const bounds = {
      max_bytes: this.#options.bytesMax,
      max_age: nanos(this.#options.keptMs),
      discard: DiscardPolicy.Old,
      allow_direct: true,
    };
    const made = {
      ...bounds,
      name: this.#name,
      subjects: [journalSubject(this.#name)],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      num_replicas: 1,
    };
    await life.call(`open ${this.#name}`, async () => {
      // Not by adding it first: a server whose space is all reserved refuses that, also where the stream is there.
      try {
        await life.jsm.streams.update(this.#name, bounds);
      } catch (error) {
        if (!isApiError(error, apiCodes.streamNotFound)) throw error;
        await life.jsm.streams.add(made);
      }
    });
  }

  async append(data: Uint8Array): Promise<number> {
    try {
      return await this.#publish(data);
    } catch (error) {
      // Somebody deleted it, or the server was set up anew.
      if (!isOutage(error, "stream-missing") && !isOutage(error, "bus-unavailable")) throw error;
      await this.open();
      return await this.#publish(data);
    }
  }

  async last(most: number, before = Number.MAX_SAFE_INTEGER): Promise<JournalEntry[]> {
    const { life } = this.#link;
    const { state } = await life.call(`state of ${this.#name}`, () => life.jsm.streams.info(this.#name));
    const entries: JournalEntry[] = [];
    let next = Math.min(state.last_seq, before - 1);
    while (next >= state.first_seq && next > 0 && entries.length < most) {
      const count = Math.min(readAtOnce, most - entries.length, next - state.first_seq + 1);
      const asked = Array.from({ length: count }, (_, i) => this.#entry(life, next - i));
      for (const entry of await Promise.all(asked)) if (entry !== undefined) entries.push(entry);
      next -= count;
    }
    return entries;
  }

  async #publish(data: Uint8Array): Promise<number> {
    const { life } = this.#link;
    const subject = journalSubject(this.#name);
    const ack = await life.call(`append to ${this.#name}`, () => life.jsm.jetstream().publish(subject, data));
    if (ack.stream !== this.#name)
      throw new Outage(
        "bus-unavailable",
        `append to ${this.#name}: taken by the stream ${ack.stream} instead`,
      );
    return ack.seq;
  }

  async #entry(life: Life, sequence: number): Promise<JournalEntry | undefined> {
    return life.call(`entry ${sequence} of ${this.#name}`, async () => {
      const got = await life.jsm.streams.getMessage(this.#name, { seq: sequence });
      return got === null ? undefined : { sequence, timeMs: parseTime(got.timestamp), data: got.data };
    });
  }
}
