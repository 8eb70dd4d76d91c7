// `millrace dead ...`: lines that could not be applied: looking at them, applying them again, letting them go.
import { readFileSync } from "node:fs";
import { messageOf } from "../src/base/errors.ts";
import type { DeadList, DeadPart, Letter, LetterWhole, Unasked } from "./admin/dead-verbs.ts";
import { type AdminClient, withAdmin } from "./admin/client.ts";
import { make, type ChangeOptions } from "./change.ts";
import { Refusal } from "./command.ts";
import type { Flags } from "./directory.ts";
import { harmless } from "./refused.ts";
import { ProgressBar, say, type Output } from "./say.ts";
import { countDoing, countText } from "./words.ts";

const pageLetters = 500;
const refusedShownMost = 20;

export interface DeadWhich {
  /** SHARD/SEQUENCE/PART */
  id: string | undefined;
  tenant: string | undefined;
  reason: string | undefined;
  all: boolean;
}

export function deadList(
  options: Output & { tenant: string | undefined; reason: string | undefined; limit: string },
  flags: Flags,
): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const { tenant, reason } = options;
    const limit = Number(options.limit);
    if (!Number.isInteger(limit) || limit < 1)
      throw new Refusal(`--limit is "${options.limit}": give a number`);
    const letters: Letter[] = [];
    let page: DeadList | undefined;
    for (let after: string | undefined; letters.length < limit; after = page.next ?? undefined) {
      const most = Math.min(pageLetters, limit - letters.length);
      page = await admin.get<DeadList>("/v1/dead", { tenant, reason, limit: most, after });
      letters.push(...page.letters);
      if (page.next === null) break;
    }
    say(options, letters, letters.length === 0 ? ["there is no such letter"] : letters.map(listLine));
    for (const held of page?.quarantined ?? [])
      process.stderr.write(
        `millrace: ${held.tenant} is in quarantine in shard ${held.shard} (${held.why}): millrace dead retry --tenant ${held.tenant}\n`,
      );
    const open = page?.open.letters ?? 0;
    if (open > letters.length && !options.json)
      process.stderr.write(
        `millrace: ${countDoing(open, "letter", "is", "are")} open, ${letters.length} of them shown\n`,
      );
    sayUnasked(page?.unasked ?? []);
    return (page?.unasked.length ?? 0) > 0 ? 1 : 0;
  });
}

function sayUnasked(unasked: readonly Unasked[]): void {
  for (const { shard, why } of unasked)
    process.stderr.write(`millrace: shard ${shard} could not be asked: ${why}\n`);
}

function listLine({ id, tenant, door, reason, receivedAtMs, lines, text }: Letter): string {
  const many = lines === 1 ? "" : `  (${countText(lines, "line")})`;
  const at = new Date(receivedAtMs).toISOString();
  return (
    [id, at, tenant === "" ? "-" : tenant, door === "" ? "-" : door, reason, shortText(text)].join("  ") +
    many
  );
}

function shortText(text: string): string {
  const line = text.split("\n")[0] ?? "";
  return harmless(line.length > 100 ? `${line.slice(0, 100)}...` : line);
}

export function deadShow(id: string, output: Output, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const letter = await admin.get<LetterWhole>(`/v1/dead/${pathOf(id)}`);
    say(output, letter, showLines(letter));
  });
}

export function showLines(letter: LetterWhole): string[] {
  const { id, tenant, door, reason, detail, receivedAtMs, bytes, lines, text, kind } = letter;
  const at = new Date(receivedAtMs).toISOString();
  return [
    `dead letter ${id}: ${reason}${detail === "" ? "" : ` (${harmless(detail)})`}`,
    `of ${tenant === "" ? "nobody" : tenant}, door ${door === "" ? "-" : door}, ${kind}, received ${at}`,
    `${countText(lines, "line")}, ${countText(bytes, "byte")}; ${placeText(letter)}`,
    ...text.trimEnd().split("\n").map(harmless),
    ...(bytes > Buffer.byteLength(text) ? [`(and more: only the beginning is shown)`] : []),
  ];
}

function placeText({ shard, tenant, place: { stream, frame, line, record } }: LetterWhole): string {
  const within = tenant === "" ? "" : `line ${line} of `;
  const where = `${within}frame ${frame} of ${stream}, shard ${shard}`;
  if (record === "held") return `${where}, which the record holds`;
  return record === "trimmed"
    ? `${where}, which the record holds no more`
    : `${where}, of the record before it was adopted`;
}

export function deadRetry(
  which: DeadWhich,
  edit: { file: string | undefined; lines: string[] },
  options: ChangeOptions,
  flags: Flags,
): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const lines = editedLines(edit);
    if (which.id !== undefined) pathOf(which.id);
    return many(admin, "retry", { ...which, ...(lines !== undefined && { lines }) }, options);
  });
}

export function deadDrop(which: DeadWhich, options: ChangeOptions, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    if (which.id !== undefined) pathOf(which.id);
    return many(admin, "drop", which, options, "Let them go for good?");
  });
}

/** Part after part, until there is no next one. */
async function many(
  admin: AdminClient,
  verb: "retry" | "drop",
  which: DeadWhich & { lines?: string },
  options: ChangeOptions,
  question?: string,
): Promise<number> {
  if (which.id === undefined && which.tenant === undefined && which.reason === undefined && !which.all)
    throw new Refusal("say which: a letter's id, --tenant NAME, --reason REASON, or --all");
  const url = `/v1/dead/${verb}`;
  const first = { url, body: which, ...(question !== undefined && { question }) };
  let part = await make<DeadPart>(admin, first, options);
  if (part === undefined) return 0;
  const sum = { letters: part.letters, refused: [...part.refused], unasked: [...part.unasked] };
  const bar = new ProgressBar(verb === "retry" ? "retrying" : "dropping", "letters");
  while (part.next !== null) {
    bar.show(sum.letters, undefined);
    part = await admin.post<DeadPart & { done: string }>(url, { ...which, from: part.next });
    sum.letters += part.letters;
    sum.refused.push(...part.refused);
    sum.unasked.push(...part.unasked);
  }
  bar.end();
  const does = verb === "retry" ? "in the record again" : "gone for good";
  say(options, sum, [`${countText(sum.letters, "letter")} ${does}`]);
  for (const { id, why } of sum.refused.slice(0, refusedShownMost))
    process.stderr.write(`millrace: ${id}: ${why}\n`);
  if (sum.refused.length > 0)
    process.stderr.write(
      `millrace: ${countDoing(sum.refused.length, "letter", "stays as it is", "stay as they are")}\n`,
    );
  sayUnasked(sum.unasked);
  return sum.refused.length + sum.unasked.length > 0 ? 1 : 0;
}

function editedLines({ file, lines }: { file: string | undefined; lines: string[] }): string | undefined {
  if (file !== undefined && lines.length > 0) throw new Refusal("give --edit or --line, not both");
  if (lines.length > 0) return lines.map((line) => `${line}\n`).join("");
  if (file === undefined) return undefined;
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    throw new Refusal(`${file} can't be read: ${messageOf(error)}`);
  }
}

function pathOf(id: string): string {
  if (!/^\d+\/\d+\/\d+$/.test(id))
    throw new Refusal(`"${id}" names no dead letter: expected SHARD/SEQUENCE/PART, such as 3/1042/0`);
  return id;
}
