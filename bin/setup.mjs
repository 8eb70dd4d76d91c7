// Readies a checkout: `npm start`, `npm test` and `npm run bench` run it first. Node built-ins only, for it installs
// the packages. A line for each step, well under a second when there is nothing to do.
//
// S1. A step that fails or is interrupted leaves what was there before: all is made aside and renamed into place.
// S2. Two set-ups of one checkout don't disturb each other: whoever has work to do holds the lock.
// S3. With packages and nats-server there, nothing asks for a network.
// S4. Nothing of the system is changed (except by Homebrew, where that is the package manager).
//
// node bin/setup.mjs                       all three steps
// node bin/setup.mjs --tests               the same, for the tests: they start servers of their own, so
//                                          MILLRACE_NATS_URL doesn't stand in for a nats-server
// node bin/setup.mjs --which-nats-server   prints the path of the nats-server to use; downloads nothing
import { prepareBuild } from "./setup/build.mjs";
import { findNatsServer, prepareNatsServer } from "./setup/nats-server.mjs";
import { preparePackages } from "./setup/packages.mjs";
import { findRoot } from "./setup/root.mjs";
import { createReport, Interrupted, SetupError } from "./setup/step.mjs";
import { isAtLeast, readVersion } from "./setup/version.mjs";

/** As in package.json, "engines". */
const oldestNode = "20.19.0";

/** @param {string[]} words @param {AbortSignal} signal */
async function main(words, signal) {
  const root = findRoot(import.meta.url);
  if (root === undefined) throw new SetupError("bin/setup.mjs lies in no checkout of Millrace.");
  const env = process.env;
  const unknown = words.find((word) => word !== "--tests" && word !== "--which-nats-server");
  if (unknown !== undefined) {
    throw new SetupError(`bin/setup.mjs doesn't know ${unknown}; it takes --tests or --which-nats-server.`);
  }
  if (words.includes("--which-nats-server")) {
    process.stdout.write(`${(await findNatsServer({ root, env, signal })).path}\n`);
    return;
  }
  if (!isAtLeast(readVersion(process.versions.node), readVersion(oldestNode))) {
    throw new SetupError(`Millrace needs Node ${oldestNode} or newer; this is ${process.versions.node}.`);
  }
  const report = createReport((text) => process.stdout.write(text));
  const step = { root, env, signal, report };
  try {
    await preparePackages(step);
    await prepareBuild(step);
    await prepareNatsServer({ ...step, urlStandsIn: !words.includes("--tests") });
  } finally {
    report.close();
  }
}

const stopping = new AbortController();
for (const name of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.on(name, () => stopping.abort());
}
try {
  await main(process.argv.slice(2), stopping.signal);
} catch (error) {
  if (error instanceof Interrupted) {
    process.stderr.write("setup: interrupted; what was there before is still there.\n");
    process.exitCode = 130;
  } else {
    process.stderr.write(error instanceof SetupError ? `setup: ${error.message}\n` : `${String(error)}\n`);
    if (error instanceof Error && !(error instanceof SetupError)) process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  }
}
