// One system on one MILLRACE_HOME: the second one refuses. The lock is a file that names the holder by pid and start
// time, so a holder that was killed never blocks anybody and a reused pid never looks like one.
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { Outage } from "../src/base/errors.ts";
import { makeFolder } from "../src/base/folder.ts";
import { lockFile } from "../src/config/places.ts";

export interface HomeLock {
  release(): void;
}

/** Throws home-locked, naming the holder. */
export function lockHome(home: string): HomeLock {
  const path = lockFile({ home });
  const mine = holderOf(process.pid);
  try {
    makeFolder(home);
    for (let tries = 0; tries < 5; tries++) {
      if (create(path, mine)) {
        return {
          release: () => {
            if (read(path) === mine) rmSync(path, { force: true });
          },
        };
      }
      const holder = read(path) ?? "";
      const pid = Number(holder.split(" ")[0]);
      if (pid > 0 && holderOf(pid) === holder) {
        throw new Outage(
          "home-locked",
          `another system (pid ${pid}) runs on ${home}: stop it first, or choose another folder with MILLRACE_HOME.`,
        );
      }
      setAside(path);
    }
  } catch (error) {
    if (error instanceof Outage) throw error;
    throw new Outage(
      "settings-invalid",
      `MILLRACE_HOME ${home} can't be written: ${(error as Error).message}.`,
    );
  }
  throw new Outage("home-locked", `the lock of ${home} keeps changing hands: try again.`);
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
  try {
    writeFileSync(path, content, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Of several who find a stale lock only one moves it away; the others look again. */
function setAside(path: string): void {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
    rmSync(aside, { force: true });
  } catch {}
}
