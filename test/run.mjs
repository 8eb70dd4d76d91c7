// Runs the tests of the build: `npm test` all of them, `npm test -- store bus` the files with one of these words in
// their path. What starts with a dash goes to Node: `npm test -- store --test-name-pattern=fenced`.
//
// T1. Every *.test.js at any depth is run by name, and to find none is a failure: nothing is missed silently.
// T2. The build is the one that `dist` is at the start; another build meanwhile changes nothing.
// T3. A file ends by itself or fails after a while. Nothing is forced to exit: what a test leaves open must show.
// T4. Tests find the nats-server of the set-up by PATH, and see no setting of whoever started them but the seed.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { delimiter, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { findNatsServer } from "../bin/setup/nats-server.mjs";

const fileMsMost = 300_000;

/** @param {string} message @returns {never} */
function fail(message) {
  process.stderr.write(`test/run.mjs: ${message}\n`);
  process.exit(1);
}

/** @param {string} root */
function findTests(root) {
  try {
    const build = realpathSync(join(root, "dist"));
    const names = readdirSync(join(build, "test"), { recursive: true, encoding: "utf8" });
    return { build, names: names.filter((name) => name.endsWith(".test.js")).toSorted() };
  } catch {
    return fail("there is no build with tests. Run `node bin/setup.mjs`.");
  }
}

/** Tests are started with this. @param {string} serverFolder */
function testEnvironment(serverFolder) {
  const passed = new Set(["MILLRACE_SEED", "MILLRACE_FAULTS"]);
  const isOurs = (/** @type {string} */ name) => name.startsWith("MILLRACE_") && !passed.has(name);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOurs(name)));
  delete env["NODE_TEST_CONTEXT"];
  return { ...env, PATH: `${serverFolder}${delimiter}${env["PATH"] ?? ""}` };
}

/** A folder with nothing in it but the chosen server, under its usual name. @param {string} root */
async function linkServer(root) {
  const folder = mkdtempSync(join(tmpdir(), "millrace-tests-"));
  const server = await findNatsServer({ root, env: process.env, signal: new AbortController().signal }).catch(
    (error) => process.stderr.write(`test/run.mjs: ${error.message}\n`),
  );
  if (typeof server === "object") symlinkSync(server.path, join(folder, "nats-server"));
  return folder;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const words = process.argv.slice(2);
const flags = words.filter((word) => word.startsWith("-"));
const wanted = words.filter((word) => !word.startsWith("-"));
const { build, names } = findTests(root);
const chosen = names.filter((name) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
if (chosen.length === 0) {
  fail(
    names.length === 0
      ? "there is no test file at all."
      : `no test file has ${wanted.join(" or ")} in its path.`,
  );
}

const serverFolder = await linkServer(root);
const child = spawn(
  process.execPath,
  [
    "--enable-source-maps",
    "--test",
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    `--test-timeout=${fileMsMost}`,
    `--test-concurrency=${Math.min(4, Math.max(3, availableParallelism()))}`,
    ...flags,
    ...chosen.map((name) => relative(root, join(build, "test", name))),
  ],
  { cwd: root, stdio: "inherit", env: testEnvironment(serverFolder) },
);
for (const name of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(name, () => child.kill(name));
child.on("close", (code, signal) => {
  rmSync(serverFolder, { recursive: true, force: true });
  process.exitCode = code ?? (signal === null ? 1 : 130);
});
