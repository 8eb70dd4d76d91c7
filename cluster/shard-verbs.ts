// What a node answers of a shard as a whole: how it is, and the verbs that put one shard right. Siblings are not touched
// by any of them.
//
// V1. A dry run asks the record and the store, never the actor: it works while that hangs.
import type { Clock } from "../src/base/clock.ts";
import { isOutage, messageOf } from "../src/base/errors.ts";
import type { Bus, StreamState } from "../src/bus/bus.ts";
import { isAnotherRecord } from "../src/store/record.ts";
import type { Interval, ShardState } from "../src/store/store.ts";
import type { Fills } from "./fills.ts";
import type { Heads } from "./heads.ts";
import type { ControlAnswer, ShardQuestion, ShardView } from "./control-messages.ts";
import type { Asked } from "./services.ts";
import type { Supervisor } from "./supervisor.ts";

export interface ShardVerbsOptions {
  bus: Pick<Bus, "streamState" | "frameAt">;
  heads: Heads;
  supervisor: Pick<Supervisor, "deed" | "restart" | "status">;
  fills: Pick<Fills, "status">;
  clock: Clock;
}

export class ShardVerbs {
  readonly #options: ShardVerbsOptions;
  readonly #asked = new Map<number, Asked>();

  constructor(options: ShardVerbsOptions) {
    this.#options = options;
  }

  async answer(question: ShardQuestion): Promise<ControlAnswer> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    const answer = await this.#answer(question);
    const asked = this.asked(question.shard);
    const failed = answer.kind === "none";
    this.#asked.set(question.shard, {
      questions: asked.questions + 1,
      errors: asked.errors + (failed ? 1 : 0),
      lastError: failed ? answer.why : asked.lastError,
      tookMs: asked.tookMs + clock.monotonicMs() - startedMs,
    });
    return answer;
  }

  asked(shard: number): Asked {
    return this.#asked.get(shard) ?? { questions: 0, errors: 0, lastError: "", tookMs: 0 };
  }

  /** undefined: the shard is not this node's. What can't be found out just now is null. */
  async view(shard: number): Promise<ShardView | undefined> {
    const status = this.#options.supervisor.status().find((child) => child.shard === shard);
    if (status === undefined) return undefined;
    const { bus, heads } = this.#options;
    const [head, stream] = await Promise.all([orNull(heads.read(shard)), orNull(bus.streamState(shard))]);
    const gaps = head?.gaps ?? [];
    return {
      ...status,
      epoch: head?.epoch ?? null,
      offset: head?.offset ?? null,
      last: stream?.lastSequence ?? null,
      queued: head === null || stream === null ? null : Math.max(0, stream.lastSequence - head.offset),
      behindMs: head === null || stream === null ? null : await this.#behindMs(shard, head, stream),
      gaps,
      gapFrames: gaps.reduce((sum, [from, to]) => sum + to - from + 1, 0),
      holes: head?.holes.slice(-holesShown) ?? [],
      backfill: this.#options.fills.status().find((fill) => fill.shard === shard) ?? null,
      isolated: status.progress?.isolated ?? false,
      quarantined: head?.quarantined.map(({ tenant }) => tenant) ?? [],
    };
  }

  async #answer(question: ShardQuestion): Promise<ControlAnswer> {
    const { shard } = question;
    try {
      switch (question.kind) {
        case "shard-state": {
          const status = await this.view(shard);
          return status === undefined ? notHere : { kind: "shard-state", status };
        }
        case "shard-restart":
          return this.#options.supervisor.restart(shard) ? { kind: "restarted" } : notHere;
        case "shard-skip":
          return question.dryRun ? await this.#wouldSkip(shard) : await this.#deed(shard, "skip");
        case "shard-adopt":
          return question.dryRun ? await this.#wouldAdopt(shard) : await this.#deed(shard, "adopt");
        default:
          return question satisfies never;
      }
    } catch (error) {
      if (!isOutage(error)) throw error;
      return { kind: "none", why: `${error.code}: ${messageOf(error)}` };
    }
  }

  async #deed(shard: number, kind: "skip" | "adopt"): Promise<ControlAnswer> {
    const result = await this.#options.supervisor.deed(shard, { kind });
    return result.kind === "none" ? result : { ...result.told, tookMs: result.tookMs };
  }

  /** V1. */
  async #wouldSkip(shard: number): Promise<ControlAnswer> {
    const { head, stream, tenants } = await this.#facts(shard);
    const frames = Math.max(0, stream.lastSequence - head.offset);
    const gap: Interval | undefined = frames === 0 ? undefined : [head.offset + 1, stream.lastSequence];
    const bytes = stream.messages === 0 ? 0 : Math.round((stream.bytes / stream.messages) * frames);
    const behindMs = (await this.#behindMs(shard, head, stream)) ?? 0;
    return { kind: "would-skip", gap, frames, bytes, behindMs, tenants };
  }

  /** V1. */
  async #wouldAdopt(shard: number): Promise<ControlAnswer> {
    const { head, stream, tenants } = await this.#facts(shard);
    const wrong = (await isAnotherRecord(this.#options.bus, shard, head, stream)) ?? "";
    return { kind: "would-adopt", wrong, offset: head.offset, tenants };
  }

  async #facts(shard: number): Promise<{ head: ShardState; stream: StreamState; tenants: number }> {
    const { bus, heads } = this.#options;
    const [stream, stored] = await Promise.all([
      bus.streamState(shard),
      heads.look(shard, async (snapshot) => ({
        head: await snapshot.state(),
        tenants: (await snapshot.tenants()).length,
      })),
    ]);
    return { stream, ...stored };
  }

  async #behindMs(shard: number, head: ShardState, stream: StreamState): Promise<number | null> {
    if (stream.lastSequence <= head.offset) return 0;
    const { bus } = this.#options;
    const newest = await orNull(bus.frameAt(shard, stream.lastSequence));
    const next = head.frameTimeMs > 0 ? undefined : await orNull(bus.frameAt(shard, stream.firstSequence));
    const sinceMs = next?.timeMs ?? head.frameTimeMs;
    return newest === undefined || newest === null ? null : Math.max(0, newest.timeMs - sinceMs);
  }
}

const holesShown = 20;

const notHere = { kind: "none", why: "this node does not run it" } as const;

async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (!isOutage(error)) throw error;
    return null;
  }
}
