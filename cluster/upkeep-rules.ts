// Which ladders the tenants have, from the node's copy of the directory, as plain values for the upkeep threads.
//
// L1. Nothing is known before the directory has its copy or its watch has caught up once: rows that went into a wrong
//     ladder would stay there.
// L2. The version changes when the rules do, not with every key that somebody adds: threads keep what they compiled.
import { isDeepStrictEqual } from "node:util";
import type { Ladder } from "../src/metric/bucket.ts";
import type { SchemasSince } from "../src/metric/ladder-rules.ts";
import type { Tenant } from "../src/tenant/tenant.ts";
import type { UpkeepRules } from "../workers/messages.ts";

export interface RulesOptions {
  /** Of the directory, what is needed here. */
  tenants: { readonly generation: number; readonly live: boolean; all(): Tenant[] };
  /** The ladder of those without rules. */
  standard: Ladder;
  schemasOf(tenant: Tenant): readonly SchemasSince[];
}

export class RulesSource {
  readonly #options: RulesOptions;
  /** Of the directory, when it was last looked through. */
  #generation: number | undefined;
  #rules: UpkeepRules | undefined;

  constructor(options: RulesOptions) {
    this.#options = options;
  }

  current(): UpkeepRules | undefined {
    const { tenants, standard } = this.#options;
    if (tenants.generation === this.#generation) return this.#rules;
    const all = tenants.all();
    if (this.#rules === undefined && !tenants.live && all.length === 0) return undefined; // L1
    this.#generation = tenants.generation;
    const own: UpkeepRules["tenants"] = [];
    for (const tenant of all) {
      const sets = this.#options.schemasOf(tenant);
      if (sets.length > 0) own.push([tenant.id, [...sets]]);
    }
    if (this.#rules === undefined || !isDeepStrictEqual(own, this.#rules.tenants))
      // L2
      this.#rules = { version: (this.#rules?.version ?? 0) + 1, standard, tenants: own };
    return this.#rules;
  }
}
