// Deleting series by the admin API. It is done in parts: each answer says how many went, and whether there are more.
import { Refused, type Asked, type Verb } from "../../src/api/operate.ts";
import { systemClock as clock } from "../../src/base/clock.ts";
import { allHomes } from "../../src/tenant/routing.ts";
import { patternCharsMost } from "../../cluster/control-messages.ts";
import { askShard } from "../ask-shard.ts";
import { tenantOf, textOf, type Operator, type OperatorOf } from "./operator.ts";

/** One commit of the shard's actor each: lines wait behind it. */
const deletedAtOnce = 1000;
const partMsMax = 4000;

export function seriesVerbs(operator: OperatorOf): Verb[] {
  return [
    {
      method: "POST",
      url: "/v1/series/delete",
      effect: "discards",
      answer: (asked) => remove(operator, asked),
    },
  ];
}

async function remove(operator: OperatorOf, asked: Asked): Promise<object> {
  const at = await operator();
  const pattern = textOf(asked, "pattern");
  if (pattern.length > patternCharsMost)
    throw new Refused(400, `a pattern is at most ${patternCharsMost} characters long`);
  const tenant = await tenantOf(at, textOf(asked, "tenant"));
  const which = { tenant: tenant.id, pattern };
  const shards = allHomes(tenant, at.settings.shards);
  if (!asked.dryRun) return deleteSome(at, which, shards, tenant.name);
  let matches = 0;
  let more = false;
  for (const shard of shards) {
    const question = { kind: "series-delete", shard, ...which, most: 1, dryRun: true } as const;
    const answer = await askShard(at.bus, question);
    if (answer.kind !== "would-delete") throw unanswered(shard, answer, 0);
    matches += answer.count;
    more ||= answer.more;
  }
  const preview = `${more ? `more than ${matches}` : matches} series of ${tenant.name} match ${pattern}`;
  return { preview, matches, more };
}

async function deleteSome(
  { bus }: Operator,
  which: { tenant: string; pattern: string },
  shards: readonly number[],
  name: string,
): Promise<object> {
  const overMs = clock.monotonicMs() + partMsMax;
  let deleted = 0;
  const told = (more: boolean) => ({ done: `deleted ${deleted} series of ${name}`, deleted, more });
  for (const shard of shards) {
    for (let more = true; more; ) {
      if (clock.monotonicMs() > overMs) return told(true);
      const question = {
        kind: "series-delete",
        shard,
        ...which,
        most: deletedAtOnce,
        dryRun: false,
      } as const;
      const answer = await askShard(bus, question);
      if (answer.kind !== "deleted") throw unanswered(shard, answer, deleted);
      deleted += answer.count;
      ({ more } = answer);
    }
  }
  return told(false);
}

function unanswered(shard: number, answer: { kind: string; why?: string }, deleted: number): Refused {
  const before = deleted === 0 ? "" : `; ${deleted} series were deleted before: try again`;
  const why = answer.why ?? `it answered ${answer.kind}`;
  return new Refused(503, `shard ${shard} could not be asked: ${why}${before}`, { deleted });
}
