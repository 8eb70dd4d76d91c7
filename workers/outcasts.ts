// Tenants whose lines are not aggregated: quarantined ones, whose lines wait among the dead letters, and deleted ones.
//
// O1. What waits of a quarantined tenant is bounded; what comes then is refused and counted.
// O2. A tenant that is both is deleted: nothing of it is kept.
import type { Reason } from "../src/metric/reason.ts";
import type { Commit, ShardState } from "../src/store/store.ts";

/** O1. */
export const quarantinedBytesMax = 256 << 20;

export type Verdict =
  | { kind: "taken" }
  | { kind: "buried"; why: string }
  | { kind: "refused"; reason: Reason };

type Quarantine = NonNullable<Commit["quarantine"]>[number];

const taken: Verdict = { kind: "taken" };

export class Outcasts {
  readonly #purging: Set<string>;
  readonly #quarantined: Map<string, { why: string; bytes: number }>;
  #added: Quarantine[] = [];

  constructor({ purging, quarantined }: Pick<ShardState, "purging" | "quarantined">) {
    this.#purging = new Set(purging);
    this.#quarantined = new Map(quarantined.map(({ tenant, why, bytes }) => [tenant, { why, bytes }]));
  }

  /** What becomes of so many bytes of lines of the tenant. */
  judge(tenant: string, bytes: number): Verdict {
    if (this.#purging.has(tenant)) return { kind: "refused", reason: "tenant-deleted" };
    const quarantine = this.#quarantined.get(tenant);
    if (quarantine === undefined) return taken;
    if (quarantine.bytes + bytes > quarantinedBytesMax) return { kind: "refused", reason: "quarantined" };
    quarantine.bytes += bytes;
    return { kind: "buried", why: quarantine.why };
  }

  holds(tenant: string): boolean {
    return this.#purging.has(tenant) || this.#quarantined.has(tenant);
  }

  /** From the next line on, and in the next commit. */
  quarantine(quarantine: Quarantine): void {
    this.#quarantined.set(quarantine.tenant, { why: quarantine.why, bytes: 0 });
    this.#added.push(quarantine);
  }

  /** The store has ended its quarantine. */
  release(tenant: string): void {
    this.#quarantined.delete(tenant);
    this.#added = this.#added.filter((added) => added.tenant !== tenant);
  }

  /** The store has a tombstone for it. */
  purge(tenant: string): void {
    this.#purging.add(tenant);
  }

  /** Quarantines that no commit has yet. */
  added(): Quarantine[] {
    return this.#added;
  }

  committed(): void {
    this.#added = [];
  }
}
