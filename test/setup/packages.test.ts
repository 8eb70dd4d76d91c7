// When packages are installed, with which words to npm, and that a failure leaves the old ones. npm is played by a
// script, for the real one needs a network.
import assert from "node:assert/strict";
import { existsSync, lstatSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { lacksOptionalOnly, preparePackages, wantedStamp } from "../../bin/setup/packages.mjs";
import { createCheckout, type Checkout } from "./checkout.ts";

const refusal = (...missing: string[]) =>
  [
    "npm error code EUSAGE",
    "npm error",
    ...missing.map((name) => `npm error Missing: ${name}@ from lock file`),
  ].join("\n");

/** npm that writes down its words; `view`, `ci` and `install` do what is said. */
function playNpm(checkout: Checkout, { view = "exit 0", ci = "exit 0", install = "exit 0" }): () => string[] {
  const put = "mkdir -p node_modules/fresh; echo {} > node_modules/fresh/package.json";
  checkout.program(
    "npm",
    `echo "$@" >> "${checkout.root}/npm.log"
case $1 in
view) ${view} ;;
ci) ${put}; ${ci} ;;
install) ${put}; ${install} ;;
esac`,
  );
  return () =>
    checkout
      .read("npm.log")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("view"));
}

/** Its packages are of another lock file. */
function createStale(t: TestContext): Checkout {
  const checkout = createCheckout(t);
  checkout.write("node_modules/.millrace-stamp", "another lock file\n");
  return checkout;
}

test("which refusals of npm ci are only about other platforms", () => {
  const lock = {
    packages: {
      "": {},
      "node_modules/biome": { optionalDependencies: { "@biome/mac": "1", "@biome/win": "1" } },
    },
  };
  const f = (output: string, expected: boolean) =>
    assert.equal(lacksOptionalOnly(output, lock), expected, output);
  f(refusal("@biome/mac"), true);
  f(refusal("@biome/mac", "@biome/win"), true);
  f("npm error code EUSAGE\nnpm error Missing: @biome/mac@2.6.8 from lock file", true);
  f(refusal("@biome/mac", "fastify"), false);
  f(refusal(), false);
  f(`${refusal("@biome/mac")}\nnpm error Invalid: lock file's a@1.0.0 does not satisfy a@2.0.0`, false);
  f("npm error code ENOTFOUND\nnpm error Missing: @biome/mac@ from lock file", false);
  f("", false);
});

test("with the stamp there no npm is started", async (t) => {
  const checkout = createCheckout(t);
  playNpm(checkout, {});
  await preparePackages(checkout.step);
  assert.equal(checkout.said(), "setup: packages are in place\n");
  assert.equal(existsSync(join(checkout.root, "npm.log")), false);
});

test("another stamp: npm ci, and the old packages are gone", async (t) => {
  const checkout = createStale(t);
  const calls = playNpm(checkout, {});
  await preparePackages(checkout.step);
  assert.deepEqual(calls(), ["ci --include=dev"]);
  assert.equal(checkout.read("node_modules/.millrace-stamp"), wantedStamp(checkout.root));
  assert.ok(existsSync(join(checkout.root, "node_modules/fresh")));
  assert.equal(existsSync(join(checkout.root, "node_modules/typescript")), false);
  await preparePackages(checkout.step);
  assert.equal(calls().length, 1);
});

test("EUSAGE for other platforms only: npm install takes the same lock file", async (t) => {
  const checkout = createStale(t);
  const calls = playNpm(checkout, { ci: `echo "${refusal("@biomejs/cli-darwin-arm64")}"; exit 1` });
  await preparePackages(checkout.step);
  assert.deepEqual(calls(), ["ci --include=dev", "install --no-save --include=dev"]);
  assert.ok(existsSync(join(checkout.root, "node_modules/fresh")));
});

test("EUSAGE for anything else says what to run and leaves the old packages", async (t) => {
  const checkout = createStale(t);
  const calls = playNpm(checkout, { ci: `echo "${refusal("fastify")}"; exit 1` });
  await assert.rejects(
    preparePackages(checkout.step),
    /Missing: fastify.*\nsetup: .*Run `npm install` and commit/,
  );
  assert.deepEqual(calls(), ["ci --include=dev"]);
  assert.ok(existsSync(join(checkout.root, "node_modules/typescript")));
  assert.equal(existsSync(join(checkout.root, "node_modules/fresh")), false);
  assert.equal(existsSync(join(checkout.root, ".cache/packages")), false);
});

test("without a network npm's cache is tried, and a failure says so", async (t) => {
  const checkout = createStale(t);
  const calls = playNpm(checkout, { view: "exit 1", ci: "echo npm error code ENOTCACHED; exit 1" });
  await assert.rejects(preparePackages(checkout.step), /With a network, run `node bin\/setup\.mjs` again\./);
  assert.deepEqual(calls(), ["ci --include=dev --offline"]);
  assert.ok(existsSync(join(checkout.root, "node_modules/typescript")));
});

test("a link is never written through: another lock file gets packages of its own", async (t) => {
  const checkout = createStale(t);
  const shared = join(checkout.root, "shared");
  renameSync(join(checkout.root, "node_modules"), shared);
  symlinkSync(shared, join(checkout.root, "node_modules"));
  playNpm(checkout, {});
  await preparePackages(checkout.step);
  assert.ok(lstatSync(join(checkout.root, "node_modules")).isDirectory());
  assert.equal(checkout.read("shared/.millrace-stamp"), "another lock file\n");
  assert.ok(readlinkSync(join(shared, "typescript")));
});

test("packages installed by hand are taken if each is what the lock file says", async (t) => {
  const checkout = createCheckout(t);
  const calls = playNpm(checkout, {});
  const entries = {
    "node_modules/a": { version: "1.0.0" },
    "node_modules/b": { version: "2.0.0", optional: true },
  };
  checkout.write("package-lock.json", JSON.stringify({ packages: { "": {}, ...entries } }));
  const lay = (packages: object) => {
    rmSync(join(checkout.root, "node_modules"), { recursive: true });
    mkdirSync(join(checkout.root, "node_modules"));
    checkout.write("node_modules/a/package.json", "{}");
    checkout.write("node_modules/.package-lock.json", JSON.stringify({ packages }));
  };
  lay({ "node_modules/a": { version: "1.0.0" } });
  await preparePackages(checkout.step);
  assert.equal(existsSync(join(checkout.root, "npm.log")), false);
  assert.equal(checkout.read("node_modules/.millrace-stamp"), wantedStamp(checkout.root));
  lay({ "node_modules/a": { version: "1.0.0" } });
  renameSync(join(checkout.root, "node_modules"), join(checkout.root, "shared"));
  symlinkSync("shared", join(checkout.root, "node_modules"));
  await preparePackages(checkout.step);
  assert.equal(existsSync(join(checkout.root, "npm.log")), false);
  assert.equal(existsSync(join(checkout.root, "shared/.millrace-stamp")), false);
  rmSync(join(checkout.root, "node_modules"));
  renameSync(join(checkout.root, "shared"), join(checkout.root, "node_modules"));
  lay({ "node_modules/a": { version: "1.0.1" } });
  await preparePackages(checkout.step);
  assert.equal(calls().length, 1);
  lay({ "node_modules/a": { version: "1.0.0" } });
  rmSync(join(checkout.root, "node_modules/a"), { recursive: true });
  await preparePackages(checkout.step);
  assert.equal(calls().length, 2);
});
