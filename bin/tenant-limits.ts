// `millrace tenant limits NAME`: what a tenant may send, where that comes from, and how to change it.
import { isLimit, limitNames } from "../src/tenant/limits.ts";
import { withAdmin } from "./admin/client.ts";
import type { LimitsShown, PolicyOutcome } from "./admin/policy-verbs.ts";
import { Refusal } from "./command.ts";
import type { Flags } from "./directory.ts";
import { say, type Output } from "./say.ts";
import { kindsOf, limitWords } from "./limit-flags.ts";
import { pathOf } from "./tenant.ts";

/** `options`: as commander has them, by the limits' names. */
export async function tenantLimits(
  name: string,
  options: Record<string, unknown> & { dryRun?: boolean },
  output: Output,
  flags: Flags,
): Promise<void> {
  await withAdmin(flags, async (admin) => {
    const body = { ...readChange(options), dryRun: options.dryRun === true };
    const { unreadable, ...shown } = await admin.post<LimitsShown>(pathOf(name, "limits"), body);
    const rows = limitNames.map((limit) => ({ limit, ...shown.limits[limit] }));
    say(output, shown, [
      ...(outcomes[shown.outcome] === "" ? [] : [outcomes[shown.outcome]]),
      ...(unreadable === ""
        ? []
        : [`the limits in the record of ${shown.name} can't be read (${unreadable})`]),
      `limits of ${shown.name}`,
      ...rows.map(
        ({ limit, value, from }) =>
          `  ${limitWords[limit].flag.padEnd(17)}  ${String(value).padStart(10)}  ${from.padEnd(8)}  ${limitWords[limit].unit}`,
      ),
    ]);
  });
}

function readChange(options: Record<string, unknown>): Record<string, unknown> {
  const change: Record<string, unknown> = {};
  for (const name of limitNames) {
    const said = options[name];
    if (typeof said !== "string") continue;
    const value = said === "off" || said === "default" ? said : /^\d+$/.test(said) ? Number(said) : said;
    if (value !== "default" && !isLimit(name, value))
      throw new Refusal(`--${limitWords[name].flag} is ${said}: give ${kindsOf(name)}`);
    change[name] = value;
  }
  return change;
}

const outcomes: Record<PolicyOutcome, string> = {
  shown: "",
  changed: "changed",
  unchanged: "nothing to change: these limits hold already",
  "would-change": "this would change (nothing was changed: --dry-run)",
};
