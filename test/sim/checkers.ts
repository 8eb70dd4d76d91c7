// What must hold at the end of a run, whatever happened in it. Each answers sentences; none: all is well.
import { decodeFrame, messageId, type Frame } from "../../src/metric/frame.ts";
import type { DeadLetter, Interval, Snapshot } from "../../src/store/store.ts";
import { tenantIds, type Workload } from "./workload.ts";
import { poison, type SimWorld } from "./world.ts";

/** Ranges of commits follow each other without gap or overlap, each by the owner of that time, one to an epoch. */
export function checkCommits(world: SimWorld): string[] {
  const wrong: string[] = [];
  const owners = new Map<number, string>();
  let offset = 0;
  for (const commit of world.accepted) {
    const said = JSON.stringify(commit);
    if (commit.from !== offset) wrong.push(`a commit at offset ${offset} was taken: ${said}`);
    if (commit.to < commit.from) wrong.push(`the offset went back: ${said}`);
    if (commit.epoch !== commit.claimed) wrong.push(`a commit of an old owner was taken: ${said}`);
    const owner = owners.get(commit.epoch) ?? commit.life;
    if (owner !== commit.life) wrong.push(`two owners in one epoch, ${owner} as well: ${said}`);
    owners.set(commit.epoch, commit.life);
    offset = commit.to;
  }
  return wrong;
}

/** The store holds exactly what the record said, each frame once, holes left out; and its books say the same. */
export async function checkStore(world: SimWorld, snapshot: Snapshot): Promise<string[]> {
  const wrong: string[] = [];
  const state = await snapshot.state();
  const last = world.record.at(-1)?.sequence ?? 0;
  if (state.offset !== last) wrong.push(`the offset is ${state.offset}, the record ends at ${last}`);
  for (const [from, to] of state.holes)
    for (let sequence = from; sequence <= to; sequence++)
      if (!world.lost.has(sequence)) wrong.push(`frame ${sequence} is called a hole, but was not lost`);

  const letters = await snapshot.dead(1_000_000);
  const expected = expectedOf(world, state.holes, letters);
  wrong.push(...expected.wrong);
  for (const tenant of tenantIds) {
    const series = await snapshot.findSeries(tenant, "*", 10_000);
    series.push(...(await snapshot.findSeries(tenant, "*.*", 10_000)));
    const ids = series.map(({ id }) => id);
    const cells = await snapshot.fetch(ids, { start: 0, stepSeconds: 2 ** 32, width: 1 });
    const stored = new Map(
      series.map(({ name }, i) => [`${tenant} ${name}`, `${cells.points[i]} ${cells.sum[i]}`]),
    );
    const points = [...expected.points].filter(([key]) => key.startsWith(`${tenant} `));
    wrong.push(
      ...differences("series", stored, new Map(points.map(([k, { count, sum }]) => [k, `${count} ${sum}`]))),
    );

    const books = new Map<string, number>();
    for (const row of await snapshot.ledger(tenant, 0, Number.MAX_SAFE_INTEGER))
      add(books, `${tenant} ${row.door} ${row.fate} ${row.reason}`, row.count);
    const expectedBooks = [...expected.books].filter(([key]) => key.startsWith(`${tenant} `));
    wrong.push(...differences("books", books, new Map(expectedBooks)));
  }
  return wrong;
}

/** P1, P2 at the doors: what was acknowledged, or taken by a gateway that lived on, is recorded; nothing is twice. */
export function checkDoors(world: SimWorld, workload: Workload): string[] {
  const wrong: string[] = [];
  const times = new Map<string, number>();
  for (const frame of distinct(world.record.map(({ data }) => data)))
    for (const { lines } of frame.sections)
      for (const line of textLines(lines)) add(times, line.split(" ")[1] ?? line, 1);
  for (const [value, count] of times) if (count !== 1) wrong.push(`point ${value} is in ${count} frames`);
  for (const value of workload.acknowledged)
    if (!times.has(String(value))) wrong.push(`point ${value} was acknowledged and is not recorded`);
  for (const { mortal, taken } of world.gateways) {
    if (mortal.dead) continue;
    for (const value of taken)
      if (!times.has(String(value))) wrong.push(`point ${value} of ${mortal.name} is not recorded`);
  }
  return wrong;
}

/** Nothing is left in a spool, and none of it was given up. A disk that fails may keep what was forwarded long ago. */
export function checkSpools(world: SimWorld): string[] {
  const wrong = world.gateways
    .filter(({ counters }) => counters.text().includes("gateway_spool_dropped_total"))
    .map(({ name }) => `${name} gave up a place of its spool`);
  if (world.faults.diskFails === 0)
    for (const path of world.disk.segments()) wrong.push(`${path} was not forwarded`);
  return wrong;
}

interface Expected {
  points: Map<string, { count: number; sum: number }>;
  books: Map<string, number>;
  wrong: string[];
}

/**
 * The simplest actor there could be: all frames in their order, no batches, no restarts. Which lines it buried, the letters
 * say, and they must be right: poison and what can't be read, and what a tenant sent after its poison.
 */
function expectedOf(world: SimWorld, holes: readonly Interval[], letters: readonly DeadLetter[]): Expected {
  const out: Expected = { points: new Map(), books: new Map(), wrong: [] };
  const seen = new Set<string>();
  const buried = buriedLines(letters);
  for (const { sequence, data } of world.record) {
    const isHole = holes.some(([from, to]) => sequence >= from && sequence <= to);
    // A frame may be lost after a part of it was committed.
    const linesThere = isHole ? (world.parts.get(sequence) ?? 0) : Number.POSITIVE_INFINITY;
    if (linesThere === 0) continue;
    // Whole, as if looking into it killed: a copy of it counts.
    if (buried.get(`${sequence}/0`) === wholeFrame) {
      buried.delete(`${sequence}/0`);
      world.innocent++;
      continue;
    }
    const frame = frameOf(data);
    const repeated = seen.has(nameOf(frame));
    seen.add(nameOf(frame));
    if (repeated && frame.identity.kind === "boot") continue;
    let number = 0;
    for (const { tenant, door, lines } of frame.sections)
      for (const line of textLines(lines)) {
        if (number >= linesThere) break;
        const [name = "", value] = line.split(" ");
        const place = `${sequence}/${number++}`;
        const reason = repeated ? undefined : buried.get(place);
        if (!repeated) buried.delete(place);
        add(out.books, `${tenant} ${door} received `, 1);
        if (repeated) add(out.books, `${tenant} ${door} refused duplicate`, 1);
        else if (reason !== undefined) {
          add(out.books, `${tenant} ${door} dead ${reason}`, 1);
          if (reason === "poison" && !line.startsWith(poison)) world.innocent++;
          if (reason === "malformed" && value !== undefined) out.wrong.push(`${line} is called malformed`);
        } else if (value === undefined || line.startsWith(poison)) {
          out.wrong.push(`${line} of frame ${sequence} is no dead letter`);
        } else {
          add(out.books, `${tenant} ${door} stored `, 1);
          const key = `${tenant} ${name}`;
          const { count, sum } = out.points.get(key) ?? { count: 0, sum: 0 };
          out.points.set(key, { count: count + 1, sum: sum + Number(value) });
        }
      }
    if (!repeated && !isHole)
      for (const { tenant, door, reason, count } of frame.refusals)
        for (const fate of ["received ", `refused ${reason}`])
          add(out.books, `${tenant} ${door} ${fate}`, count);
  }
  for (const [place, reason] of buried) out.wrong.push(`${place} is a dead letter (${reason}) of no line`);
  return out;
}

const wholeFrame = "the whole frame";

/** By `sequence/line`: the reason. */
function buriedLines(letters: readonly DeadLetter[]): Map<string, string> {
  const buried = new Map<string, string>();
  for (const { sequence, part, reason, lines, tenant } of letters)
    for (let line = part; line < part + lines; line++)
      buried.set(`${sequence}/${line}`, tenant === "" ? wholeFrame : reason);
  return buried;
}

function frameOf(data: Uint8Array): Frame {
  const decoded = decodeFrame(data);
  if (decoded.kind !== "frame") throw new Error(`a frame of ours can't be read: ${decoded.why}`);
  return decoded.frame;
}

function nameOf({ identity }: Frame): string {
  return messageId(0, identity);
}

function distinct(frames: readonly Uint8Array[]): Frame[] {
  return [...new Map(frames.map((data) => [nameOf(frameOf(data)), frameOf(data)])).values()];
}

function textLines(lines: Uint8Array): string[] {
  return Buffer.from(lines).toString().split("\n").slice(0, -1);
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}

function differences<T>(what: string, stored: Map<string, T>, expected: Map<string, T>): string[] {
  return [...new Set([...stored.keys(), ...expected.keys()])]
    .filter((key) => stored.get(key) !== expected.get(key))
    .map((key) => `${what} ${key}: stored ${String(stored.get(key))}, expected ${String(expected.get(key))}`);
}
