// Tells a node's actors how many series their tenants may have, whenever that changes in the node's copy of the
// directory. Nothing is told before the copy knows anybody: a limit that is only guessed would refuse.
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../src/base/clock.ts";
import { ownLimits } from "../src/tenant/limits.ts";
import type { Tenant } from "../src/tenant/tenant.ts";
import type { SeriesLimitsTold } from "../workers/messages.ts";

export interface SeriesLimitsOptions {
  /** Of the directory, what is needed here. */
  tenants: { readonly live: boolean; all(): Tenant[]; onChange(callback: () => void): () => void };
  /** Of those who have no limit of their own. */
  standard: number | "off";
  tell(limits: SeriesLimitsTold): void;
  clock: Clock;
}

/** Many changes in a row are looked through once. */
const soonMs = 50;

/** The answer stops it. */
export function tellSeriesLimits(options: SeriesLimitsOptions): () => void {
  const { tenants, standard, clock } = options;
  let told: SeriesLimitsTold | undefined;
  let cancel: (() => void) | undefined;
  const tell = () => {
    const all = tenants.all();
    if (told === undefined && !tenants.live && all.length === 0) return;
    const now: SeriesLimitsTold = { standard, tenants: [] };
    for (const tenant of all) {
      const { series } = ownLimits(tenant);
      if (series !== undefined) now.tenants.push([tenant.id, series]);
    }
    if (isDeepStrictEqual(now, told)) return;
    told = now;
    options.tell(now);
  };
  const stop = tenants.onChange(() => {
    cancel ??= clock.after(soonMs, () => {
      cancel = undefined;
      tell();
    });
  });
  tell();
  return () => {
    stop();
    cancel?.();
  };
}
