// A change by the admin API, as every command makes it: looked at first where that was asked for, and asked about where it
// takes something away.
//
// D1. Nothing is discarded unless --yes was given or a person at a terminal said yes to what would happen.
import type { AdminClient } from "./admin/client.ts";
import { Refusal } from "./command.ts";
import { canAsk, isWanted, say, type Output } from "./say.ts";

export interface ChangeOptions extends Output {
  dryRun: boolean;
  yes: boolean;
}

export interface Change {
  url: string;
  body?: object;
  /** What a person is asked behind the preview; undefined: it discards nothing. */
  question?: string;
}

interface Would {
  preview: string;
  /** There is nothing to be done, and nobody is asked. */
  nothing?: boolean;
}

/** undefined: it was only looked at, and said. Throws a Refusal where it is not wanted. */
export async function make<T extends object>(
  admin: AdminClient,
  { url, body = {}, question }: Change,
  options: ChangeOptions,
): Promise<(T & { done: string }) | undefined> {
  if (options.dryRun) {
    const would = await admin.post<Would>(url, { ...body, dryRun: true });
    say(options, would, [`${would.preview} (nothing was done: --dry-run)`]);
    return undefined;
  }
  if (question !== undefined && !options.yes) {
    const { preview, nothing } = await admin.post<Would>(url, { ...body, dryRun: true });
    if (nothing === true) throw new Refusal(preview);
    if (!canAsk()) throw new Refusal("not at a terminal: look with --dry-run, then say --yes");
    if (!(await isWanted(`${preview}. ${question} [y/N] `))) throw new Refusal("nothing was done"); // D1
  }
  return admin.post<T & { done: string }>(url, body);
}

/** The whole command, where there is nothing more to it. */
export async function makeAndSay(admin: AdminClient, change: Change, options: ChangeOptions): Promise<void> {
  const answer = await make<object>(admin, change, options);
  if (answer !== undefined) say(options, answer, [answer.done]);
}

/** Rows as a person reads them: columns as wide as their widest cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  return [head, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
