import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTime } from "../../src/graphite/time.ts";
import { zoneOf } from "../../src/graphite/zone.ts";

// Wednesday, 18 November 2026, 14:25:36 UTC
const now = Date.UTC(2026, 10, 18, 14, 25, 36) / 1000;
const at = (year: number, month: number, day: number, hour = 0, minute = 0) =>
  Date.UTC(year, month - 1, day, hour, minute) / 1000;

function f(text: string, expected: number | "invalid", zone = "UTC"): void {
  const answer = parseTime(text, { nowSeconds: now, zone: zoneOf(zone) });
  const got = answer.kind === "time" ? answer.seconds : "invalid";
  assert.equal(got, expected, `${text} in ${zone}: ${JSON.stringify(answer)}`);
}

test("epochs", () => {
  f("1795344250", 1_795_344_250);
  f("0", 0);
  f(" 1795344250 ", 1_795_344_250);
  f("253402300799", 253_402_300_799);
  f("1795344250000", "invalid"); // milliseconds: the year 58,861
  f("1795344250.5", "invalid");
  f("9".repeat(99), "invalid");
});

test("relative times", () => {
  f("", now);
  f("now", now);
  f("NOW", now);
  f("-1h", now - 3600);
  f("-5min", now - 300);
  f("-1h30min", now - 5400);
  f("-90s", now - 90);
  f("-90seconds", now - 90);
  f("-2d", now - 2 * 86_400);
  f("-1w", now - 7 * 86_400);
  f("-1mon", now - 30 * 86_400);
  f("-1y", now - 365 * 86_400);
  f("-1y2mon3w4d5h6min7s", now - (365 + 60 + 21 + 4) * 86_400 - 5 * 3600 - 6 * 60 - 7);
  f("now-2h", now - 7200);
  f("now+1h", now + 3600);
  f("+1h", now + 3600);
  f("-100y", now - 100 * 365 * 86_400);
  f("-1m", "invalid"); // minutes or months?
  f("-1", "invalid");
  f("-h", "invalid");
  f("-1hour2", "invalid");
  f("-1h-1h", "invalid");
  f("now-1d+2h", "invalid");
  f("1h", "invalid");
  f("-1fortnight", "invalid");
  f("-99999999999999999999y", "invalid");
});

test("times of day and days", () => {
  f("today", at(2026, 11, 18));
  f("yesterday", at(2026, 11, 17));
  f("tomorrow", at(2026, 11, 19));
  f("midnight", at(2026, 11, 18));
  f("noon", at(2026, 11, 18, 12));
  f("teatime", at(2026, 11, 18, 16));
  f("noon yesterday", at(2026, 11, 17, 12));
  f("noon_yesterday", at(2026, 11, 17, 12));
  f("6am today", at(2026, 11, 18, 6));
  f("6pm", at(2026, 11, 18, 18));
  f("12am", at(2026, 11, 18, 0));
  f("12pm", at(2026, 11, 18, 12));
  f("11:30pm yesterday", at(2026, 11, 17, 23, 30));
  f("10:00", at(2026, 11, 18, 10));
  f("9:05", at(2026, 11, 18, 9, 5));
  f("10:00_20260101", at(2026, 1, 1, 10));
  f("10:00 20260101", at(2026, 1, 1, 10));
  f("23:59_20280229", at(2028, 2, 29, 23, 59));
  f("midnight-1h", at(2026, 11, 17, 23));
  f("noon tomorrow+90min", at(2026, 11, 19, 13, 30));
  f("25:00", "invalid");
  f("13pm", "invalid");
  f("10:60", "invalid");
  f("10:0", "invalid");
  f("notatime", "invalid");
  f("NaN", "invalid");
  f("Infinity", "invalid");
});

test("dates", () => {
  f("20260101", at(2026, 1, 1));
  f("20261231", at(2026, 12, 31));
  f("20260230", "invalid");
  f("20261301", 20_261_301); // no date: an epoch
  f("19000101", 19_000_101);
  f("12/31/26", at(2026, 12, 31));
  f("1/2/2026", at(2026, 1, 2));
  f("01/02/70", at(1970, 1, 2));
  f("01/02/69", at(2069, 1, 2));
  f("13/01/26", "invalid");
  f("02/29/26", "invalid");
  f("jan 5", at(2026, 1, 5));
  f("January_05", at(2026, 1, 5));
  f("noon dec 24", at(2026, 12, 24, 12));
  f("feb30", "invalid");
  f("january", "invalid");
});

test("weekdays: the last one", () => {
  f("wednesday", at(2026, 11, 18));
  f("tuesday", at(2026, 11, 17));
  f("thursday", at(2026, 11, 12));
  f("monday", at(2026, 11, 16));
  f("mon", at(2026, 11, 16));
  f("noon_wed-7d", at(2026, 11, 11, 12));
  f("sunday", at(2026, 11, 15));
  f("mo", "invalid");
  f("monkey", "invalid");
});

test("time zones: the wall clock of references, elapsed time of offsets", () => {
  f("midnight", at(2026, 11, 18, 5), "America/New_York");
  f("10:00_20260101", at(2026, 1, 1, 15), "America/New_York");
  f("10:00_20260701", at(2026, 7, 1, 14), "America/New_York");
  f("midnight", at(2026, 11, 17, 18, 30), "Asia/Kolkata");
  f("tomorrow", at(2026, 11, 18, 18, 30), "Asia/Kolkata");
  f("1795344250", 1_795_344_250, "Asia/Kolkata");
  f("-1h", now - 3600, "Asia/Kolkata");
  // Clocks go forward on 29 March 2026 at 02:00 in Berlin, and back on 25 October at 03:00.
  f("02:30_20260329", at(2026, 3, 29, 1, 30), "Europe/Berlin");
  f("03:00_20260329", at(2026, 3, 29, 1), "Europe/Berlin");
  f("02:30_20261025", at(2026, 10, 25, 0, 30), "Europe/Berlin");
  f("04:00_20261025", at(2026, 10, 25, 3), "Europe/Berlin");
  f("midnight 20261026-1d", at(2026, 10, 24, 23), "Europe/Berlin");
  // unknown ones are UTC
  f("midnight", at(2026, 11, 18), "Mars/Olympus");
  f("midnight", at(2026, 11, 18), "x".repeat(100_000));
});

test("hostile texts are refused, quickly and with a short sentence", () => {
  f("-".repeat(100), "invalid");
  f(`-${"1h".repeat(10_000)}`, "invalid");
  f("\u0000", "invalid");
  f("10:00_2026０101", "invalid");
  const answer = parseTime("x".repeat(100_000), { nowSeconds: now, zone: zoneOf("UTC") });
  assert.ok(answer.kind === "invalid" && answer.why.length < 200);
});

test("yesterday is a day of the wall clock where clocks changed", () => {
  // Monday, 26 October 2026, 10:00 in Berlin; the day before had 25 hours
  const answer = parseTime("noon yesterday", {
    nowSeconds: at(2026, 10, 26, 9),
    zone: zoneOf("Europe/Berlin"),
  });
  assert.deepEqual(answer, { kind: "time", seconds: at(2026, 10, 25, 11) });
});
