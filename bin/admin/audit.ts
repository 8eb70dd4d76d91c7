// The audit log: a journal in NATS, bounded in bytes and age, and how it is read.
import type { AuditEntry, Verb } from "../../src/api/operate.ts";
import { Refused } from "../../src/api/operate.ts";
import { Outage } from "../../src/base/errors.ts";
import type { Bus, Journal } from "../../src/bus/bus.ts";
import { auditJournal } from "../../src/bus/subjects.ts";
import { auditBytesMax } from "../../src/config/limits.ts";
import { within, type OperatorOf } from "./operator.ts";

/** Some 100,000 changes, and a year. */
const bounds = { bytesMax: auditBytesMax, keptMs: 365 * 24 * 3600 * 1000 };
const entriesMost = 1000;
/** Nobody waits longer for a change to be written down. */
const writeMsMax = 3000;

export class Audit {
  readonly #bus: () => Bus | undefined;
  #opened: Promise<Journal> | undefined;

  constructor(bus: () => Bus | undefined) {
    this.#bus = bus;
  }

  /** Rejects with an Outage. */
  async write(entry: AuditEntry): Promise<void> {
    const journal = await this.#journal();
    await within(journal.append(Buffer.from(JSON.stringify(entry))), "writing it down", writeMsMax);
  }

  /** Newest first; of a verb that was written down twice, what came of it. */
  async read(most: number, before: number | undefined): Promise<{ entries: object[]; next: number | null }> {
    const journal = await this.#journal();
    const found = await journal.last(most, before);
    const seen = new Set<unknown>();
    const entries = found.flatMap(({ sequence, data }) => {
      const entry = decode(data);
      if (entry === undefined || (entry["outcome"] === "begun" && seen.has(entry["id"]))) return [];
      seen.add(entry["id"]);
      return [{ sequence, ...entry }];
    });
    const next = found.length < most ? null : (found.at(-1)?.sequence ?? null);
    return { entries, next };
  }

  async #journal(): Promise<Journal> {
    const bus = this.#bus();
    if (bus === undefined || !bus.connected) throw new Outage("bus-unavailable", "no connection to NATS");
    this.#opened ??= bus.journal(auditJournal, bounds);
    try {
      return await this.#opened;
    } catch (error) {
      this.#opened = undefined;
      throw error;
    }
  }
}

export function auditVerbs(operator: OperatorOf, audit: Audit): Verb[] {
  return [
    {
      method: "GET",
      url: "/v1/audit",
      effect: "none",
      async answer({ query }) {
        const most = Number(query["limit"] ?? 100);
        const before = query["before"] === undefined ? undefined : Number(query["before"]);
        if (!Number.isInteger(most) || most < 1 || most > entriesMost)
          throw new Refused(400, `limit is 1 to ${entriesMost}`);
        if (before !== undefined && !Number.isSafeInteger(before))
          throw new Refused(400, "before is a number");
        await operator();
        return audit.read(most, before);
      },
    },
  ];
}

function decode(data: Uint8Array): Record<string, unknown> | undefined {
  try {
    return JSON.parse(Buffer.from(data).toString()) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
