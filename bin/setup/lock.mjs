// One set-up at a time works on a checkout.
//
// L1. The lock is a file with its holder's process id and host, created whole and at once by a hard link.
// L2. A holder renews it every few seconds. A lock is stale when its process is gone, or (another host, a reused
//     process id) when nobody has renewed it for a minute; then whoever waits takes it over.
import { randomUUID } from "node:crypto";
import {
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Interrupted } from "./step.mjs";

const renewMs = 5_000;
const staleMs = 60_000;
const askMs = 100;

/** The tokens of the locks that this process holds. @type {Set<string>} */
const held = new Set();

/**
 * Waits for the lock, does the work, lets go of it. Throws Interrupted, and what the work throws.
 * @template T
 * @param {string} path @param {Pick<import("./step.mjs").Step, "signal" | "report">} step
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(path, { signal, report }, work) {
  mkdirSync(dirname(path), { recursive: true });
  const token = randomUUID();
  const mine = `${path}.${token}`;
  const text = JSON.stringify({ pid: process.pid, host: hostname(), token });
  let waits = false;
  for (;;) {
    if (take(path, mine, text)) break;
    const holder = read(path);
    if (holder === undefined) continue;
    if (isStale(path, holder)) {
      setAside(path, mine, holder);
      continue;
    }
    if (!waits) report.begin(`waiting for another set-up of this checkout (process ${holder.pid})`);
    waits = true;
    await sleep(askMs, undefined, { signal }).catch(() => {
      throw new Interrupted();
    });
  }
  if (waits) report.end("it ended");
  held.add(token);
  const renewing = setInterval(() => renew(path), renewMs);
  try {
    return await work();
  } finally {
    clearInterval(renewing);
    held.delete(token);
    if (read(path)?.text === text) rmSync(path, { force: true });
  }
}

/** @param {string} path @param {string} mine @param {string} text */
function take(path, mine, text) {
  writeFileSync(mine, text);
  try {
    linkSync(mine, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(mine, { force: true });
  }
}

/** @typedef {{ pid: number, host: string, token: string, text: string }} Holder */

/** Undefined when there is no lock. @param {string} path @returns {Holder | undefined} */
function read(path) {
  let text;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  try {
    const { pid, host, token } = JSON.parse(text);
    return { pid: Number(pid), host: String(host), token: String(token), text };
  } catch {
    return { pid: 0, host: "", token: "", text };
  }
}

/** @param {string} path @param {Holder} holder */
function isStale(path, holder) {
  if (holder.host === hostname() && !isAlive(holder)) return true;
  const renewedMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return renewedMs !== undefined && Date.now() - renewedMs > staleMs;
}

/** @param {Holder} holder */
function isAlive({ pid, token }) {
  // In a container a process may have the id that a holder of old had.
  if (pid === process.pid) return held.has(token);
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

/** Two may find a lock stale at once: whoever moved away a fresh one puts it back. */
/** @param {string} path @param {string} mine @param {Holder} stale */
function setAside(path, mine, stale) {
  const aside = `${mine}.stale`;
  try {
    renameSync(path, aside);
    if (read(aside)?.text !== stale.text) linkSync(aside, path);
  } catch {
    // Somebody else was faster: the next try decides.
  }
  rmSync(aside, { force: true });
}

/** @param {string} path */
function renew(path) {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch {
    // Taken over, for instance after the machine slept: the work goes on, it is made aside and renamed.
  }
}

/** @param {unknown} error */
function codeOf(error) {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
