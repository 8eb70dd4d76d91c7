// A node's answers to operators: which series a tenant has in a shard, how much that is, and the deleting of some.
// Reads go by a snapshot of the node's own; what changes a shard goes to its actor, for only that one may.
//
// C1. Every question has an answer in a bounded time, if only that there is none. What was asked of an actor that died
//     or did not answer may have happened: the answer says that it is not known.
// C2. A few questions at a time, answers of bounded size, reads of bounded time: operators don't hold up the node. More
//     wait for a moment. What actors have to do has turns of its own: while they hang, the others are answered.
import type { Clock } from "../src/base/clock.ts";
import { isOutage, messageOf } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { Bus } from "../src/bus/bus.ts";
import { shardControlSubject } from "../src/bus/subjects.ts";
import { SnapshotClosed, type LedgerRow, type ShardReader, type Snapshot } from "../src/store/store.ts";
import {
  asksActor,
  decodeQuestion,
  ledgerRowsMost,
  namesBytesMost,
  parsed,
  seriesMost,
  type ControlAnswer,
  type ShardQuestion,
  type TenantQuestion,
  type ShardSpace,
} from "./control-messages.ts";
import { letterQuestions } from "./control-letters.ts";
import { encodeJson } from "./shard-map.ts";
import { countQueued } from "./queued.ts";
import type { Supervisor } from "./supervisor.ts";
import { Turns } from "./turns.ts";

/** A family of questions, of a file of its own. */
export interface Questions {
  /** How to answer; undefined: it is none of this family. */
  decode(asked: Record<string, unknown>): (() => Promise<ControlAnswer>) | undefined;
}

export interface ControlReader extends ShardReader {
  space(): Promise<Omit<ShardSpace, "budgetBytes">>;
}

export interface ControlOptions {
  node: string;
  bus: Bus;
  supervisor: Pick<Supervisor, "runs" | "request">;
  /** Questions of a shard as a whole (shard-verbs.ts). */
  verbs: { answer(question: ShardQuestion): Promise<ControlAnswer> };
  openReader(shard: number): Promise<ControlReader>;
  budgetBytes: number;
  /** Of other files than this one. */
  families?: readonly Questions[];
  clock: Clock;
  log: Log;
}

const atATime = { most: 8, waitingMost: 2000, waitMs: 4000 };
const readMs = 5000;
/** A delete of many names waits for a commit or two, and the disk. */
const actorMs = 30_000;

export class Control {
  readonly #options: ControlOptions;
  readonly #readers = new Map<number, Promise<ControlReader>>();
  readonly #families: readonly Questions[];
  readonly #looks: Turns;
  readonly #deeds: Turns;
  #stopServing: () => void = () => {};

  constructor(options: ControlOptions) {
    this.#options = options;
    const { bus, clock, supervisor, families = [] } = options;
    this.#looks = new Turns({ ...atATime, clock });
    this.#deeds = new Turns({ ...atATime, clock });
    const read: Parameters<typeof letterQuestions>[0]["read"] = (shard, told) => this.#read(shard, told);
    this.#families = [letterQuestions({ bus, supervisor, read }), ...families];
  }

  async start(): Promise<void> {
    this.#stopServing = await this.#options.bus.serve(shardControlSubject, async (payload) =>
      encodeJson(await this.answer(payload)),
    );
  }

  async stop(): Promise<void> {
    this.#stopServing();
    for (const shard of this.#readers.keys()) await this.#forget(shard);
  }

  async answer(payload: Uint8Array): Promise<ControlAnswer> {
    const { node, supervisor } = this.#options;
    const asked = parsed(payload) ?? {};
    const ofFamily = this.#families
      .map((family) => family.decode(asked))
      .find((found) => found !== undefined);
    const answer = ofFamily ?? this.#ownAnswer(payload);
    if (answer === undefined) return { kind: "invalid", why: "the node does not know this question" };
    const shard = Number(asked["shard"]);
    if (!supervisor.runs(shard)) return { kind: "not-here", node };
    const turns = asksActor(asked) ? this.#deeds : this.#looks;
    if (!(await turns.take())) return { kind: "none", why: "the node is busy: ask again" };
    try {
      return await answer();
    } finally {
      turns.give();
    }
  }

  #ownAnswer(payload: Uint8Array): (() => Promise<ControlAnswer>) | undefined {
    const question = decodeQuestion(payload);
    if (question === undefined) return undefined;
    return async () => {
      if (!("tenant" in question)) return this.#options.verbs.answer(question);
      if (question.kind === "series-delete" && !question.dryRun) return this.#delete(question);
      if (question.kind === "refused-lines") return this.#refused(question);
      return this.#read(question.shard, (snapshot, reader) => this.#told(question, snapshot, reader));
    };
  }

  async #refused({ shard, tenant }: TenantQuestion): Promise<ControlAnswer> {
    const asked = { kind: "refused-lines", tenant } as const;
    const result = await this.#options.supervisor.request(shard, asked, readMs);
    if (result.kind === "none") return result;
    if (result.answer.kind !== "refused-lines")
      return { kind: "none", why: "its actor answered another question" };
    return result.answer;
  }

  async #told(
    question: Exclude<TenantQuestion, { kind: "refused-lines" }>,
    snapshot: Snapshot,
    reader: ControlReader,
  ): Promise<ControlAnswer> {
    const { tenant } = question;
    switch (question.kind) {
      case "series-list": {
        const found = await snapshot.findSeries(tenant, question.pattern, question.most + 1);
        return listed(
          found.map(({ name }) => name),
          question.most,
        );
      }
      case "series-delete": {
        const found = await snapshot.findSeries(tenant, question.pattern, seriesMost + 1);
        // A series that is found under several names (src/metric/outputs.ts) goes once.
        const count = new Set(found.map(({ id }) => id)).size;
        return {
          kind: "would-delete",
          count: Math.min(count, seriesMost),
          more: found.length > seriesMost,
        };
      }
      case "tenant-size": {
        const space = { ...(await reader.space()), budgetBytes: this.#options.budgetBytes };
        return { kind: "size", size: await snapshot.tenantSize(tenant), space };
      }
      case "ledger":
        return await this.#ledger(question, snapshot);
      default:
        return question satisfies never;
    }
  }

  async #ledger(
    question: Extract<TenantQuestion, { kind: "ledger" }>,
    snapshot: Snapshot,
  ): Promise<ControlAnswer> {
    const { tenant, from, until } = question;
    const { bus, clock } = this.#options;
    const { offset, boots, gaps, parts } = await snapshot.state();
    const found = await snapshot.ledger(tenant, from, until);
    const rows = wholeMinutes(found, ledgerRowsMost);
    const queued = question.queued
      ? await countQueued({ ...question, bus, clock, offset, boots, gaps, parts })
      : { queued: [], queuedMore: false };
    const rowsMore = rows.length < found.length;
    return { kind: "ledger", offset, gaps, parts, rows, rowsMore, ...queued };
  }

  async #delete(question: Extract<TenantQuestion, { kind: "series-delete" }>): Promise<ControlAnswer> {
    const { shard, tenant, pattern, most } = question;
    const asked = { kind: "delete-series", tenant, pattern, most } as const;
    const result = await this.#options.supervisor.request(shard, asked, actorMs);
    if (result.kind === "none") return result;
    const { answer } = result;
    if (answer.kind === "chore-failed") return { kind: "none", why: `${answer.code}: ${answer.why}` };
    if (answer.kind !== "series-deleted") return { kind: "none", why: "its actor answered another question" };
    const count = answer.names.length;
    this.#options.log.info({ shard, tenant, pattern, count }, "series deleted");
    return { kind: "deleted", count, more: count >= most };
  }

  async #read<T extends ControlAnswer>(
    shard: number,
    told: (snapshot: Snapshot, reader: ControlReader) => Promise<T>,
  ): Promise<T | { kind: "none"; why: string }> {
    let snapshot: Snapshot | undefined;
    const late = this.#options.clock.after(readMs, () => snapshot?.close());
    try {
      const reader = await this.#reader(shard);
      snapshot = await reader.snapshot();
      return await told(snapshot, reader);
    } catch (error) {
      if (error instanceof SnapshotClosed)
        return { kind: "none", why: `reading took longer than ${readMs / 1000} s: ask for less` };
      // One that failed is opened anew for the next question.
      await this.#forget(shard);
      if (!isOutage(error)) throw error;
      return { kind: "none", why: `${error.code}: ${messageOf(error)}` };
    } finally {
      late();
      snapshot?.close();
    }
  }

  async #reader(shard: number): Promise<ControlReader> {
    const known = this.#readers.get(shard) ?? this.#options.openReader(shard);
    this.#readers.set(shard, known);
    return await known;
  }

  async #forget(shard: number): Promise<void> {
    const reader = this.#readers.get(shard);
    this.#readers.delete(shard);
    try {
      await (await reader)?.close();
    } catch (error) {
      if (!isOutage(error)) throw error;
    }
  }
}

/** At most so many, and of no minute a part. */
function wholeMinutes(rows: readonly LedgerRow[], most: number): LedgerRow[] {
  if (rows.length <= most) return [...rows];
  const cut = rows[most]?.minute;
  const whole = rows.slice(0, most).filter(({ minute }) => minute !== cut);
  // A single minute is never so large: its rows are doors times reasons.
  return whole.length > 0 ? whole : rows.filter(({ minute }) => minute === cut);
}

/** As many as were asked for and fit an answer. */
function listed(found: readonly string[], most: number): ControlAnswer {
  let bytes = 0;
  const names: string[] = [];
  for (const name of found) {
    bytes += Buffer.byteLength(JSON.stringify(name)) + 1;
    if (names.length >= most || bytes > namesBytesMost) break;
    names.push(name);
  }
  return { kind: "series", names, more: names.length < found.length };
}
