// `millrace tenant limits NAME`: what a tenant may send, where that comes from, and how to change it.
import { unreachable } from "../src/base/assert.ts";
import { changeLimits, type LimitsChange, type LimitsChanged, withLimits } from "../src/tenant/admin.ts";
import {
  isLimit,
  limitBounds,
  type LimitName,
  limitNames,
  limitsOf,
  ownLimits,
  readLimits,
  type StandardLimits,
} from "../src/tenant/limits.ts";
import type { Tenant } from "../src/tenant/tenant.ts";
import { find, type Flags, type Output, Refusal, say, withDirectory } from "./tenant.ts";

const words = {
  pointsPerSecond: { flag: "points-per-second", unit: "points a second, over all gateways" },
  series: { flag: "series", unit: "living series, in each shard the tenant is or was at home on" },
  nameBytes: { flag: "name-bytes", unit: "bytes of a name, tags included" },
  tags: { flag: "tags", unit: "tags of a name" },
} as const satisfies Record<LimitName, { flag: string; unit: string }>;

export const limitFlags = limitNames.map((name) => ({
  flag: `--${words[name].flag} <n>`,
  help: `most ${words[name].unit}: ${kindsOf(name)}`,
}));

function kindsOf(name: LimitName): string {
  const [least, most, maybeOff] = limitBounds[name];
  return `${least} to ${most}, ${maybeOff ? "off or default" : "or default"}`;
}

/** `options`: as commander has them, by the limits' names. */
export async function tenantLimits(
  name: string,
  options: Record<string, unknown> & { dryRun?: boolean },
  output: Output,
  flags: Flags,
): Promise<void> {
  await withDirectory(flags, async (kv, settings) => {
    const change = readChange(options);
    const tenant = await find(kv, name);
    if (Object.keys(change).length === 0) return show(tenant, "shown", output, settings);
    const dryRun = options.dryRun === true;
    const result = dryRun ? tried(tenant, change) : await changeLimits(kv, tenant.id, change);
    switch (result.kind) {
      case "unknown-tenant":
        throw new Refusal(`there is no tenant ${name} any more`);
      case "changed":
        return show(result.tenant, dryRun ? "would-change" : "changed", output, settings);
      case "unchanged":
        return show(result.tenant, "unchanged", output, settings);
      default:
        return unreachable(result);
    }
  });
}

function readChange(options: Record<string, unknown>): LimitsChange {
  const change: { -readonly [Name in LimitName]?: number | "off" | "default" } = {};
  for (const name of limitNames) {
    const said = options[name];
    if (typeof said !== "string") continue;
    const value = said === "off" || said === "default" ? said : /^\d+$/.test(said) ? Number(said) : said;
    if (value !== "default" && !isLimit(name, value))
      throw new Refusal(`--${words[name].flag} is ${said}: give ${kindsOf(name)}`);
    change[name] = value;
  }
  return change;
}

function tried(tenant: Tenant, change: LimitsChange): LimitsChanged {
  const next = withLimits(tenant, change);
  return next === undefined ? { kind: "unchanged", tenant } : { kind: "changed", tenant: next };
}

const outcomes = {
  shown: "",
  changed: "changed",
  unchanged: "nothing to change: these limits hold already",
  "would-change": "this would change (nothing was changed: --dry-run)",
};

function show(
  tenant: Tenant,
  outcome: keyof typeof outcomes,
  output: Output,
  standard: StandardLimits,
): void {
  const { id, name } = tenant;
  const own = ownLimits(tenant);
  const holds = limitsOf(tenant, standard);
  const rows = limitNames.map((limit) => ({
    limit,
    value: Number.isFinite(holds[limit]) ? holds[limit] : ("off" as const),
    from: own[limit] === undefined ? (limit in fromSettings ? "settings" : "built-in") : "tenant",
  }));
  const read = readLimits(tenant.limits);
  const json = Object.fromEntries(rows.map(({ limit, value, from }) => [limit, { value, from }]));
  say(output, { id, name, outcome, limits: json }, [
    ...(outcomes[outcome] === "" ? [] : [outcomes[outcome]]),
    ...(read.kind === "invalid" ? [`the limits in the record of ${name} can't be read (${read.why})`] : []),
    `limits of ${name}`,
    ...rows.map(
      ({ limit, value, from }) =>
        `  ${words[limit].flag.padEnd(17)}  ${String(value).padStart(10)}  ${from.padEnd(8)}  ${words[limit].unit}`,
    ),
  ]);
}

const fromSettings = { pointsPerSecond: true, series: true };
