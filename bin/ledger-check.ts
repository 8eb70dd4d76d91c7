// `millrace ledger --check`: counts the record against the ledger.
//
// C1. Both sides are of the same frames: each tenant's rows come with the place that they are of, and the record is
//     counted on up to that place (counted-record.ts).
// C2. Only minutes that the record holds whole are compared: what was trimmed can't be counted again.
// C3. Exit code 0: they agree, and every line of the ledger balances. 1: they don't. 2: something could not be counted.
import type { Bus, StreamState } from "../src/bus/bus.ts";
import { wholeFrom } from "../src/store/record.ts";
import { isOutage, messageOf } from "../src/base/errors.ts";
import { booksOf } from "../src/store/books.ts";
import { listTenants } from "../src/tenant/admin.ts";
import { askLedger, type ShardLedger } from "./ask-ledger.ts";
import { exitUnbalanced, exitUnknown } from "./ledger.ts";
import { CountedRecord } from "./counted-record.ts";
import { clock } from "./process.ts";
import { Recount, type Difference } from "./recount.ts";
import { countText } from "./words.ts";
import { find, say, withDirectory, type Flags, type Output } from "./directory.ts";

/** A gateway's clock may be this far from the broker's. */
const clockMarginSeconds = 60;
const shownMost = 20;
/** Far beyond any minute. */
const lastMinute = 2 ** 32 - 1 - ((2 ** 32 - 1) % 60);

const wentBack = "its place in the record went back while it was counted: try again";

interface Checked {
  shard: number;
  frames: number;
  lines: number;
  /** Minutes from here on were compared, epoch seconds. */
  from: number;
  differences: Difference[];
  unbalanced: { tenant: string; door: string; minute: number; missing: number }[];
}

export function ledgerCheck(options: Output & { tenant: string | undefined }, flags: Flags): Promise<void> {
  return withDirectory(flags, async (kv, settings, bus) => {
    const names = new Map((await listTenants(kv)).map(({ id, name }) => [id, name]));
    const only = options.tenant === undefined ? undefined : new Set([(await find(kv, options.tenant)).id]);
    const checked: Checked[] = [];
    const failed: { shard: number; why: string }[] = [];
    for (let shard = 0; shard < settings.shards; shard++) {
      try {
        const result = await checkShard(bus, shard, only ?? new Set(names.keys()), only);
        if (typeof result === "string") failed.push({ shard, why: result });
        else checked.push(result);
      } catch (error) {
        if (!isOutage(error)) throw error;
        failed.push({ shard, why: `${error.code}: ${messageOf(error)}` });
      }
    }
    const wrong = checked.some(({ differences, unbalanced }) => differences.length + unbalanced.length > 0);
    say(options, { agrees: !wrong && failed.length === 0, shards: checked, failed }, textOf(checked, names));
    for (const { shard, why } of failed)
      process.stderr.write(`millrace: shard ${shard} could not be checked: ${why}\n`);
    return wrong ? exitUnbalanced : failed.length > 0 ? exitUnknown : 0;
  });
}

/** A sentence where it can't be counted. */
async function checkShard(
  bus: Bus,
  shard: number,
  known: ReadonlySet<string>,
  only: ReadonlySet<string> | undefined,
): Promise<Checked | string> {
  const stream = await bus.streamState(shard);
  const from = await comparedFrom(bus, shard, stream);
  const recount = new Recount();
  const counted = new CountedRecord(bus, clock, shard, (frame, begin, end) =>
    recount.add(frame, only, begin, end),
  );
  // Any tenant's answer says where the shard is: whoever was counted up to there may have tenants that nobody knows.
  const [anyone = ""] = known;
  const now = await askLedger(bus, anyone, [shard], lastMinute, lastMinute, false);
  const [place] = now.parts;
  if (place === undefined) return now.unasked[0]?.why ?? "it did not say its offset";
  if (!(await counted.upTo(place))) return wentBack;
  const differences: Difference[] = [];
  const unbalanced: Checked["unbalanced"] = [];
  for (const tenant of only ?? new Set([...known, ...recount.tenants])) {
    const asked = await askLedger(bus, tenant, [shard], from, lastMinute, false);
    if (asked.unasked[0] !== undefined) return asked.unasked[0].why;
    for (const part of asked.parts) {
      if (!(await counted.upTo(part))) return wentBack;
      if (recount.isFull) return "more tenants and minutes than can be counted at once: name a tenant";
      differences.push(...recount.differences(tenant, part.rows, part));
      unbalanced.push(...unbalancedOf(tenant, part));
    }
  }
  return { shard, frames: recount.frames, lines: recount.lines, from, differences, unbalanced };
}

/** C2. The first minute that the record surely holds whole; a record that begins with its first frame has lost nothing. */
async function comparedFrom(bus: Bus, shard: number, stream: StreamState): Promise<number> {
  const whole = await wholeFrom(bus, shard, stream, []);
  if (whole <= 1) return 0;
  const first = stream.messages === 0 ? undefined : await bus.frameAt(shard, whole);
  const gone = first?.timeMs ?? clock.nowMs();
  return Math.ceil((gone / 1000 + clockMarginSeconds) / 60) * 60;
}

function unbalancedOf(tenant: string, part: ShardLedger): Checked["unbalanced"] {
  return booksOf(part.rows, [], "minute")
    .filter(({ missing }) => missing !== 0)
    .map(({ door, from, missing }) => ({ tenant, door, minute: from, missing }));
}

function textOf(checked: readonly Checked[], names: ReadonlyMap<string, string>): string[] {
  const at = (minute: number) => new Date(minute * 1000).toISOString().slice(0, 16);
  return checked.flatMap(({ shard, frames, lines, from, differences, unbalanced }) => [
    `shard ${shard}: ${countText(lines, "line")} in ${countText(frames, "frame")}${from === 0 ? "" : `, compared from ${at(from)} on`}: ${
      differences.length + unbalanced.length === 0 ? "agrees" : "DIFFERS"
    }`,
    ...differences
      .slice(0, shownMost)
      .map(
        (d) =>
          `  ${at(d.minute)}  ${names.get(d.tenant) ?? d.tenant}  ${d.door}  ${d.what}: ` +
          `record ${d.record}, ledger ${d.ledger}`,
      ),
    ...unbalanced
      .slice(0, shownMost)
      .map(
        (u) =>
          `  ${at(u.minute)}  ${names.get(u.tenant) ?? u.tenant}  ${u.door}  does not balance: ${u.missing} missing`,
      ),
  ]);
}
