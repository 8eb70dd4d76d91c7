// `millrace tenant suspend|activate|delete|undelete|purge`: what becomes of a tenant.
import type { PurgeProgress } from "../cluster/purge-progress.ts";
import { withAdmin } from "./admin/client.ts";
import { make, makeAndSay, type ChangeOptions } from "./change.ts";
import type { Flags } from "./directory.ts";
import { clock } from "./process.ts";
import { ProgressBar, say, type Output } from "./say.ts";
import { purgeText } from "./tenant-leaving.ts";
import { pathOf } from "./tenant.ts";

const lookAgainMs = 500;

interface Purge {
  id: string;
  name: string;
  state: string;
  purgeMs: number | null;
  purgedMs: number | null;
  /** Shards there are. */
  of: number;
  progress?: PurgeProgress;
}

export function tenantVerb(
  verb: "suspend" | "activate",
  name: string,
  options: ChangeOptions,
  flags: Flags,
): Promise<void> {
  return withAdmin(flags, (admin) => makeAndSay(admin, { url: pathOf(name, verb) }, options));
}

export function tenantUndelete(
  name: string,
  options: ChangeOptions & { as: string | undefined },
  flags: Flags,
): Promise<void> {
  const body = options.as === undefined ? {} : { as: options.as };
  return withAdmin(flags, (admin) => makeAndSay(admin, { url: pathOf(name, "undelete"), body }, options));
}

/** `now`: without the time in which it could be undeleted; waits until its series are gone. */
export function tenantDelete(
  name: string,
  options: ChangeOptions & { now: boolean },
  flags: Flags,
): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const change = {
      url: pathOf(name, "delete"),
      body: { now: options.now },
      question: options.now ? "Delete it, with all it holds, for good?" : "Delete it?",
    };
    const answer = await make<{ id: string }>(admin, change, options);
    if (answer === undefined) return;
    if (!options.now) return say(options, answer, [answer.done]);
    const bar = new ProgressBar(`purging ${name}`, "series");
    for (;;) {
      const purge = await admin.get<Purge>(pathOf(answer.id, "purge"));
      const { progress } = purge;
      if (purge.purgedMs !== null) {
        bar.end();
        return say(options, { ...answer, purge }, [`${name} is gone for good`]);
      }
      if (progress !== undefined) bar.show(progress.series, progress.series + leftOf(progress.left));
      await clock.sleep(lookAgainMs);
    }
  });
}

export function tenantPurge(name: string, output: Output, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const purge = await admin.get<Purge>(pathOf(name, "purge"));
    const { state, purgeMs, purgedMs, progress } = purge;
    const at = (ms: number) => new Date(ms).toISOString();
    const line =
      purgedMs !== null
        ? `gone for good since ${at(purgedMs)}`
        : state === "deleted"
          ? `deleted; its series go from ${purgeMs === null ? "when somebody says so" : at(purgeMs)} on`
          : state;
    const far = state === "purging" && purgedMs === null ? [purgeText(purge.name, progress, purge.of)] : [];
    say(output, purge, [`${purge.name} (${purge.id}) is ${line}`, ...far]);
  });
}

function leftOf(left: Record<string, number>): number {
  return Object.values(left).reduce((sum, count) => sum + count, 0);
}
