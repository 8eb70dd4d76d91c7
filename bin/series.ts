// `millrace series ...`: what a tenant has, series by series, over all shards that hold its history.
//
// D1. Nothing is deleted unless --yes was given or a person at a terminal said yes to the number shown.
// D2. Deleting goes on until nothing matches any more. Where it stops earlier, what was deleted so far and why it
//     stopped are said, the exit code is 1, and the same command goes on where it stopped.
import { createInterface } from "node:readline/promises";
import { seriesMost } from "../cluster/control-messages.ts";
import type { Bus } from "../src/bus/bus.ts";
import type { Settings } from "../src/config/settings.ts";
import { allHomes } from "../src/tenant/routing.ts";
import type { Tenant } from "../src/tenant/tenant.ts";
import { askShard } from "./ask-shard.ts";
import { find, Refusal, say, withDirectory, type Flags, type Output } from "./tenant.ts";

/** One commit of the shard's actor each: lines wait behind it. */
const deletedAtOnce = 1000;
/** Whoever still makes new ones faster than they go must be stopped first. */
const deletesMax = 100_000;

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
  return onTenant(name, pattern, flags, async (asked) => {
    const canAsk = process.stdin.isTTY && process.stderr.isTTY;
    if (!output.dryRun && !output.yes && !canAsk)
      throw new Refusal("not at a terminal: look with --dry-run, then say --yes");
    if (output.dryRun || !output.yes) {
      const { count, more } = await countOf(asked);
      const said = `${more ? `more than ${count}` : count} series of ${asked.tenant.name} match ${pattern}`;
      if (output.dryRun) return say(output, { matches: count, more, deleted: 0 }, [said]);
      if (!(await isWanted(`${said}. Delete them, with all they hold? [y/N] `)))
        // D1
        throw new Refusal("nothing was deleted");
    }
    const deleted = await deleteAll(asked);
    say(output, { deleted }, [`deleted ${deleted} series of ${asked.tenant.name}`]);
  });
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

async function countOf({ bus, tenant, pattern, shards }: Asked): Promise<{ count: number; more: boolean }> {
  let count = 0;
  let more = false;
  for (const shard of shards) {
    const question = {
      kind: "series-delete",
      shard,
      tenant: tenant.id,
      pattern,
      most: 1,
      dryRun: true,
    } as const;
    const answer = await askShard(bus, question);
    if (answer.kind !== "would-delete") throw unanswered(shard, answer);
    count += answer.count;
    more ||= answer.more;
  }
  return { count, more };
}

/** D2. */
async function deleteAll({ bus, tenant, pattern, shards }: Asked): Promise<number> {
  let deleted = 0;
  for (const shard of shards) {
    for (let more = true, times = 0; more; times++) {
      if (times >= deletesMax) throw new Refusal(`${deleted} series were deleted, and more still come`);
      const question = { shard, tenant: tenant.id, pattern, most: deletedAtOnce, dryRun: false } as const;
      const answer = await askShard(bus, { kind: "series-delete", ...question });
      if (answer.kind !== "deleted")
        throw new Refusal(
          `${unanswered(shard, answer).message}; ${deleted} series were deleted before: try again`,
        );
      deleted += answer.count;
      ({ more } = answer);
    }
  }
  return deleted;
}

function unanswered(shard: number, answer: { kind: string; why?: string }): Refusal {
  return new Refusal(`shard ${shard} could not be asked: ${answer.why ?? `it answered ${answer.kind}`}`);
}

async function isWanted(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(question)).trim());
  } finally {
    terminal.close();
  }
}
