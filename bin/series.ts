// `millrace series ...`: what a tenant has, series by series, over all shards that hold its history.
//
// D1. Nothing is deleted unless --yes was given or a person at a terminal said yes to the number shown.
// D2. Deleting goes on until nothing matches any more. Where it stops earlier, what was deleted so far and why it
//     stopped are said, the exit code is 1, and the same command goes on where it stopped.
import { seriesMost } from "../cluster/control-messages.ts";
import type { Bus } from "../src/bus/bus.ts";
import type { Settings } from "../src/config/settings.ts";
import { allHomes } from "../src/tenant/routing.ts";
import type { Tenant } from "../src/tenant/tenant.ts";
import { withAdmin } from "./admin/client.ts";
import { askShard } from "./ask-shard.ts";
import { find, Refusal, withDirectory, type Flags } from "./directory.ts";
import { canAsk, isWanted, ProgressBar, say, type Output } from "./say.ts";

interface Asked {
  bus: Bus;
  tenant: Tenant;
  pattern: string;
  shards: readonly number[];
}

export function seriesList(
  name: string,
  pattern: string,
  output: Output & { limit: string },
  flags: Flags,
): Promise<void> {
  return onTenant(name, pattern, flags, async (asked) => {
    const most = Number(output.limit);
    if (!Number.isInteger(most) || most < 1 || most > seriesMost)
      throw new Refusal(`--limit is "${output.limit}": expected a whole number from 1 to ${seriesMost}`);
    const names = new Set<string>();
    let more = false;
    for (const shard of asked.shards) {
      const question = { kind: "series-list", shard, tenant: asked.tenant.id, pattern, most } as const;
      const answer = await askShard(asked.bus, question);
      if (answer.kind !== "series") throw unanswered(shard, answer);
      for (const each of answer.names) names.add(each);
      more ||= answer.more;
    }
    const series = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    more ||= series.length > most;
    const shown = series.slice(0, most);
    say(output, { series: shown, more }, shown);
    if (more && !output.json) process.stderr.write(`millrace: there are more than these ${shown.length}\n`);
  });
}

export function seriesDelete(
  name: string,
  pattern: string,
  output: Output & { dryRun: boolean; yes: boolean },
  flags: Flags,
): Promise<void> {
  return withAdmin(flags, async (admin) => {
    if (!output.dryRun && !output.yes && !canAsk())
      throw new Refusal("not at a terminal: look with --dry-run, then say --yes");
    const which = { tenant: name, pattern };
    const url = "/v1/series/delete";
    let matches: number | undefined;
    if (output.dryRun || !output.yes) {
      const would = await admin.post<WouldDelete>(url, { ...which, dryRun: true });
      const { preview, more } = would;
      ({ matches } = would);
      if (output.dryRun) return say(output, { matches, more, deleted: 0 }, [preview]);
      if (!(await isWanted(`${preview}. Delete them, with all they hold? [y/N] `)))
        // D1
        throw new Refusal("nothing was deleted");
    }
    const bar = new ProgressBar("deleting", "series");
    let deleted = 0;
    // D2
    for (let more = true; more; ) {
      const part = await admin.post<{ deleted: number; more: boolean }>(url, which);
      deleted += part.deleted;
      ({ more } = part);
      bar.show(deleted, matches);
    }
    bar.end();
    say(output, { deleted }, [`deleted ${deleted} series of ${name}`]);
  });
}

interface WouldDelete {
  preview: string;
  matches: number;
  more: boolean;
}

function onTenant(
  name: string,
  pattern: string,
  flags: Flags,
  action: (asked: Asked) => Promise<void>,
): Promise<void> {
  return withDirectory(flags, async (kv, settings: Settings, bus) => {
    const tenant = await find(kv, name);
    await action({ bus, tenant, pattern, shards: allHomes(tenant, settings.shards) });
  });
}

function unanswered(shard: number, answer: { kind: string; why?: string }): Refusal {
  return new Refusal(`shard ${shard} could not be asked: ${answer.why ?? `it answered ${answer.kind}`}`);
}
