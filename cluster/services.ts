// Each shard of this node as a service of NATS (ADR-32): PING, INFO and STATS on `$SRV`, so that `nats micro ls`, `info` and
// `stats` see every shard without knowing anything of Millrace.
//
// N1. Names and types of the fields are the protocol's; what is ours lies in `data` of the endpoint's statistics.
// N2. Every shard that this node runs answers for itself, one that hangs as well: its actor is not asked.
import type { Log } from "../src/base/log.ts";
import type { Bus, ReceivedMessage } from "../src/bus/bus.ts";
import { serviceSubjects, shardControlSubject } from "../src/bus/subjects.ts";
import type { ShardView } from "./control-messages.ts";
import { encodeJson } from "./shard-map.ts";

export const serviceName = "millrace-shard";

export interface ShardServicesOptions {
  bus: Pick<Bus, "receive">;
  node: string;
  /** Of this process: random. */
  instance: string;
  /** Of Millrace: major.minor.patch. */
  version: string;
  nowMs: number;
  shards(): number[];
  view(shard: number): Promise<ShardView | undefined>;
  /** Questions of operators so far. */
  asked(shard: number): Asked;
  log: Log;
}

export interface Asked {
  questions: number;
  errors: number;
  lastError: string;
  tookMs: number;
}

const verbs = ["PING", "INFO", "STATS"] as const;
type Verb = (typeof verbs)[number];
const types: Record<Verb, string> = {
  PING: "io.nats.micro.v1.ping_response",
  INFO: "io.nats.micro.v1.info_response",
  STATS: "io.nats.micro.v1.stats_response",
};
/** Questions at a time; more are left to the asker's time-out. */
const askedMax = 16;

export class ShardServices {
  readonly #options: ShardServicesOptions;
  readonly #started: string;
  #stops: (() => void)[] = [];
  #asked = 0;

  constructor(options: ShardServicesOptions) {
    this.#options = options;
    this.#started = new Date(options.nowMs).toISOString();
  }

  async start(): Promise<void> {
    const { bus, instance, log } = this.#options;
    for (const verb of verbs)
      for (const subject of serviceSubjects(verb, serviceName)) {
        // A queue of its own: every node hears every question.
        const stop = await bus.receive(subject, `millrace-services-${instance}`, (message) => {
          this.#answer(verb, message).catch((error: unknown) =>
            log.error({ subject, err: error }, "a question to the shards' services could not be answered"),
          );
        });
        this.#stops.push(stop);
      }
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  async #answer(verb: Verb, { reply, subject }: ReceivedMessage): Promise<void> {
    if (reply === undefined || this.#asked >= askedMax) return;
    const id = subject.split(".")[3];
    const shards = this.#options.shards().filter((shard) => id === undefined || id === idOf(shard));
    this.#asked += 1;
    try {
      await Promise.all(shards.map(async (shard) => reply(encodeJson(await this.#told(verb, shard)))));
    } finally {
      this.#asked -= 1;
    }
  }

  /** N1. */
  async #told(verb: Verb, shard: number): Promise<object> {
    const { node, version } = this.#options;
    const common = {
      type: types[verb],
      name: serviceName,
      id: idOf(shard),
      version,
      metadata: { node, shard: String(shard) },
    };
    const endpoint = { name: "control", subject: shardControlSubject, queue_group: "" };
    if (verb === "PING") return common;
    if (verb === "INFO")
      return {
        ...common,
        description: `Millrace shard ${shard}`,
        endpoints: [{ ...endpoint, metadata: {} }],
      };
    const view = await this.#options.view(shard);
    return {
      ...common,
      started: this.#started,
      endpoints: [
        {
          ...endpoint,
          ...statistics(this.#options.asked(shard)),
          data: view === undefined ? null : dataOf(view),
        },
      ],
    };
  }
}

function statistics({ questions, errors, lastError, tookMs }: Asked) {
  const nanoseconds = Math.round(tookMs * 1e6);
  return {
    num_requests: questions,
    num_errors: errors,
    last_error: lastError,
    processing_time: nanoseconds,
    average_processing_time: questions === 0 ? 0 : Math.trunc(nanoseconds / questions),
  };
}

function idOf(shard: number): string {
  return `shard-${shard}`;
}

function dataOf(view: ShardView) {
  const { progress: _progress, gaps, holes, quarantined, shard: _shard, threadId: _threadId, ...rest } = view;
  return { ...rest, gaps: gaps.length, holes: holes.length, quarantined: quarantined.length };
}
