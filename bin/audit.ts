// `millrace audit`: who changed what, from where, and what came of it; the newest first.
import { parseRange } from "../src/graphite/range.ts";
import { withAdmin } from "./admin/client.ts";
import { Refusal } from "./command.ts";
import type { Flags } from "./directory.ts";
import { clock } from "./process.ts";
import { harmless } from "./refused.ts";
import { say, type Output } from "./say.ts";
import type { AuditEntry } from "../src/api/operate.ts";

const pageEntries = 500;

interface Page {
  entries: ({ sequence: number } & AuditEntry)[];
  next: number | null;
}

export function auditShow(
  options: Output & { from: string | undefined; limit: string },
  flags: Flags,
): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const limit = Number(options.limit);
    if (!Number.isInteger(limit) || limit < 1)
      throw new Refusal(`--limit is "${options.limit}": give a number`);
    const sinceMs = options.from === undefined ? 0 : 1000 * secondsOf(options.from);
    const found: Page["entries"] = [];
    let next: number | null = null;
    do {
      const before: number | undefined = next ?? undefined;
      const page: Page = await admin.get<Page>("/v1/audit", {
        limit: Math.min(pageEntries, limit - found.length),
        before,
      });
      const wanted = page.entries.filter(({ atMs }) => atMs >= sinceMs);
      found.push(...wanted);
      next = wanted.length < page.entries.length ? null : page.next;
    } while (next !== null && found.length < limit);
    say(options, found, found.map(lineOf));
  });
}

function lineOf({ atMs, who, user, from, what, with: body, outcome, why }: AuditEntry): string {
  const whose = user === "" ? who : `${who} (${user})`;
  const came = why === "" ? outcome : `${outcome}: ${why}`;
  return harmless(`${new Date(atMs).toISOString()}  ${whose}  ${from}  ${what}  ${body}  ${came}`);
}

function secondsOf(text: string): number {
  const now = Math.floor(clock.nowMs() / 1000);
  const read = parseRange({ from: text, until: "now", now: undefined, tz: undefined }, now);
  if (read.kind === "invalid") throw new Refusal(read.why);
  return read.range.from;
}
