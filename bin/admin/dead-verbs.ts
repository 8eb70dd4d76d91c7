// Verbs of the admin API about dead letters: lines that could not be applied, wherever they lie. A letter is named by
// SHARD/SEQUENCE/PART.
//
// D1. Retrying or dropping many is done in parts: each answer says where the next one goes on, and `from` on where it
//     ends, so that letters that come meanwhile, those of lines that are dead again among them, are not taken as well.
// D2. A shard that can't be asked costs its own letters: the others' are listed, retried or dropped all the same.
import { Refused, type Asked, type Verb } from "../../src/api/operate.ts";
import { systemClock as clock } from "../../src/base/clock.ts";
import {
  isPlace,
  lettersMost,
  type LetterInRecord,
  type LetterShown,
} from "../../cluster/letter-messages.ts";
import type { LetterPlace } from "../../src/store/store.ts";
import { askShard } from "../ask-shard.ts";
import { fewAtATime } from "../few.ts";
import {
  allShards,
  flagOf,
  maybeTextOf,
  shardOf,
  tenantOf,
  tenantsOf,
  type Operator,
  type OperatorOf,
} from "./operator.ts";
import { notDone } from "./shard-verbs.ts";
import { countText, shardsText } from "../words.ts";

const url = "/v1/dead";
/** How long one part of many may take. */
const partMsMax = 4000;

/** A dead letter as operators see it: `tenant` is its name, or its id where it has none any more; "": nobody's. */
export interface Letter extends LetterShown {
  id: string;
  shard: number;
}

/** With where its first line was read. */
export type LetterWhole = Letter & Pick<LetterInRecord, "place">;

export interface DeadList {
  letters: Letter[];
  /** Where to go on; null: these are all. */
  next: string | null;
  /** Of all that match, as far as shards could be asked. */
  open: { letters: number; lines: number; bytes: number };
  quarantined: { shard: number; tenant: string; sinceMs: number; why: string }[];
  unasked: Unasked[];
}

/** D2. */
export interface Unasked {
  shard: number;
  why: string;
}

export interface DeadPart {
  done: string;
  letters: number;
  gone: number;
  refused: { id: string; why: string }[];
  /** Where not all was done that could have been. */
  unasked: Unasked[];
  /** null: that was all. */
  next: string | null;
}

export function deadVerbs(operator: OperatorOf): Verb[] {
  return [
    { method: "GET", url, effect: "none", answer: (asked) => list(operator, asked) },
    {
      method: "GET",
      url: `${url}/:shard/:sequence/:part`,
      effect: "none",
      answer: (asked) => show(operator, asked),
    },
    { method: "POST", url: `${url}/retry`, effect: "changes", answer: (asked) => retry(operator, asked) },
    { method: "POST", url: `${url}/drop`, effect: "discards", answer: (asked) => drop(operator, asked) },
  ];
}

async function list(operator: OperatorOf, { query }: Asked): Promise<object> {
  const at = await operator();
  const most = Number(query["limit"] ?? 100);
  if (!Number.isInteger(most) || most < 1 || most > lettersMost)
    throw new Refused(400, `limit is 1 to ${lettersMost}`);
  const only = await onlyOf(at, query);
  const names = new Map((await tenantsOf(at)).map(({ id, name }) => [id, name]));
  const answer: DeadList = {
    letters: [],
    next: null,
    open: { letters: 0, lines: 0, bytes: 0 },
    quarantined: [],
    unasked: [],
  };
  const told = await fewAtATime(allShards(at), (shard) => askShard(at.bus, { kind: "dead-counts", shard }));
  for (const [shard, counts] of told.entries()) {
    if (counts.kind !== "dead-counts") {
      answer.unasked.push({ shard, why: whyNot(counts) });
      continue;
    }
    for (const count of counts.counts.filter((each) => matches(each, only))) {
      answer.open.letters += count.letters;
      answer.open.lines += count.lines;
      answer.open.bytes += count.bytes;
    }
    for (const { tenant, sinceMs, why } of counts.quarantined)
      if (only.tenant === undefined || only.tenant === tenant)
        answer.quarantined.push({ shard, tenant: names.get(tenant) ?? tenant, sinceMs, why });
  }
  const cursor = query["after"] === undefined ? undefined : placeOf(query["after"]);
  for (const shard of allShards(at)) {
    if (cursor !== undefined && shard < cursor.shard) continue;
    if (answer.unasked.some((each) => each.shard === shard)) continue;
    let after: LetterPlace | undefined = cursor?.shard === shard ? cursor : undefined;
    while (answer.letters.length < most) {
      const asked = { ...only, ...(after && { after: { sequence: after.sequence, part: after.part } }) };
      const page = await askShard(at.bus, {
        kind: "dead-list",
        shard,
        only: asked,
        most: most - answer.letters.length,
      });
      if (page.kind !== "dead-letters") answer.unasked.push({ shard, why: whyNot(page) });
      if (page.kind !== "dead-letters" || page.letters.length === 0) break;
      answer.letters.push(...page.letters.map((letter) => letterOf(shard, letter, names)));
      after = page.letters.at(-1);
    }
  }
  if (answer.letters.length >= most) answer.next = answer.letters.at(-1)?.id ?? null;
  return answer;
}

async function show(operator: OperatorOf, { params }: Asked): Promise<object> {
  return await shown(await operator(), `${params["shard"]}/${params["sequence"]}/${params["part"]}`);
}

/** Throws Refused where it is not open. */
async function shown(at: Operator, id: string): Promise<object> {
  const { shard, ...place } = placeOf(id);
  const answer = await askShard(at.bus, { kind: "dead-show", shard: shardOf(at, String(shard)), place });
  if (answer.kind !== "dead-letter") throw notDone(shard, answer);
  if (answer.letter === null) throw new Refused(404, `the dead letter ${id} is not open`);
  const names = new Map((await tenantsOf(at)).map((tenant) => [tenant.id, tenant.name]));
  return { ...letterOf(shard, answer.letter, names), place: answer.letter.place };
}

async function retry(operator: OperatorOf, asked: Asked): Promise<object> {
  const at = await operator();
  const id = maybeTextOf(asked, "id");
  const lines = maybeTextOf(asked, "lines");
  if (id === undefined) {
    if (lines !== undefined) throw new Refused(400, "edited lines are those of a single letter");
    return many(at, asked, "retry");
  }
  const { shard, ...place } = placeOf(id);
  shardOf(at, String(shard));
  if (asked.dryRun)
    return { ...(await shown(at, id)), preview: `the dead letter ${id} would be applied again` };
  const edited = lines === undefined ? {} : { lines };
  const answer = await askShard(at.bus, { kind: "dead-retry", shard, places: [place], ...edited });
  if (answer.kind !== "dead-retried") throw notDone(shard, answer);
  if (answer.gone > 0) throw new Refused(404, `the dead letter ${id} is not open`);
  const [refused] = answer.refused;
  if (refused !== undefined) throw new Refused(409, `${id}: ${refused.why}`);
  if (answer.why !== "") throw new Refused(503, `${id}: ${answer.why}`);
  return single(`${id} is in the record again`);
}

async function drop(operator: OperatorOf, asked: Asked): Promise<object> {
  const at = await operator();
  const id = maybeTextOf(asked, "id");
  if (id === undefined) return many(at, asked, "drop");
  const { shard, ...place } = placeOf(id);
  shardOf(at, String(shard));
  if (asked.dryRun)
    return { ...(await shown(at, id)), preview: `the dead letter ${id} would be gone for good` };
  const answer = await askShard(at.bus, { kind: "dead-drop", shard, places: [place] });
  if (answer.kind !== "dead-dropped") throw notDone(shard, answer);
  if (answer.letters === 0) throw new Refused(404, `the dead letter ${id} is not open`);
  return single(`${id} is gone for good`);
}

function single(done: string): DeadPart {
  return { done, letters: 1, gone: 0, refused: [], unasked: [], next: null };
}

/** D1. `from`: what the answer before said; it names the shard, the place, and where the shard's letters end. */
async function many(at: Operator, asked: Asked, verb: "retry" | "drop"): Promise<object> {
  const said = { tenant: maybeTextOf(asked, "tenant"), reason: maybeTextOf(asked, "reason") };
  if (said.tenant === undefined && said.reason === undefined && !flagOf(asked, "all"))
    throw new Refused(400, "name a letter, a tenant, a reason, or say that all are meant");
  const only = await onlyOf(at, said);
  if (asked.dryRun) return previewMany(at, only, verb);
  const part: DeadPart = {
    done: "",
    letters: 0,
    gone: 0,
    refused: [],
    unasked: [],
    next: maybeTextOf(asked, "from") ?? "0",
  };
  const overMs = clock.monotonicMs() + partMsMax;
  while (part.next !== null) {
    const { shard, after, until } = cursorOf(part.next);
    if (shard >= at.settings.shards) {
      part.next = null;
      break;
    }
    try {
      const end = until ?? (await beginShard(at, shard, only, verb));
      part.next = await onePage(at, { shard, after, until: end }, only, verb, part);
    } catch (error) {
      if (!(error instanceof NotAsked)) throw error;
      part.unasked.push({ shard, why: error.message }); // D2
      part.next = String(shard + 1);
    }
    if (clock.monotonicMs() > overMs) break;
  }
  const does = verb === "retry" ? "in the record again" : "gone for good";
  part.done = `${countText(part.letters, "letter")} ${does}`;
  return part;
}

/** D2. */
class NotAsked extends Error {}

interface Cursor {
  shard: number;
  after: LetterPlace | undefined;
  /** Letters of later frames came meanwhile. */
  until: number;
}

/** Where the shard's letters end now. A tenant's retry ends its quarantine first. */
async function beginShard(
  at: Operator,
  shard: number,
  only: { tenant?: string },
  verb: "retry" | "drop",
): Promise<number> {
  const counts = await askShard(at.bus, { kind: "dead-counts", shard });
  if (counts.kind !== "dead-counts") throw new NotAsked(whyNot(counts));
  const isHeld = counts.quarantined.some(({ tenant }) => tenant === only.tenant);
  if (verb === "drop" || only.tenant === undefined || !isHeld) return counts.last;
  const released = await askShard(at.bus, { kind: "dead-release", shard, tenant: only.tenant });
  if (released.kind !== "dead-released") throw new NotAsked(whyNot(released));
  // What was buried until the release is among them.
  const now = await askShard(at.bus, { kind: "dead-counts", shard });
  return now.kind === "dead-counts" ? now.last : counts.last;
}

/** Answers where the next one goes on. */
async function onePage(
  at: Operator,
  { shard, after, until }: Cursor,
  only: { tenant?: string; reason?: string },
  verb: "retry" | "drop",
  part: DeadPart,
): Promise<string | null> {
  const asked = { ...only, ...(after && { after }) };
  const page = await askShard(at.bus, { kind: "dead-list", shard, only: asked, most: 200 });
  if (page.kind !== "dead-letters") throw new NotAsked(whyNot(page));
  const places = page.letters
    .map(({ sequence, part: within }) => ({ sequence, part: within }))
    .filter(({ sequence }) => sequence <= until);
  const last = places.at(-1);
  if (last === undefined) return String(shard + 1);
  if (verb === "drop") {
    const dropped = await askShard(at.bus, { kind: "dead-drop", shard, places });
    if (dropped.kind !== "dead-dropped") throw new NotAsked(whyNot(dropped));
    part.letters += dropped.letters;
  } else {
    const retried = await askShard(at.bus, { kind: "dead-retry", shard, places });
    if (retried.kind !== "dead-retried") throw new NotAsked(whyNot(retried));
    part.letters += retried.recorded;
    part.gone += retried.gone;
    for (const { sequence, part: within, why } of retried.refused)
      part.refused.push({ id: `${shard}/${sequence}/${within}`, why });
    if (retried.why !== "") throw new NotAsked(retried.why);
  }
  return `${shard}/${last.sequence}/${last.part}/${until}`;
}

async function previewMany(
  at: Operator,
  only: { tenant?: string; reason?: string },
  verb: "retry" | "drop",
): Promise<object> {
  let letters = 0;
  let lines = 0;
  const unasked: Unasked[] = [];
  const told = await fewAtATime(allShards(at), (shard) => askShard(at.bus, { kind: "dead-counts", shard }));
  for (const [shard, answer] of told.entries()) {
    if (answer.kind !== "dead-counts") {
      unasked.push({ shard, why: whyNot(answer) });
      continue;
    }
    for (const count of answer.counts.filter((each) => matches(each, only))) {
      letters += count.letters;
      lines += count.lines;
    }
  }
  const would = verb === "retry" ? "would be applied again" : "would be gone for good";
  const silent = unasked.map(({ shard }) => shard);
  const more = silent.length === 0 ? "" : `; ${shardsText(silent)} could not be asked`;
  const preview = `${countText(letters, "dead letter")} with ${countText(lines, "line")} ${would}${more}`;
  return { preview, letters, lines, unasked };
}

function whyNot(answer: { kind: string; why?: string }): string {
  return answer.why ?? `its node answered ${answer.kind}`;
}

async function onlyOf(
  at: Operator,
  said: { tenant?: string | undefined; reason?: string | undefined },
): Promise<{ tenant?: string; reason?: string }> {
  const tenant = said.tenant === undefined ? undefined : (await tenantOf(at, said.tenant)).id;
  return {
    ...(tenant !== undefined && { tenant }),
    ...(said.reason !== undefined && { reason: said.reason }),
  };
}

function matches(
  count: { tenant: string; reason: string },
  { tenant, reason }: { tenant?: string; reason?: string },
): boolean {
  return (tenant ?? count.tenant) === count.tenant && (reason ?? count.reason) === count.reason;
}

function letterOf(shard: number, letter: LetterShown, names: ReadonlyMap<string, string>): Letter {
  const { sequence, part, tenant } = letter;
  const id = `${shard}/${sequence}/${part}`;
  return { ...letter, id, shard, tenant: names.get(tenant) ?? tenant };
}

function placeOf(id: string): LetterPlace & { shard: number } {
  const match = /^(\d{1,4})\/(\d{1,16})\/(\d{1,10})$/.exec(id);
  const [shard, sequence, part] = (match ?? []).slice(1).map(Number);
  const place = { sequence, part };
  if (shard === undefined || !isPlace(place))
    throw new Refused(400, `"${id}" names no dead letter: expected SHARD/SEQUENCE/PART, such as 3/1042/0`);
  return { shard, ...place };
}

function cursorOf(text: string): Omit<Cursor, "until"> & { until: number | undefined } {
  const match = /^(\d{1,4})(?:\/(\d{1,16})\/(\d{1,10})\/(\d{1,16}))?$/.exec(text);
  const [shard, sequence, part, until] = (match ?? []).slice(1).map(Number);
  if (shard === undefined) throw new Refused(400, `"from" is what the answer before said`);
  const after = { sequence, part };
  return isPlace(after) ? { shard, after, until } : { shard, after: undefined, until: undefined };
}
