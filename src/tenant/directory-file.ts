// The directory's local copy on disk: what a process knows about tenants before, and without, NATS.
//
// C1. The file is whole at any time: written beside, fsynced, renamed. Mode 600, although it holds hashes only.
// C2. Writes are gathered: one at a time, at most one each `gatherMs`. A write that fails is tried again.
import { open, readFile, rename, rm } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import { decodeJson, tenantFrom } from "./record.ts";
import type { Tenant } from "./tenant.ts";

export interface CopyContent {
  tenants: Tenant[];
  /** The newest adopt marker that this copy has followed, ms since the epoch; 0: none. */
  adoptMs: number;
}

export type LoadedCopy =
  | { kind: "copy"; content: CopyContent; invalid: number }
  | { kind: "none" }
  /** There is a file that can't be used; it is left alone until the next save. */
  | { kind: "unreadable"; why: string };

const version = 1;
const gatherMs = 200;
const againMs = 5_000;

export async function loadCopy(file: string): Promise<LoadedCopy> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return { kind: "none" };
    return { kind: "unreadable", why: String(error) };
  }
  const raw = decodeJson(bytes);
  if (raw?.["version"] !== version || !Array.isArray(raw["tenants"]))
    return { kind: "unreadable", why: "not a tenants' copy of this version" };
  const adoptMs = typeof raw["adoptMs"] === "number" ? raw["adoptMs"] : 0;
  const tenants: Tenant[] = [];
  for (const row of raw["tenants"] as Record<string, unknown>[]) {
    const record = tenantFrom(String(row?.["id"]), row ?? undefined);
    if (record.kind === "tenant") tenants.push(record.tenant);
  }
  return { kind: "copy", content: { tenants, adoptMs }, invalid: raw["tenants"].length - tenants.length };
}

export class CopyWriter {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #content: () => CopyContent;
  readonly #failed: (error: unknown) => void;
  #dirty = false;
  #cancel: (() => void) | undefined;
  #writing: Promise<void> | undefined;

  /** `content` is asked at each write; `failed` hears of writes that did not work. */
  constructor(file: string, clock: Clock, content: () => CopyContent, failed: (error: unknown) => void) {
    this.#file = file;
    this.#clock = clock;
    this.#content = content;
    this.#failed = failed;
  }

  /** Something changed. */
  changed(): void {
    this.#dirty = true;
    this.#soon(gatherMs);
  }

  /** Writes what is left. Never rejects. */
  async close(): Promise<void> {
    await this.#writing;
    this.#stopTimer();
    if (this.#dirty) await this.#write();
    this.#stopTimer();
  }

  #stopTimer(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #soon(ms: number): void {
    if (this.#cancel !== undefined || this.#writing !== undefined) return;
    this.#cancel = this.#clock.after(ms, () => {
      this.#cancel = undefined;
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
        if (this.#dirty) this.#soon(gatherMs);
      });
    });
  }

  async #write(): Promise<void> {
    this.#dirty = false;
    const beside = `${this.#file}.tmp`;
    try {
      const text = JSON.stringify({ version, ...this.#content() });
      const handle = await open(beside, "w", 0o600);
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(beside, this.#file);
    } catch (error) {
      this.#failed(error);
      await rm(beside, { force: true }).catch(() => undefined);
      this.#dirty = true;
      this.#cancel ??= this.#clock.after(againMs, () => {
        this.#cancel = undefined;
        this.#soon(0);
      });
    }
  }
}
