// `millrace backfill ...`: the gaps that skips left, and how they fill behind live data.
import { withAdmin, type AdminClient } from "./admin/client.ts";
import type { BackfillRow, Unasked } from "./admin/job-verbs.ts";
import { makeAndSay, table, type ChangeOptions } from "./change.ts";
import { Refusal } from "./command.ts";
import type { Flags } from "./directory.ts";
import { clock } from "./process.ts";
import { etaText, ProgressBar, say, type Output } from "./say.ts";
import { shardUrl } from "./shard.ts";

const lookAgainMs = 500;

interface Backfills {
  backfills: BackfillRow[];
  unasked: Unasked[];
}

/** `watch`: until all gaps are filled. */
export function backfillList(output: Output & { watch: boolean }, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const { backfills, unasked } = output.watch ? await watched(admin) : await look(admin);
    const head = ["shard", "state", "frames left", "points/s", "left", "speed", "why"];
    const lines =
      backfills.length === 0 ? ["nothing waits for backfill"] : table(head, backfills.map(rowText));
    say(output, backfills, lines);
    return sayUnasked(unasked);
  });
}

/** The exit code: what could not be asked may have some. */
export function sayUnasked(unasked: readonly Unasked[]): number {
  for (const { shard, why } of unasked)
    process.stderr.write(`millrace: shard ${shard} could not be asked: ${why}\n`);
  return unasked.length > 0 ? 1 : 0;
}

function look(admin: AdminClient): Promise<Backfills> {
  return admin.get<Backfills>("/v1/backfills");
}

async function watched(admin: AdminClient): Promise<Backfills> {
  const bar = new ProgressBar("backfill", "frames");
  let most = 0;
  for (;;) {
    const now = await look(admin);
    if (now.backfills.length === 0 || now.unasked.length > 0) {
      bar.end();
      return now;
    }
    const left = now.backfills.reduce((sum, { framesLeft }) => sum + framesLeft, 0);
    most = Math.max(most, left);
    bar.show(most - left, most);
    await clock.sleep(lookAgainMs);
  }
}

function rowText({ shard, state, framesLeft, pointsPerSecond, doneAtMs, rate, why }: BackfillRow): string[] {
  return [
    String(shard),
    state,
    String(framesLeft),
    String(Math.round(pointsPerSecond)),
    doneAtMs === undefined ? "?" : etaText(Math.max(0, doneAtMs - clock.nowMs())),
    String(rate),
    why,
  ];
}

export function backfillVerb(
  verb: "pause" | "resume",
  shard: string,
  options: ChangeOptions,
  flags: Flags,
): Promise<void> {
  return withAdmin(flags, (admin) =>
    makeAndSay(admin, { url: shardUrl(shard, `backfill/${verb}`) }, options),
  );
}

export function backfillSpeed(
  shard: string,
  speed: string,
  options: ChangeOptions,
  flags: Flags,
): Promise<void> {
  return withAdmin(flags, (admin) =>
    makeAndSay(admin, { url: shardUrl(shard, "backfill/speed"), body: { rate: readRate(speed) } }, options),
  );
}

export function readRate(text: string): number | "full" {
  if (text === "full") return "full";
  if (/^[1-9]\d{0,11}$/.test(text)) return Number(text);
  throw new Refusal(`"${text}" is no speed: expected full, or points a second`);
}
