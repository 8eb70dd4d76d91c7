// nats-server from the distribution's archive, on Debian and Ubuntu: the machine's own mirror, keys and proxies, but
// a newer suite, private lists and a private cache; unpacked, not installed.
//
// A1. Nothing of the system changes, so no root is needed: apt reads its usual configuration, then ours.
// A2. What was downloaded is signed by a key that the machine already trusts for that mirror.
// A3. The program is tried before it is renamed into the cache folder.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
} from "node:fs";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { choose, parseDeb822, parseOneLine, privateSource, suitesFor } from "./apt-sources.mjs";
import { run } from "./run.mjs";
import { SetupError } from "./step.mjs";

/** Mirrors tried, where the machine has several. */
const mirrorsMost = 3;

/**
 * Throws SetupError when the machine has no apt, no mirror, no network, or a mirror with too old a server.
 * @param {import("./step.mjs").Step} step
 * @param {{ target: string, isRight: (path: string) => Promise<boolean>, advice: string, etc?: string }} options
 *   where the program goes; whether it will do; what to tell a person otherwise; where the machine is configured
 */
export async function downloadWithApt(step, { target, isRight, advice, etc = "/etc" }) {
  const { env, signal } = step;
  const arch = await run("dpkg", ["--print-architecture"], { env, signal });
  const os = readIfThere(join(etc, "os-release"));
  const sources = choose(readSources(join(etc, "apt")), os).slice(0, mirrorsMost);
  if (arch.code !== 0 || sources.length === 0) throw new SetupError(`There is no nats-server. ${advice}`);
  let words = "";
  for (const source of sources) {
    for (const suite of suitesFor(os)) {
      const folder = mkdtempSync(join(tmpdir(), "millrace-apt-"));
      try {
        const entry = privateSource(source, suite, os, arch.output.trim());
        const made = await download(step, folder, entry);
        if (typeof made === "string") {
          words = made;
        } else if (await isRight(made.path)) {
          return moveInto(target, made.path);
        } else {
          words = `The nats-server of ${suite} does not run here or is too old.`;
        }
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
  }
  throw new SetupError(
    `${words}\nsetup: nats-server could not be downloaded with apt-get. ${hint(words)} Or: ${advice}`,
  );
}

/** @param {string} words of apt-get */
export function hint(words) {
  return /NO_PUBKEY|not signed|signatures couldn't be verified/.test(words)
    ? "The machine doesn't have the archive's newer keys: as root run `apt-get install --only-upgrade " +
        "debian-archive-keyring` (Ubuntu: ubuntu-keyring), then `node bin/setup.mjs` again."
    : "With a network, run `node bin/setup.mjs` again.";
}

/** Every enabled place of packages that the machine knows, in either format. @param {string} folder */
export function readSources(folder) {
  const parts = join(folder, "sources.list.d");
  const names = existsSync(parts) ? readdirSync(parts).toSorted() : [];
  const paths = [join(folder, "sources.list"), ...names.map((name) => join(parts, name))];
  return paths.flatMap((path) => {
    if (path.endsWith(".sources")) return parseDeb822(readIfThere(path));
    return path.endsWith(".list") ? parseOneLine(readIfThere(path)) : [];
  });
}

/** The unpacked program, or apt's words. */
/** @param {import("./step.mjs").Step} step @param {string} folder @param {string} source */
async function download({ env, signal }, folder, source) {
  // apt, run by root, downloads as a user of its own, who must be able to enter.
  chmodSync(folder, 0o755);
  for (const name of ["sources", "preferences", "lists/partial", "cache/archives/partial", "package"]) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  // Readable by us alone: the address of a mirror may hold a password.
  writeFileSync(join(folder, "sources", "millrace.sources"), source, { mode: 0o600 });
  writeFileSync(join(folder, "status"), "");
  writeFileSync(join(folder, "apt.conf"), configuration(folder));
  const apt = (/** @type {string[]} */ ...words) =>
    run("apt-get", ["-q", "-c", join(folder, "apt.conf"), ...words], {
      cwd: join(folder, "package"),
      env: { ...env, LC_ALL: "C" },
      signal,
    });
  const updated = await apt("update");
  if (updated.code !== 0) return updated.output.trimEnd();
  const downloaded = await apt("download", "nats-server");
  const archive = readdirSync(join(folder, "package")).find((name) => name.endsWith(".deb"));
  if (downloaded.code !== 0 || archive === undefined) return downloaded.output.trimEnd();
  const unpacked = join(folder, "unpacked");
  const words = ["-x", join(folder, "package", archive), unpacked];
  const ended = await run("dpkg", words, { env, signal });
  const path = ["usr/bin", "usr/sbin"]
    .map((at) => join(unpacked, at, "nats-server"))
    .find((at) => existsSync(at));
  return ended.code === 0 && path !== undefined
    ? { path }
    : `${archive} could not be unpacked. ${ended.output.trimEnd()}`;
}

/** Read by apt after its own: private places, no hooks, no pins, one index. @param {string} folder */
function configuration(folder) {
  const hooks = ["Pre-Invoke", "Post-Invoke", "Post-Invoke-Success"].map(
    (name) => `#clear APT::Update::${name};`,
  );
  return [
    ...hooks,
    `Dir::Etc::sourcelist "/dev/null";`,
    `Dir::Etc::sourceparts "${join(folder, "sources")}";`,
    `Dir::Etc::preferences "/dev/null";`,
    `Dir::Etc::preferencesparts "${join(folder, "preferences")}";`,
    `Dir::State::lists "${join(folder, "lists")}";`,
    `Dir::State::status "${join(folder, "status")}";`,
    `Dir::Cache "${join(folder, "cache")}";`,
    `APT::Default-Release "";`,
    `APT::Update::Error-Mode "any";`,
    `Acquire::Languages "none";`,
    `Acquire::Retries "2";`,
    "",
  ].join("\n");
}

/** @param {string} target @param {string} made */
function moveInto(target, made) {
  const aside = `${target}.${process.pid}`;
  mkdirSync(dirname(target), { recursive: true });
  try {
    copyFileSync(made, aside);
    chmodSync(aside, 0o755);
    renameSync(aside, target);
  } finally {
    rmSync(aside, { force: true });
  }
}

/** @param {string} path */
function readIfThere(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
