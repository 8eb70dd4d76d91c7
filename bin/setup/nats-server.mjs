// Step 3: a nats-server, 2.10 or newer: the setting, PATH, the project's cache folder, the package manager.
//
// N1. What an operator set is used or refused with a sentence; it is never passed over for something else.
// N2. What is found by chance (PATH, cache) and is too old is passed over, with a word.
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { delimiter, join, relative, resolve } from "node:path";
import { downloadWithApt } from "./apt.mjs";
import { withLock } from "./lock.mjs";
import { run } from "./run.mjs";
import { secondsSince, SetupError } from "./step.mjs";
import { isAtLeast, readVersion } from "./version.mjs";

/** 2.9 refuses `sync_interval` and lacks more. @type {import("./version.mjs").Version} */
const oldest = [2, 10, 0];
const oldestText = oldest.slice(0, 2).join(".");

const advice =
  `Install nats-server ${oldestText} or newer and put it on PATH, or set MILLRACE_NATS_SERVER to its path, ` +
  "or set MILLRACE_NATS_URL to a running one.";

/** @typedef {{ path: string, version: string }} Server */

/**
 * Makes sure that there is one, downloading it where need be. Throws SetupError.
 * @param {import("./step.mjs").Step & { urlStandsIn: boolean }} step
 */
export async function prepareNatsServer(step) {
  const { root, env, report, urlStandsIn } = step;
  if (urlStandsIn && setting(root, env, "MILLRACE_NATS_URL", "natsUrl") !== "") {
    report.line("nats-server: none is needed, MILLRACE_NATS_URL names a running one");
    return;
  }
  const say = (/** @type {Server} */ { path, version }) => {
    const inside = relative(root, path);
    report.line(`nats-server ${version} is ${inside.startsWith("..") ? path : inside}`);
  };
  const found = await look(step);
  for (const word of found.passedOver) report.line(word);
  if (found.server !== undefined) return say(found.server);
  await withLock(join(root, ".cache", "setup.lock"), step, async () => {
    const again = await look(step);
    if (again.server !== undefined) return say(again.server);
    await fetchServer(step);
  });
}

/**
 * The one to use, of those that are there. Throws SetupError when there is none.
 * @param {Pick<import("./step.mjs").Step, "root" | "env" | "signal">} step
 * @returns {Promise<Server>}
 */
export async function findNatsServer(step) {
  const { server, passedOver } = await look(step);
  if (server !== undefined) return server;
  const before = passedOver.map((word) => `${word}. `).join("");
  throw new SetupError(`${before}There is no nats-server yet: run \`node bin/setup.mjs\`. ${advice}`);
}

/**
 * @param {Pick<import("./step.mjs").Step, "root" | "env" | "signal">} step
 * @returns {Promise<{ server?: Server, passedOver: string[] }>}
 */
async function look({ root, env, signal }) {
  const chosen = setting(root, env, "MILLRACE_NATS_SERVER", "natsServer");
  if (chosen !== "") {
    const path = resolve(root, chosen);
    const version = await versionOf(path, signal);
    if (version !== undefined && isNewEnough(version)) return { server: { path, version }, passedOver: [] };
    const why = version === undefined ? "is no nats-server that runs" : `is nats-server ${version}`;
    throw new SetupError(
      `MILLRACE_NATS_SERVER is "${chosen}", which ${why}; ${oldestText} or newer is needed.`,
    );
  }
  const passedOver = [];
  const onPath = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  for (const path of [...onPath.map((folder) => resolve(root, folder, "nats-server")), cachedServer(root)]) {
    const version = await versionOf(path, signal);
    if (version === undefined) continue;
    if (isNewEnough(version)) return { server: { path, version }, passedOver };
    passedOver.push(`nats-server ${version} at ${path} is passed over: ${oldestText} or newer is needed`);
  }
  return { passedOver };
}

/** @param {string} root */
function cachedServer(root) {
  return join(root, ".cache", "nats-server", "nats-server");
}

/** @param {string} version */
function isNewEnough(version) {
  return isAtLeast(readVersion(version), oldest);
}

/** Undefined when the path is no program that says a version. @param {string} path @param {AbortSignal} signal */
async function versionOf(path, signal) {
  try {
    accessSync(path, constants.X_OK);
    if (!statSync(path).isFile()) return undefined;
  } catch {
    return undefined;
  }
  const { code, output } = await run(path, ["--version"], { signal, timeoutMs: 10_000 });
  return code === 0 ? readVersion(output)?.join(".") : undefined;
}

/** An environment variable, else the key of millrace.json; "" when neither is set. src/config judges the values. */
/** @param {string} root @param {NodeJS.ProcessEnv} env @param {string} variable @param {string} key */
function setting(root, env, variable, key) {
  const said = env[variable];
  if (said !== undefined) return said.trim();
  try {
    const home = resolve(root, env["MILLRACE_HOME"] ?? ".millrace");
    const value = JSON.parse(readFileSync(join(home, "millrace.json"), "utf8"))[key];
    return typeof value === "string" ? value.trim() : "";
  } catch {
    return "";
  }
}

/** @param {import("./step.mjs").Step} step */
async function fetchServer(step) {
  const { root, signal, report } = step;
  const startedMs = performance.now();
  const isRight = async (/** @type {string} */ path) => isNewEnough((await versionOf(path, signal)) ?? "");
  if (process.platform === "darwin") {
    report.begin("nats-server: installing with brew");
    await installWithBrew(step, isRight);
  } else {
    report.begin("nats-server: downloading with apt-get");
    await downloadWithApt(step, { target: cachedServer(root), isRight, advice });
  }
  const { version } = await findNatsServer(step);
  report.end(`${version}, done in ${secondsSince(startedMs)}`);
}

/** @param {import("./step.mjs").Step} step @param {(path: string) => Promise<boolean>} isRight */
async function installWithBrew({ env, signal }, isRight) {
  const brew = (/** @type {string[]} */ ...words) => run("brew", words, { env, signal });
  const installed = await brew("install", "nats-server");
  if (installed.missing) throw new SetupError(`There is no nats-server and no Homebrew. ${advice}`);
  const prefix = (await brew("--prefix")).output.trim();
  if (installed.code === 0 && (await isRight(join(prefix, "bin", "nats-server")))) return;
  throw new SetupError(
    `${installed.output.trimEnd()}\nsetup: \`brew install nats-server\` did not help. ${advice}`,
  );
}
