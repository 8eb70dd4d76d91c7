// Graphite's time grammar: one text to epoch seconds, or a reason. [time of day] [day] [offsets], or an epoch.
//
//     1795344250   now   -1h30min   10:00_20260101   noon yesterday   6am today   monday   12/31/26   midnight-1h
//
// T1. Pure: now is handed in, and every relative text rests on it.
// T2. A month of an offset is 30 days, a year 365; offsets are elapsed time, days of a reference are days of the
//     wall clock (zone.ts).
// T3. Blanks, `_` and `,` don't count. Eight digits that can be a date are one.
// Unlike Graphite 1.1, 12pm is noon and 12am midnight, and names of days and months may be shortened but not misspelt.
import { type Wall, type Zone } from "./zone.ts";

export type TimeAnswer = { kind: "time"; seconds: number } | { kind: "invalid"; why: string };

export interface TimeContext {
  nowSeconds: number;
  zone: Zone;
}

const textCharsMax = 100;
/** The end of year 9999, and as far before 1970. */
const secondsMax = 253_402_300_799;

export function parseTime(text: string, context: TimeContext): TimeAnswer {
  if (text.length > textCharsMax) return { kind: "invalid", why: "a time is at most 100 characters long" };
  const compact = text.toLowerCase().replaceAll(/[\s_,]/g, "");
  const seconds = secondsOf(compact, context);
  if (typeof seconds === "string") return { kind: "invalid", why: `"${text}" is no time: ${seconds}` };
  if (!Number.isFinite(seconds) || Math.abs(seconds) > secondsMax)
    return { kind: "invalid", why: `"${text}" is no time: it is out of range` };
  return { kind: "time", seconds: Math.floor(seconds) };
}

/** Seconds, or what is wrong. */
function secondsOf(compact: string, context: TimeContext): number | string {
  if (/^\d+$/.test(compact) && dateDigits(compact) === undefined) return Number(compact);
  const sign = /[+-]/.exec(compact.includes("+") ? compact.replaceAll("-", " ") : compact);
  const reference = sign === null ? compact : compact.slice(0, sign.index);
  const from = referenceSeconds(reference, context);
  if (sign === null || typeof from === "string") return from;
  const offset = offsetSeconds(compact.slice(sign.index + 1));
  if (typeof offset === "string") return offset;
  return sign[0] === "-" ? from - offset : from + offset;
}

const unitPrefixes: readonly (readonly [prefix: string, seconds: number])[] = [
  ["s", 1],
  ["min", 60],
  ["h", 3600],
  ["d", 86_400],
  ["w", 604_800],
  ["mon", 2_592_000],
  ["y", 31_536_000],
];

/** `1h30min` after its sign: all parts count the same way. Seconds, or what is wrong. */
function offsetSeconds(text: string): number | string {
  if (!/^(\d+[a-z]+)+$/.test(text)) return "an offset is a number and a unit, such as -1h or -1h30min";
  let sum = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+)([a-z]+)/g)) {
    const row = unitPrefixes.find(([prefix]) => unit?.startsWith(prefix));
    if (row === undefined) return `unknown unit "${unit}" (s, min, h, d, w, mon, y)`;
    sum += Number(digits) * row[1];
  }
  return sum;
}

/** `noonyesterday` and the like. Seconds, or what is wrong. */
function referenceSeconds(reference: string, { nowSeconds, zone }: TimeContext): number | string {
  if (reference === "" || reference === "now") return nowSeconds;
  const clock = clockOf(reference);
  if (clock === undefined) return "not an hour of the day";
  const today = zone.wallOf(nowSeconds);
  const wall: Wall = { ...today, hour: clock.hour, minute: clock.minute, second: 0 };
  const problem = moveToDay(wall, clock.rest);
  return problem ?? zone.secondsOf(wall);
}

/** The time of day at the front, midnight where there is none, and what follows it. */
function clockOf(reference: string): { hour: number; minute: number; rest: string } | undefined {
  const numbered = /^(\d{1,2}):(\d{2})(am|pm)?|^(\d{1,2})(am|pm)/.exec(reference);
  if (numbered !== null) {
    const half = numbered[3] ?? numbered[5];
    const said = Number(numbered[1] ?? numbered[4]);
    const minute = Number(numbered[2] ?? 0);
    if (minute > 59 || said > (half === undefined ? 23 : 12)) return undefined;
    const hour = half === undefined ? said : (said % 12) + (half === "pm" ? 12 : 0);
    return { hour, minute, rest: reference.slice(numbered[0].length) };
  }
  for (const [word, hour] of Object.entries({ noon: 12, midnight: 0, teatime: 16 })) {
    if (reference.startsWith(word)) return { hour, minute: 0, rest: reference.slice(word.length) };
  }
  return { hour: 0, minute: 0, rest: reference };
}

const dayWords = new Map([
  ["", 0],
  ["today", 0],
  ["yesterday", -1],
  ["tomorrow", 1],
]);
const weekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const months = [
  "january",
  "february",
  "march",
  "april",
  "may",
  "june",
  "july",
  "august",
  "september",
  "october",
  "november",
  "december",
];

/** Changes the day of `wall`; answers what is wrong, if anything is. */
function moveToDay(wall: Wall, day: string): string | undefined {
  const days = dayWords.get(day);
  if (days !== undefined) {
    wall.day += days;
    return undefined;
  }
  const weekday = shortened(weekdays, day);
  if (weekday !== undefined) {
    const today = new Date(Date.UTC(wall.year, wall.month - 1, wall.day)).getUTCDay();
    wall.day -= (today - weekday + 7) % 7;
    return undefined;
  }
  const date = dateDigits(day) ?? dateSlashes(day) ?? dateNamed(day, wall.year);
  if (date === undefined) return `unknown day "${day}"`;
  if (!exists(date)) return "there is no such date";
  Object.assign(wall, date);
  return undefined;
}

type YearMonthDay = Pick<Wall, "year" | "month" | "day">;

/** YYYYMMDD; undefined also for eight digits that can only be an epoch. */
function dateDigits(text: string): YearMonthDay | undefined {
  if (!/^\d{8}$/.test(text)) return undefined;
  const date = {
    year: Number(text.slice(0, 4)),
    month: Number(text.slice(4, 6)),
    day: Number(text.slice(6)),
  };
  return date.year > 1900 && date.month < 13 && date.day < 32 ? date : undefined;
}

/** MM/DD/YY or MM/DD/YYYY: years below 70 are of this century. */
function dateSlashes(text: string): YearMonthDay | undefined {
  const match = /^(\d{1,2})\/(\d{1,2})\/(\d{1,4})$/.exec(text);
  if (match === null) return undefined;
  let year = Number(match[3]);
  if (year < 1900) year += 1900;
  if (year < 1970) year += 100;
  return { year, month: Number(match[1]), day: Number(match[2]) };
}

/** `january5`, `jan05`: of this year. */
function dateNamed(text: string, year: number): YearMonthDay | undefined {
  const match = /^([a-z]+)(\d{1,2})$/.exec(text);
  const month = match === null ? undefined : shortened(months, match[1] ?? "");
  return month === undefined ? undefined : { year, month: month + 1, day: Number(match?.[2]) };
}

/** Index of the word that `text` is, or begins with at least three letters. */
function shortened(words: readonly string[], text: string): number | undefined {
  const index = text.length < 3 ? -1 : words.findIndex((word) => word.startsWith(text));
  return index < 0 ? undefined : index;
}

function exists({ year, month, day }: YearMonthDay): boolean {
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}
