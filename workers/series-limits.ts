// How many living series a tenant may have in a shard, as the actor was told last. It never waits for the directory.
import type { SeriesLimitsTold } from "./messages.ts";

export class SeriesLimits {
  #standard = Number.POSITIVE_INFINITY;
  #own = new Map<string, number>();
  #version = 0;

  /** Changes with what was told. */
  get version(): number {
    return this.#version;
  }

  tell({ standard, tenants }: SeriesLimitsTold): void {
    this.#version++;
    this.#standard = numberOf(standard);
    this.#own = new Map(tenants.map(([tenant, limit]) => [tenant, numberOf(limit)]));
  }

  /** Infinity: not limited. */
  of(tenant: string): number {
    return this.#own.get(tenant) ?? this.#standard;
  }
}

function numberOf(limit: number | "off"): number {
  return limit === "off" ? Number.POSITIVE_INFINITY : limit;
}
