// Step 1: the packages of package-lock.json.
//
// P1. A stamp in node_modules (lock file, Node's major version, platform) says whose they are; the same stamp: done.
// P2. They are installed in a folder aside, then renamed: a failure, Ctrl-C or a missing network leaves the old ones,
//     and a running system is without packages only for the moment of the rename.
// P3. node_modules that is a link (of a worktree) is read through it but never changed: another lock file gets
//     packages of its own in place of the link.
// P4. Packages without a stamp (installed by hand) are taken as they are if each is what the lock file says.
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { withLock } from "./lock.mjs";
import { run } from "./run.mjs";
import { secondsSince, SetupError } from "./step.mjs";

const stampName = ".millrace-stamp";

/** @param {import("./step.mjs").Step} step */
export async function preparePackages(step) {
  const { root, report } = step;
  const wanted = wantedStamp(root);
  if (areInPlace(root, wanted)) {
    report.line("packages are in place");
    return;
  }
  await withLock(join(root, ".cache", "setup.lock"), step, async () => {
    // Whoever held the lock before us may have done it.
    if (areInPlace(root, wanted)) report.line("packages are in place");
    else await install(step, wanted);
  });
}

/** @param {string} root @param {string} wanted */
function areInPlace(root, wanted) {
  const stamp = readStamp(root);
  if (stamp !== undefined) return stamp === wanted;
  if (!packagesMatch(root)) return false;
  const folder = join(root, "node_modules");
  if (!lstatSync(folder).isSymbolicLink()) writeFileSync(join(folder, stampName), wanted);
  return true;
}

/** @param {string} root */
export function wantedStamp(root) {
  const lock = createHash("sha256").update(readFileSync(join(root, "package-lock.json")));
  const node = process.versions.node.split(".")[0];
  return `${lock.digest("hex")} node-${node} ${process.platform}-${process.arch}\n`;
}

/** @param {string} root */
function readStamp(root) {
  try {
    return readFileSync(join(root, "node_modules", stampName), "utf8");
  } catch {
    return undefined;
  }
}

/** @param {import("./step.mjs").Step} step @param {string} stamp */
async function install(step, stamp) {
  const { root, report } = step;
  const startedMs = performance.now();
  report.begin("packages: installing with npm");
  const cache = join(root, ".cache");
  const aside = join(cache, "packages");
  const before = join(cache, "packages-before");
  // We hold the lock: what lies there is left over from a set-up that was killed.
  for (const folder of [aside, before]) rmSync(folder, { recursive: true, force: true });
  try {
    mkdirSync(aside, { recursive: true });
    for (const name of ["package.json", "package-lock.json", ".npmrc"]) {
      if (existsSync(join(root, name))) cpSync(join(root, name), join(aside, name));
    }
    await installIn(aside, step);
    mkdirSync(join(aside, "node_modules"), { recursive: true });
    writeFileSync(join(aside, "node_modules", stampName), stamp);
    swap(root, join(aside, "node_modules"), before);
  } finally {
    for (const folder of [aside, before]) rmSync(folder, { recursive: true, force: true });
  }
  report.end(`done in ${secondsSince(startedMs)}`);
}

/** @param {string} root @param {string} made @param {string} before */
function swap(root, made, before) {
  const place = join(root, "node_modules");
  try {
    renameSync(place, before);
  } catch {
    // There were none.
  }
  renameSync(made, place);
}

/** @param {string} folder @param {import("./step.mjs").Step} step */
async function installIn(folder, { env, signal }) {
  const options = { cwd: folder, env: withoutNpmsOwn(env), signal };
  const reached = await reachesRegistry(options);
  const npm = (/** @type {string[]} */ ...words) =>
    // NODE_ENV=production would leave out the compiler.
    run("npm", [...words, "--include=dev", ...(reached ? [] : ["--offline"])], options);
  let ended = await npm("ci");
  if (ended.code !== 0 && lacksOptionalOnly(ended.output, readLock(join(folder, "package-lock.json")))) {
    ended = await npm("install", "--no-save");
  }
  if (ended.code === 0) return;
  throw new SetupError(`${lastLines(ended.output)}\nsetup: ${whyNot(ended.output, reached)}`);
}

/** @param {string} output of npm @param {boolean} reached */
function whyNot(output, reached) {
  if (/\bEUSAGE\b/.test(output)) {
    return "package.json and package-lock.json don't agree. Run `npm install` and commit package-lock.json.";
  }
  return reached
    ? "npm could not install the packages (its words are above). Mend that, then run `node bin/setup.mjs` again."
    : "The package registry can't be reached and npm's cache doesn't hold all packages. " +
        "With a network, run `node bin/setup.mjs` again.";
}

/**
 * Without a network npm tries each package for minutes, so one is asked for first, past npm's cache.
 * @param {{ cwd: string, env: NodeJS.ProcessEnv, signal: AbortSignal }} options
 */
async function reachesRegistry(options) {
  const limits = ["--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-timeout=15000"];
  const words = ["view", "typescript", "version", "--cache", join(options.cwd, "empty-cache"), ...limits];
  const ended = await run("npm", words, { ...options, timeoutMs: 40_000 });
  if (ended.missing)
    throw new SetupError("npm isn't on PATH. Install it (it comes with Node), then run this again.");
  return ended.code === 0;
}

/** What npm tells its scripts about the outer package would mislead the inner npm. @param {NodeJS.ProcessEnv} env */
function withoutNpmsOwn(env) {
  const own = /^npm_(package_|lifecycle_|command$|config_local_prefix$)/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !own.test(name)));
}

/**
 * npm 11's `ci` refuses a lock file that was written where the packages of other platforms could not be had.
 * `npm install` takes it. True when nothing else is wrong: each thing missing is somebody's optional package.
 * @param {string} output of npm @param {Lock} lock
 */
export function lacksOptionalOnly(output, lock) {
  if (!/\bEUSAGE\b/.test(output) || /\bInvalid: /.test(output)) return false;
  const missing = [...output.matchAll(/\bMissing: (@?[^@\s]+)@\S* from lock file/g)].map(
    (match) => match[1] ?? "",
  );
  const optional = new Set(
    Object.values(lock.packages).flatMap((p) => Object.keys(p.optionalDependencies ?? {})),
  );
  return missing.length > 0 && missing.every((name) => optional.has(name));
}

/** @typedef {{ version?: string, optional?: boolean, optionalDependencies?: Record<string, string> }} Locked */
/** @typedef {{ packages: Record<string, Locked> }} Lock */

/** @param {string} path @returns {Lock} */
function readLock(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** @param {string} root */
function packagesMatch(root) {
  try {
    const { packages } = readLock(join(root, "package-lock.json"));
    // npm writes this file last: without it the installation was cut short.
    const there = readLock(join(root, "node_modules", ".package-lock.json")).packages;
    return Object.entries(packages).every(([place, { version, optional }]) => {
      if (place === "" || (optional === true && there[place] === undefined)) return true;
      return there[place]?.version === version && existsSync(join(root, place, "package.json"));
    });
  } catch {
    return false;
  }
}

/** @param {string} output */
function lastLines(output) {
  return output.trimEnd().split("\n").slice(-30).join("\n");
}
