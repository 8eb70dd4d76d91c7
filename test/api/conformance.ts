// The recorded answers of Graphite (../shared/conformance beside the project), as TypeScript values.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Content, Points } from "./fixture.ts";

export interface RecordedSeries {
  target: string;
  tags?: Record<string, string>;
  start?: number;
  step?: number;
  values?: (number | null)[];
  points?: [number | null, number][];
}

/** What `expect_from` of a time case means. */
export interface TimeSpec {
  ref: "now" | "base" | "day" | "weekday";
  delta?: number;
  tz?: string;
  hour?: number;
  minute?: number;
  wd?: number;
  days?: number;
}

export interface Case {
  id: string;
  method: "GET" | "POST";
  path: string;
  params: [string, string][];
  mode: string;
  needs?: string[];
  superset?: boolean;
  expect?: { status: number; series?: RecordedSeries[]; json?: unknown };
  expect_from?: TimeSpec;
  expect_until?: TimeSpec;
}

export interface Conformance {
  cases: Case[];
  /** Points in the order to send, offsets from the base. */
  series: { name: string; points: [number, number][] }[];
}

/** undefined where the recordings are not there; that is said aloud, for it makes tests weaker. */
export function loadConformance(): Conformance | undefined {
  const folder = join(projectRoot(), "..", "shared", "conformance");
  if (!existsSync(join(folder, "cases.jsonl"))) {
    console.error(
      `\n*** NOT COMPARED WITH GRAPHITE: there are no recorded answers in ../shared/conformance ***\n`,
    );
    return undefined;
  }
  const lines = readFileSync(join(folder, "cases.jsonl"), "utf8").split("\n");
  const dataset = JSON.parse(readFileSync(join(folder, "dataset.json"), "utf8")) as {
    series: Conformance["series"];
  };
  return {
    cases: lines.filter((line) => line.trim() !== "").map((line) => JSON.parse(line) as Case),
    series: dataset.series,
  };
}

function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return folder;
}

/** The data set as tenant "t1" would have it, in the order it was sent. */
export function contentOf(conformance: Conformance, base: number): Content {
  const series: Record<string, Points> = {};
  for (const { name, points } of conformance.series) {
    series[canonical(name)] = points.map(([offset, value]) => [base + offset, value] as const);
  }
  return { t1: series };
}

function canonical(name: string): string {
  const [path, ...tags] = name.split(";");
  return [path, ...tags.sort()].join(";");
}

/** `@{-3600}` is base-3600; `@{-3600|%H:%M_%Y%m%d|Europe/Berlin}` is the same, as a wall clock writes it. */
export function substitute(text: string, base: number): string {
  return text.replaceAll(
    /@\{([+-]?\d+)(?:\|([^|}]+))?(?:\|([^}]+))?\}/g,
    (_whole, offset: string, format: string | undefined, zone: string | undefined) => {
      const seconds = base + Number(offset);
      if (format === undefined) return String(seconds);
      const [date, time] = new Date(seconds * 1000)
        .toLocaleString("sv-SE", { timeZone: zone ?? "UTC" })
        .split(" ");
      const [year, month, day] = (date ?? "").split("-");
      const [hour, minute, second] = (time ?? "").split(":");
      const fields = { Y: year, m: month, d: day, H: hour, M: minute, S: second };
      return Object.entries(fields).reduce(
        (out, [letter, value]) => out.replaceAll(`%${letter}`, value ?? ""),
        format,
      );
    },
  );
}
