// `millrace replay ...`: spans of a tenant rebuilt from the record, beside live data; readers see them when they are whole.
import { parseRange } from "../src/graphite/range.ts";
import { type AdminClient, withAdmin } from "./admin/client.ts";
import type { ReplayRow, Unasked } from "./admin/job-verbs.ts";
import { readRate, sayUnasked } from "./backfill.ts";
import { make, makeAndSay, table, type ChangeOptions } from "./change.ts";
import { Refusal } from "./command.ts";
import type { Flags } from "./directory.ts";
import { clock } from "./process.ts";
import { etaText, ProgressBar, say, type Output } from "./say.ts";

const lookAgainMs = 500;

export interface ReplayOptions extends ChangeOptions {
  tenant: string | undefined;
  from: string | undefined;
  to: string | undefined;
  rate: string | undefined;
  watch: boolean;
}

interface Begun {
  replays: { shard: number; id: number }[];
}

interface Replays {
  replays: ReplayRow[];
  unasked: Unasked[];
}

export function replayBegin(options: ReplayOptions, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const { tenant, from, to } = options;
    if (tenant === undefined || from === undefined || to === undefined)
      throw new Refusal("say of whom and of when: --tenant NAME --from TIME --to TIME");
    const rate = options.rate === undefined ? {} : { rate: readRate(options.rate) };
    const body = { tenant, ...rangeOf(from, to), ...rate };
    const begun = await make<Begun>(admin, { url: "/v1/replays", body }, options);
    if (begun === undefined) return undefined;
    if (!options.watch) return say(options, begun, [begun.done, "millrace replay list shows how far it is"]);
    return watch(admin, begun, options);
  });
}

/** Until all of them are over. Exit code 1: one is no more, and was not swapped as far as this could see. */
async function watch(admin: AdminClient, begun: Begun, output: Output): Promise<number> {
  const bar = new ProgressBar("replay", "frames");
  const mine = (row: ReplayRow) =>
    begun.replays.some(({ shard, id }) => row.shard === shard && row.id === id);
  for (;;) {
    const now = (await admin.get<Replays>("/v1/replays")).replays.filter(mine);
    const rest = now.filter(({ state }) => state !== "swapped");
    const failed = rest.find(({ job }) => job.state === "failed");
    if (failed !== undefined) {
      bar.end();
      throw new Refusal(`replay ${failed.shard}/${failed.id} failed: ${failed.job.why}`);
    }
    if (rest.length === 0) {
      bar.end();
      say(output, begun, ["readers see what was rebuilt"]);
      return 0;
    }
    const frames = rest.reduce((sum, { job }) => sum + job.frames, 0);
    bar.show(frames - rest.reduce((sum, { job }) => sum + job.framesLeft, 0), frames);
    await clock.sleep(lookAgainMs);
  }
}

/** Epoch seconds of times as Graphite writes them. */
function rangeOf(from: string, to: string): { from: number; until: number } {
  const now = Math.floor(clock.nowMs() / 1000);
  const read = parseRange({ from, until: to, now: undefined, tz: undefined }, now);
  if (read.kind === "invalid") throw new Refusal(read.why);
  return { from: read.range.from, until: read.range.until };
}

export function replayList(output: Output, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const { replays, unasked } = await admin.get<Replays>("/v1/replays");
    const head = ["replay", "tenant", "from", "until", "state", "frames left", "left", "why"];
    say(output, replays, replays.length === 0 ? ["there are no replays"] : table(head, replays.map(rowText)));
    return sayUnasked(unasked);
  });
}

function rowText({ shard, id, tenant, from, until, state, job }: ReplayRow): string[] {
  const at = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 19);
  const doing = state === "building" ? job.state : state;
  const left = job.etaMs === null ? "?" : etaText(job.etaMs);
  return [`${shard}/${id}`, tenant, at(from), at(until), doing, String(job.framesLeft), left, job.why];
}

/** `which`: SHARD/ID, as the list says. */
export function replayVerb(
  verb: "stop" | "start" | "abandon",
  which: string,
  options: ChangeOptions,
  flags: Flags,
): Promise<void> {
  return withAdmin(flags, async (admin) => {
    if (!/^\d+\/\d+$/.test(which))
      throw new Refusal(`"${which}" names no replay: expected SHARD/ID, as millrace replay list says`);
    const question = verb === "abandon" ? { question: "Give up what was rebuilt?" } : {};
    await makeAndSay(admin, { url: `/v1/replays/${which}/${verb}`, ...question }, options);
  });
}
