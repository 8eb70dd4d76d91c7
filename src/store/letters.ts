// Dead letters as they lie in a shard's table: the letter under its place; beside it a row in the list of its tenant and
// reason, and in the counts of these two. Worked out against one state of the shard; nothing is written here.
//
// L1. The three always agree: who puts or removes letters does it by DeadLetters, in one change.
// L2. Letters of others cost nothing: what is asked of a tenant or a reason is read from its own lists, and counts from
//     a row each.
// L3. A page is bounded in letters and in bytes, and lets others run.
// L4. Of a letter that was retried or dropped it stays known that there was one (closed-letters.ts).
// L5. A store from before there were lists gets them by the first claim, a bounded part at a time.
import { Outage } from "../base/errors.ts";
import type { State, Writes } from "./environment.ts";
import { encodeClosed, type Closing } from "./closed-letters.ts";
import {
  after,
  closedKey,
  deadCountKey,
  deadCountPlace,
  deadCountPrefix,
  deadKey,
  deadKeyOfList,
  deadListedKey,
  deadListKey,
  deadListPrefix,
  deadPlace,
  tableRange,
} from "./keys.ts";
import type { Breathe } from "./find.ts";
import { compareTexts } from "./order.ts";
import { justAfter } from "./paging.ts";
import { count, decodeDead, encodeDead, letterFacts, pack, unpack, type LetterFacts } from "./rows.ts";
import {
  lettersBytesMost,
  partsPerFrame,
  type DeadCount,
  type DeadLetter,
  type LetterPlace,
} from "./store.ts";

const pageRows = 1024;
/** Letters, each perhaps a megabyte, before others get a turn. */
const lettersPerTurn = 64;
/** Letters that one change brings into the lists (L5). */
const listedAtOnce = 2000;

/** That are looked at by keysOfTenant. */
const reasonsMost = 100;

interface Counted {
  key: Buffer;
  letters: number;
  lines: number;
  bytes: number;
}

/** Letters that are put and removed in one change. */
export class DeadLetters {
  readonly #state: State;
  /** By key, as latin1: rows to put, and undefined those to remove. */
  readonly #rows = new Map<string, { key: Buffer; value: Buffer | undefined }>();
  /** By key, of letters that were put or removed here. */
  readonly #changed = new Map<string, LetterFacts | undefined>();
  readonly #counts = new Map<string, Counted>();

  constructor(state: State) {
    this.#state = state;
  }

  /** A place that is taken is that of another letter of the same line: none makes room. */
  put(letter: DeadLetter): void {
    let key = deadKey(letter.sequence, letter.part);
    for (let part = letter.part; this.#factsOf(key) !== undefined; ) {
      part += partsPerFrame;
      key = deadKey(letter.sequence, part);
    }
    this.#set(key, encodeDead(letter));
    this.#list(key, { ...letter, bytes: letter.bytes.length });
  }

  /** What it was; undefined: it is not open. */
  remove({ sequence, part }: LetterPlace): LetterFacts | undefined {
    return this.#remove(deadKey(sequence, part));
  }

  /** L4. The same, of one that was retried or dropped. */
  close({ sequence, part }: LetterPlace, fate: Closing): LetterFacts | undefined {
    const facts = this.#remove(deadKey(sequence, part));
    if (facts !== undefined) this.#set(closedKey(sequence, part), encodeClosed(facts, fate));
    return facts;
  }

  /** L5. Puts a letter that is there already into the list, once. */
  listStored(key: Buffer): void {
    const facts = this.#factsOf(key);
    if (facts === undefined) return;
    if (this.#state.peek(deadListKey(facts.tenant, facts.reason, key)) === undefined) this.#list(key, facts);
  }

  addTo(writes: Writes): void {
    for (const { key, value } of this.#rows.values())
      if (value === undefined) writes.removes.push(key);
      else writes.puts.push({ key, value });
    for (const { key, letters, lines, bytes } of this.#counts.values())
      if (letters === 0) writes.removes.push(key);
      else writes.puts.push({ key, value: pack([letters, lines, bytes]) });
  }

  #remove(key: Buffer): LetterFacts | undefined {
    const facts = this.#factsOf(key);
    if (facts === undefined) return undefined;
    const { tenant, reason } = facts;
    this.#set(key, undefined);
    this.#set(deadListKey(tenant, reason, key), undefined);
    this.#count(facts, -1);
    this.#changed.set(key.toString("latin1"), undefined);
    return facts;
  }

  #list(key: Buffer, facts: LetterFacts): void {
    this.#set(deadListKey(facts.tenant, facts.reason, key), Buffer.of(0));
    this.#count(facts, 1);
    this.#changed.set(key.toString("latin1"), facts);
  }

  #factsOf(key: Buffer): LetterFacts | undefined {
    const at = key.toString("latin1");
    if (this.#changed.has(at)) return this.#changed.get(at);
    const stored = this.#state.peek(key);
    return stored === undefined ? undefined : letterFacts(stored);
  }

  #set(key: Buffer, value: Buffer | undefined): void {
    this.#rows.set(key.toString("latin1"), { key, value });
  }

  #count({ tenant, reason, lines, bytes }: LetterFacts, sign: 1 | -1): void {
    const key = deadCountKey(tenant, reason);
    const at = key.toString("latin1");
    let counted = this.#counts.get(at);
    if (counted === undefined) {
      counted = { key, ...decodeCounts(this.#state.get(key)) };
      this.#counts.set(at, counted);
    }
    counted.letters += sign;
    counted.lines += sign * lines;
    counted.bytes += sign * bytes;
    if (counted.letters < 0) throw new Outage("store-corrupt", "a dead letter that was never counted");
  }
}

function decodeCounts(stored: Uint8Array | undefined): { letters: number; lines: number; bytes: number } {
  if (stored === undefined) return { letters: 0, lines: 0, bytes: 0 };
  const what = "a count of dead letters";
  const [letters, lines, bytes] = unpack(stored, 3, what);
  return { letters: count(letters, what), lines: count(lines, what), bytes: count(bytes, what) };
}

/** L5. `next`: where the next call goes on; undefined: all are listed. */
export function planListing(state: State, from: Buffer | undefined): { writes: Writes; next?: Buffer } {
  const writes: Writes = { puts: [], removes: [] };
  const table = tableRange("dead");
  const letters = new DeadLetters(state);
  const keys = state.keys(from ?? table.start, table.end, listedAtOnce);
  for (const key of keys) letters.listStored(key);
  letters.addTo(writes);
  const last = keys.at(-1);
  if (keys.length === listedAtOnce && last !== undefined) return { writes, next: justAfter(last) };
  writes.puts.push({ key: deadListedKey, value: Buffer.of(0) });
  return { writes };
}

export function areListed(state: State): boolean {
  return state.peek(deadListedKey) !== undefined;
}

export function areOpen(state: State, places: readonly LetterPlace[]): boolean[] {
  return places.map(({ sequence, part }) => state.peek(deadKey(sequence, part)) !== undefined);
}

/** Keys of some letters of a tenant, at most so many. */
export function keysOfTenant(state: State, tenant: string, most: number): Buffer[] {
  const counts = deadCountPrefix(tenant);
  return state.range(counts, after(counts), reasonsMost).reduce<Buffer[]>((keys, { key }) => {
    const prefix = deadListPrefix(tenant, deadCountPlace(key).reason);
    const listed = state.keys(prefix, after(prefix), most - keys.length);
    return [...keys, ...listed.map((each) => deadKeyOfList(prefix, each))];
  }, []);
}

export function quarantinedBytes(state: State, tenant: string): number {
  return decodeCounts(state.get(deadCountKey(tenant, "quarantined"))).bytes;
}

export async function readDeadCounts(state: State, breathe: Breathe): Promise<DeadCount[]> {
  const counts: DeadCount[] = [];
  for await (const { key, value } of countRows(state, undefined, breathe))
    counts.push({ ...deadCountPlace(key), ...decodeCounts(value) });
  return counts.sort((a, b) => compareTexts(a.tenant, b.tenant) || compareTexts(a.reason, b.reason));
}

async function* countRows(
  state: State,
  tenant: string | undefined,
  breathe: Breathe,
): AsyncGenerator<{ key: Buffer; value: Buffer }> {
  let { start, end } = tableRange("deadCount");
  if (tenant !== undefined) {
    start = deadCountPrefix(tenant);
    end = after(start);
  }
  for (;;) {
    const page = state.range(start, end, pageRows);
    yield* page;
    const last = page.at(-1);
    if (page.length < pageRows || last === undefined) return;
    start = justAfter(last.key);
    await breathe();
  }
}

export interface LetterFilter {
  after?: LetterPlace;
  tenant?: string;
  reason?: string;
}

/** In the order of the record. */
export async function readLetters(
  state: State,
  most: number,
  only: LetterFilter,
  breathe: Breathe,
): Promise<DeadLetter[]> {
  const { start, end } = tableRange("dead");
  const behind = only.after;
  let from = behind === undefined ? start : justAfter(deadKey(behind.sequence, behind.part));
  const filtered = only.tenant !== undefined || only.reason !== undefined;
  const letters: DeadLetter[] = [];
  let bytes = 0;
  while (letters.length < most) {
    const asked = Math.min(most - letters.length, pageRows);
    const keys = filtered
      ? await listedKeys(state, asked, from, only, breathe)
      : state.keys(from, end, asked);
    for (const key of keys) {
      const stored = state.peek(key);
      if (stored === undefined)
        throw new Outage("store-corrupt", "a dead letter that is listed is not there");
      const letter = decodeDead(deadPlace(key), stored);
      bytes += letter.bytes.length;
      if (letters.length > 0 && bytes > lettersBytesMost) return letters; // L3
      letters.push(letter);
      if (letters.length % lettersPerTurn === 0) await breathe();
    }
    const last = keys.at(-1);
    if (keys.length < asked || last === undefined) break;
    from = justAfter(last);
  }
  return letters;
}

/** Keys of the first `most` letters from `from` on, of all lists that are asked for. */
async function listedKeys(
  state: State,
  most: number,
  from: Buffer,
  { tenant, reason }: LetterFilter,
  breathe: Breathe,
): Promise<Buffer[]> {
  let found: Buffer[] = [];
  for await (const { key } of countRows(state, tenant, breathe)) {
    const list = deadCountPlace(key);
    if (reason !== undefined && list.reason !== reason) continue;
    const prefix = deadListPrefix(list.tenant, list.reason);
    const last = found.length < most ? undefined : found.at(-1);
    // Behind the last one that is enough there is nothing to be found.
    const end = last === undefined ? after(prefix) : deadListKey(list.tenant, list.reason, last);
    const keys = state.keys(deadListKey(list.tenant, list.reason, from), end, most);
    if (keys.length === 0) continue;
    found.push(...keys.map((each) => deadKeyOfList(prefix, each)));
    found = found.sort((a, b) => Buffer.compare(a, b)).slice(0, most);
  }
  return found;
}
