// `millrace ledger TENANT`: what came in, by door and time, what became of it, and whether it balances.
//
// L1. Exit code 0: it balances. 1: it does not. 2: a shard could not be asked, so nobody knows.
import type { Bus } from "../src/bus/bus.ts";
import { minutesWithin } from "../src/api/ledger.ts";
import { parseRange } from "../src/graphite/range.ts";
import { doors, type Door } from "../src/metric/frame.ts";
import { booksOf, groupings, sumOf, type BookLine, type Grouping } from "../src/store/books.ts";
import { allHomes } from "../src/tenant/routing.ts";
import { askLedger } from "./ask-ledger.ts";
import { clock } from "./process.ts";
import { find, Refusal, say, withDirectory, type Flags, type Output } from "./directory.ts";

export interface LedgerOptions extends Output {
  from: string;
  until: string;
  by: string;
  door: string | undefined;
}

export interface Ledger {
  /** Epoch seconds of the first and the last minute, both included. */
  from: number;
  until: number;
  /** Every shard was asked, and each minute of each shard balances: what one shard misses another can't have. */
  balances: boolean;
  unbalanced: { shard: number; door: string; minute: number; missing: number }[];
  lines: BookLine[];
  total: BookLine[];
  /** Only so much was counted of what is queued: at least as much as said. */
  queuedAtLeast: boolean;
  unasked: { shard: number; why: string }[];
}

export const exitUnbalanced = 1;
export const exitUnknown = 2;

export function ledgerShow(name: string, options: LedgerOptions, flags: Flags): Promise<void> {
  return withDirectory(flags, async (kv, settings, bus) => {
    const by = groupings.find((each) => each === options.by);
    if (by === undefined)
      throw new Refusal(`--by is "${options.by}": expected one of ${groupings.join(", ")}`);
    if (options.door !== undefined && !(doors as readonly string[]).includes(options.door))
      throw new Refusal(`--door is "${options.door}": expected one of ${doors.join(", ")}`);
    const range = minutesOf(options.from, options.until);
    const tenant = await find(kv, name);
    const ledger = await ledgerOf(bus, tenant.id, allHomes(tenant, settings.shards), range, by, options.door);
    say(options, ledger, textOf(ledger, by));
    for (const { shard, why } of ledger.unasked)
      process.stderr.write(`millrace: shard ${shard} could not be asked: ${why}\n`);
    if (ledger.unbalanced.length > 0) return exitUnbalanced;
    return ledger.balances ? 0 : exitUnknown;
  });
}

/** Whole minutes of a range as Graphite writes it. Throws a Refusal. */
function minutesOf(from: string, until: string): { from: number; until: number } {
  const answer = parseRange({ from, until, now: undefined, tz: undefined }, Math.floor(clock.nowMs() / 1000));
  if (answer.kind === "invalid") throw new Refusal(answer.why);
  return minutesWithin(answer.range);
}

export async function ledgerOf(
  bus: Bus,
  tenant: string,
  shards: readonly number[],
  range: { from: number; until: number },
  by: Grouping,
  door?: string,
): Promise<Ledger> {
  const { parts, unasked } = await askLedger(bus, tenant, shards, range.from, range.until, true);
  const ofDoor = (row: { door: Door }) => door === undefined || row.door === door;
  const rows = parts.flatMap((part) => part.rows).filter(ofDoor);
  const queued = parts.flatMap((part) => part.queued).filter(ofDoor);
  const lines = booksOf(rows, queued, by);
  const unbalanced = parts.flatMap((part) =>
    booksOf(part.rows.filter(ofDoor), [], "minute")
      .filter(({ missing }) => missing !== 0)
      .map((line) => ({ shard: part.shard, door: line.door, minute: line.from, missing: line.missing })),
  );
  return {
    ...range,
    balances: unbalanced.length === 0 && unasked.length === 0,
    unbalanced,
    lines,
    total: booksOf(rows, queued, "total"),
    queuedAtLeast: parts.some(({ queuedMore }) => queuedMore),
    unasked,
  };
}

function textOf(ledger: Ledger, by: Grouping): string[] {
  const head = ["from", "door", "received", "stored", "refused", "dead", "queued"];
  const rows = [...ledger.lines, ...(by === "total" ? [] : ledger.total)].map((line, i) => [
    i < ledger.lines.length && by !== "total"
      ? new Date(line.from * 1000).toISOString().slice(0, 16)
      : "total",
    line.door,
    String(line.received),
    String(line.stored),
    String(sumOf(line.refused)),
    String(sumOf(line.dead)),
    String(line.queued),
    [
      ...Object.entries(line.refused).map(([reason, count]) => `${reason} ${count}`),
      ...Object.entries(line.dead).map(([reason, count]) => `dead: ${reason} ${count}`),
      ...(line.missing === 0 ? [] : [`DOES NOT BALANCE: ${line.missing}`]),
    ].join(", "),
  ]);
  const verdict = ledger.balances
    ? "balances"
    : ledger.unbalanced.length > 0
      ? "DOES NOT BALANCE: see docs/operating/ledger.md"
      : "unknown: a shard could not be asked";
  if (rows.length === 0) return ["nothing was received in this time", ...(ledger.balances ? [] : [verdict])];
  const widths = head.map((word, i) => Math.max(word.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const show = (row: string[]) =>
    row
      .map((word, i) =>
        i < 2 || i >= head.length ? word.padEnd(widths[i] ?? 0) : word.padStart(widths[i] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [
    show(head),
    ...rows.map(show),
    ...(ledger.queuedAtLeast ? ["there is more queued than could be counted"] : []),
    ...ledger.unbalanced.map(
      ({ shard, door, minute, missing }) =>
        `shard ${shard}, ${new Date(minute * 1000).toISOString().slice(0, 16)}, ${door}: ${missing} missing`,
    ),
    verdict,
  ];
}
