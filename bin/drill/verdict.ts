// The verdict of a drill: lost, doubled, late, and whether the books balance. From what senders know and what is to be
// seen; the ledger is asked as on-call would ask it.
import { canaryName } from "./canary.ts";
import { senderSeries } from "./senders.ts";
import type { Player, Stage } from "./stage.ts";
import { countDoing, countText } from "../words.ts";

export interface TenantVerdict {
  tenant: string;
  shards: number[];
  /** Points that must be there: acknowledged ones, and those that raw doors took. */
  sent: number;
  seen: number;
  lost: number;
  doubled: number;
  /** From the yes until it was to be seen, ms: of the canaries. */
  lateMs: { median: number; most: number };
  /** How long dashboards were late by more than a second, s. */
  noticedSeconds: number;
  balances: boolean;
}

export interface Verdict {
  tenants: TenantVerdict[];
  lost: number;
  doubled: number;
  /** Minutes that anybody else noticed. */
  noticedMinutes: number;
  /** A sentence for each promise that was broken. */
  broken: string[];
  /** Later than that is late: a second, or three times what the machine did before anything happened. */
  lateMsMost: number;
}

/** Whom the story may make wait without breaking a promise. */
export type MayBeLate = "nobody" | "shard" | "everybody";

/** UDP counts what it drops, so what it dropped is no loss that nobody knows of; more than was sent is wrong on any door. */
const unanswering = new Set(["udp", "statsd"]);

export async function verdictOf(stage: Stage, mayBeLate: MayBeLate): Promise<Verdict> {
  const unseen = await stage.endCanaries();
  const tenants: TenantVerdict[] = [];
  const broken: string[] = [];
  for (const player of stage.bystanders) {
    const { name } = player.keys;
    const verdict = await judge(stage, player);
    tenants.push(verdict);
    if (verdict.lost > 0) broken.push(`P1: ${name} lost ${countText(verdict.lost, "point")}`);
    if (verdict.doubled > 0) broken.push(`P2: ${name} has ${countText(verdict.doubled, "point")} twice`);
    if (!verdict.balances) broken.push(`P5: the books of ${name} don't balance`);
    const missing = unseen.get(name) ?? 0;
    if (missing > 0)
      broken.push(`P2: ${countDoing(missing, "canary", "was", "were")} never to be seen for ${name}`);
    const shares = player.shards.some((shard) => stage.culprit.shards.includes(shard));
    const allowed = mayBeLate === "everybody" || (mayBeLate === "shard" && shares);
    if (!allowed && verdict.lateMs.most > stage.lateMsMost)
      broken.push(`P3: a bucket of ${name} was ${Math.round(verdict.lateMs.most)} ms late`);
  }
  const sum = (of: (verdict: TenantVerdict) => number) =>
    tenants.reduce((total, each) => total + of(each), 0);
  return {
    tenants,
    lost: sum((each) => each.lost),
    doubled: sum((each) => each.doubled),
    noticedMinutes: Math.round(Math.max(0, ...tenants.map((each) => each.noticedSeconds)) / 6) / 10,
    broken,
    lateMsMost: stage.lateMsMost,
  };
}

async function judge(stage: Stage, player: Player): Promise<TenantVerdict> {
  let sent = 0;
  let seen = 0;
  let lost = 0;
  let doubled = 0;
  await stage.endSenders();
  for (const { door, sender, sent: must = 0 } of player.senders) {
    let counts: number[] = [];
    await stage
      .until(`${countText(must, "point")} of ${player.keys.name} over ${door}`, async () => {
        counts = await stage.counts(player, sender.target);
        return sumOf(counts) >= must || unanswering.has(door);
      })
      .catch(() => undefined);
    sent += must;
    seen += sumOf(counts);
    // Senders go round their series: each has as many points as any other, and one's loss can't hide behind another's.
    for (const count of [...counts, ...Array.from({ length: senderSeries - counts.length }, () => 0)]) {
      doubled += Math.max(0, count - must / senderSeries);
      if (!unanswering.has(door)) lost += Math.max(0, must / senderSeries - count);
    }
  }
  player.senders = [];
  const canaries = player.canary?.acknowledged ?? 0;
  const canariesSeen = sumOf(await stage.counts(player, `${canaryName}:count`));
  const late = (player.canary?.seen ?? []).map(({ lateMs }) => lateMs).toSorted((a, b) => a - b);
  return {
    tenant: player.keys.name,
    shards: player.shards,
    sent: sent + canaries,
    seen: seen + canariesSeen,
    lost: lost + Math.max(0, canaries - canariesSeen),
    doubled: doubled + Math.max(0, canariesSeen - canaries),
    lateMs: {
      median: Math.round(late[Math.floor(late.length / 2)] ?? 0),
      most: Math.round(late.at(-1) ?? 0),
    },
    noticedSeconds: noticed(player, stage.lateMsMost) / 1000,
    balances: await balances(stage, player.keys.name),
  };
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Time during which some canary was overdue, ms. */
function noticed(player: Player, lateMsMost: number): number {
  let total = 0;
  let until = 0;
  for (const { atMs, lateMs } of player.canary?.seen ?? []) {
    const from = Math.max(until, atMs - lateMs + lateMsMost);
    total += Math.max(0, atMs - from);
    until = Math.max(until, atMs);
  }
  return total;
}

/** As on-call asks it. */
export async function balances(stage: Stage, tenant: string): Promise<boolean> {
  let balanced = false;
  await stage
    .untilTold(`the books of ${tenant}`, async () => {
      const ledger = JSON.parse(
        await stage.system.millrace("ledger", tenant, "--from", "-2h", "--by", "total", "--json"),
      ) as { balances: boolean; total: { queued: number }[] };
      balanced = ledger.balances;
      return balanced && ledger.total.every(({ queued }) => queued === 0);
    })
    .catch(() => undefined);
  return balanced;
}
