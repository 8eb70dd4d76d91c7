// One system on one MILLRACE_HOME: the second one refuses. The lock is a file that names the holder by pid and start
// time, so a holder that was killed never blocks anybody and a reused pid never looks like one. It is there whole or not
// at all: nobody reads half of it and takes it for a stale one.
import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import { Outage } from "../src/base/errors.ts";
import { makeFolder } from "../src/base/folder.ts";
import { lockFile, restoringFile, spoolFolder } from "../src/config/places.ts";

export interface HomeLock {
  release(): void;
}

/** Throws home-locked, naming the holder. */
export function lockHome(home: string): HomeLock {
  return lock(
    home,
    lockFile({ home }),
    (pid) =>
      `another system (pid ${pid}) runs on ${home}: stop it first, or choose another folder with MILLRACE_HOME.`,
  );
}

/** A gateway's name is its spool's: two of one name would forward each other's frames and count each other's bytes. */
export function lockSpool(settings: { home: string; gateway: string }): HomeLock {
  const folder = spoolFolder(settings);
  return lock(
    folder,
    join(folder, "lock"),
    (pid) =>
      `another gateway (pid ${pid}) has the spool of the name ${settings.gateway} in ${settings.home}: ` +
      "stop it first, or give this one another name with MILLRACE_GATEWAY.",
  );
}

function lock(folder: string, path: string, taken: (pid: number) => string): HomeLock {
  const mine = holderOf(process.pid);
  try {
    makeFolder(folder);
    for (let tries = 0; tries < 20; tries++) {
      if (create(path, mine)) return lockOf(path, mine);
      const holder = read(path);
      if (holder === undefined) continue;
      if (isAlive(holder)) throw new Outage("home-locked", taken(pidOf(holder)));
      if (takeOver(path, holder, mine)) return lockOf(path, mine);
    }
  } catch (error) {
    if (error instanceof Outage) throw error;
    throw new Outage(
      "settings-invalid",
      `MILLRACE_HOME ${folder} can't be written: ${(error as Error).message}.`,
    );
  }
  throw new Outage("home-locked", `the lock of ${folder} keeps changing hands: try again.`);
}

/** Throws settings-invalid where a restore ended halfway: what lies there is neither the old state nor the new one. */
export function refuseHalfRestored(settings: { home: string }): void {
  const marker = restoringFile(settings);
  if (!existsSync(marker)) return;
  throw new Outage(
    "settings-invalid",
    `a restore of ${settings.home} did not end (${marker} says which): run millrace restore again.`,
  );
}

function lockOf(path: string, mine: string): HomeLock {
  return {
    release: () => {
      if (read(path) === mine) rmSync(path, { force: true });
    },
  };
}

function pidOf(holder: string): number {
  return Number(holder.split(" ")[0]);
}

function isAlive(holder: string): boolean {
  const pid = pidOf(holder);
  return pid > 0 && holderOf(pid) === holder;
}

/** "pid start": the start time tells a process from a later one with the same pid. */
function holderOf(pid: number): string {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: somebody else's, but alive.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return `${pid} gone`;
  }
  try {
    // Field 22 of stat, counted behind the command's closing parenthesis.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return `${pid} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""}`;
  } catch {
    return `${pid} alive`;
  }
}

function create(path: string, content: string): boolean {
  const draft = draftOf(path, content);
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Beside the lock, this thread's alone. */
function draftOf(path: string, content: string): string {
  const draft = `${path}.${process.pid}.${threadId}`;
  writeFileSync(draft, content);
  return draft;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Of several who find a stale lock one at a time may replace it, and only if it is still the one that it found. */
function takeOver(path: string, stale: string, mine: string): boolean {
  const guard = `${path}.taking`;
  if (!create(guard, mine)) {
    const holder = read(guard);
    if (holder !== undefined && !isAlive(holder)) rmSync(guard, { force: true });
    return false;
  }
  try {
    if (read(path) !== stale) return false;
    renameSync(draftOf(path, mine), path);
    return true;
  } finally {
    rmSync(guard, { force: true });
  }
}
