// What the tests of the lmdb engine share: folders, file systems of their own, and other processes (lmdb-child.ts).
import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { systemClock } from "../../src/base/clock.ts";
import { messageOf } from "../../src/base/errors.ts";
import { createLmdbEngine, type LmdbEngine } from "../../src/store/lmdb.ts";
import type { DeadLetter } from "../../src/store/store.ts";
import type { UpkeepOptions } from "../../src/store/upkeep.ts";
import type { World } from "../contract/store-helpers.ts";

/** A file beside this one, in the build or not. */
function pathOf(name: string): string {
  return new URL(`./${name}${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`, import.meta.url)
    .pathname;
}

const children = new Set<ChildProcess>();

/** A folder of its own; it and all children started meanwhile are gone afterwards, however the test ended. */
export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-store-"));
  try {
    await use(folder);
  } finally {
    for (const child of children) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

export function engineIn(
  folder: string,
  mapBytes = 256 << 20,
  upkeep: Partial<UpkeepOptions> = {},
): LmdbEngine {
  return createLmdbEngine({ folder, mapBytes, clock: systemClock, upkeep });
}

/** So small that little data is cut into many slices, runs, rounds and merges. */
export const smallUpkeep: Partial<UpkeepOptions> = {
  sliceRows: 50,
  slicePuts: 20,
  roundBytes: 4000,
  mergePieces: 3,
};

/** For the contract suite: a folder of its own. */
export async function lmdbWorld(upkeep: Partial<UpkeepOptions> = smallUpkeep): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-store-"));
  const make = () => createLmdbEngine({ folder, mapBytes: 64 << 20, clock: systemClock, upkeep });
  return {
    engine: make(),
    reopen: async () => make(),
    end: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

export interface Child {
  process: ChildProcess;
  lines: string[];
  /** Settles at the next output; throws when the child has ended. */
  output(): Promise<void>;
  /** Settles when a line that begins with `start` has come; throws when the child has ended. */
  line(start: string): Promise<void>;
  kill(): Promise<void>;
}

export function start(...args: string[]): Child {
  return startFile("lmdb-child", ...args);
}

export function startFile(file: string, ...args: string[]): Child {
  const child = spawn(process.execPath, [pathOf(file), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  children.add(child);
  const ended = once(child, "exit").finally(() => children.delete(child));
  const reader = createInterface(child.stdout);
  reader.on("line", (line) => lines.push(line));
  return {
    process: child,
    lines,
    async output() {
      await Promise.race([once(child.stdout, "data"), ended]);
      assert.equal(child.exitCode, null, `the ${args[0]} lives; it said ${lines.slice(-3).join("; ")}`);
    },
    async line(start) {
      const come = new Promise<void>((resolve) => {
        const look = () => {
          if (lines.some((line) => line.startsWith(start))) resolve();
        };
        reader.on("line", look);
        look();
      });
      await Promise.race([come, ended]);
      assert.equal(child.exitCode, null, `the ${args[0]} lives; it said ${lines.slice(-3).join("; ")}`);
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** A dead letter of a size. */
export function letterOf(bytes: number): DeadLetter {
  return {
    sequence: 0,
    part: 0,
    tenant: "t1",
    door: "tcp",
    reason: "poison",
    detail: "",
    receivedAtMs: 0,
    kind: "plaintext",
    lines: 1,
    bytes: new Uint8Array(bytes).fill(7),
  };
}

/** Runs `use` in a small file system of its own; says loudly where the machine can't make one. */
export async function withMount(options: string[], use: (folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    try {
      execFileSync("mount", [...options, folder], { stdio: "pipe" });
    } catch (error) {
      console.error(`NOT RUN: this machine can't mount a small file system: ${messageOf(error)}`);
      return;
    }
    try {
      await use(folder);
    } finally {
      execFileSync("umount", ["--lazy", folder]);
    }
  });
}
