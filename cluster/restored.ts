// What a restore leaves for the next start where the record is a new one: how each shard's stream begins, and the
// tenants. The coordinator puts both in before it is ready, so before any door opens and any actor reads; then the file
// gets another name. All of it may be done again from the beginning.
import { readFileSync, renameSync } from "node:fs";
import { messageOf, Outage } from "../src/base/errors.ts";
import type { StreamBegin } from "../src/bus/bus.ts";
import { isDump, type DumpRow } from "../src/tenant/dump.ts";

export interface Restored {
  /** By shard; undefined: it begins as any stream. */
  streams: (StreamBegin | undefined)[];
  tenants: DumpRow[];
}

export interface RestoredFile extends Restored {
  done(): void;
}

const format = 1;

export function encodeRestored({ streams, tenants }: Restored): string {
  const begins = streams.map((begin) => begin ?? null);
  return `${JSON.stringify({ format, streams: begins, tenants })}\n`;
}

/** undefined: nothing was restored. Throws settings-invalid, naming the file. */
export function readRestored(path: string): RestoredFile | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Outage("settings-invalid", `${path} can't be read: ${messageOf(error)}.`);
  }
  const restored = decode(text);
  if (restored === undefined)
    throw new Outage("settings-invalid", `${path} is not what a restore wrote: restore again.`);
  return { ...restored, done: () => renameSync(path, `${path}.done`) };
}

function decode(text: string): Restored | undefined {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof said !== "object" || said === null) return undefined;
  const { streams, tenants, ...rest } = said as Record<string, unknown>;
  if (rest["format"] !== format || !Array.isArray(streams) || !isDump(tenants)) return undefined;
  const begins = streams.map((row: unknown) => (row === null ? undefined : row));
  if (!begins.every(isBegin)) return undefined;
  return { streams: begins, tenants };
}

function isBegin(row: unknown): row is StreamBegin | undefined {
  if (row === undefined) return true;
  if (typeof row !== "object" || row === null) return false;
  const { firstSequence, incarnation } = row as Record<string, unknown>;
  return Number.isSafeInteger(firstSequence) && typeof incarnation === "string" && incarnation !== "";
}
