// The set-up and the test command as a person runs them, in a small checkout.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createCheckout, serverSaying, type Checkout } from "./checkout.ts";

function node(
  checkout: Checkout,
  ...words: string[]
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, words, { cwd: checkout.root, env: checkout.env, encoding: "utf8" });
}

test("everything in place: three lines, and only nats-server is asked for its version", (t) => {
  const checkout = createCheckout(t);
  checkout.program("npm", "exit 1");
  checkout.program("nats-server", serverSaying("2.10.27"));
  const first = node(checkout, "bin/setup.mjs");
  assert.equal(first.status, 0, first.stderr);
  assert.match(
    first.stdout,
    /^setup: packages are in place\nsetup: build: compiling \.\.\. done.*\nsetup: nats-server 2/,
  );
  checkout.env["PATH"] = `${checkout.programs}:/bin`;
  const again = node(checkout, "bin/setup.mjs");
  assert.match(
    again.stdout,
    /^setup: packages are in place\nsetup: build [0-9a-f]{16} is in place\nsetup: nats-server 2\.10\.27 is programs\/nats-server\n$/,
  );
  assert.equal(again.status, 0);
});

test("npm start and npm test at once: both end well, with one build", async (t) => {
  const checkout = createCheckout(t);
  checkout.program("nats-server", serverSaying("2.10.27"));
  const ended = ["", "--tests"].map(async (word) => {
    const words = ["bin/setup.mjs", word].filter((each) => each !== "");
    const child = spawn(process.execPath, words, { cwd: checkout.root, env: checkout.env, stdio: "ignore" });
    return once(child, "close");
  });
  assert.deepEqual(await Promise.all(ended), [
    [0, null],
    [0, null],
  ]);
  assert.equal(readdirSync(join(checkout.root, ".build")).length, 1);
  assert.match(checkout.read("dist/src/one.js"), /one = 1/);
});

test("an unknown word is refused", (t) => {
  const { status, stderr } = node(createCheckout(t), "bin/setup.mjs", "--fast");
  assert.equal(status, 1);
  assert.match(stderr, /^setup: bin\/setup\.mjs doesn't know --fast/);
});

test("Ctrl-C while npm works ends npm and leaves what was there", async (t) => {
  const checkout = createCheckout(t);
  checkout.write("node_modules/.millrace-stamp", "another lock file\n");
  // What npm started in turn: says that it runs, and that it was told to stop.
  const grandchild = `trap "echo told > told; exit" TERM; echo runs > runs; for i in $(seq 400); do sleep 0.05; done`;
  checkout.program(
    "npm",
    `cd "${checkout.root}"; case $1 in view) ;; *) sh -c '${grandchild}' & wait ;; esac`,
  );
  const child = spawn(process.execPath, ["bin/setup.mjs"], {
    cwd: checkout.root,
    env: checkout.env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let words = "";
  child.stderr.on("data", (chunk) => (words += String(chunk)));
  const closed = once(child, "close");
  const poll = setInterval(() => {
    if (existsSync(join(checkout.root, "runs"))) {
      clearInterval(poll);
      child.kill("SIGINT");
    }
  }, 10);
  assert.deepEqual(await closed, [130, null]);
  assert.match(words, /^setup: interrupted/);
  assert.ok(existsSync(join(checkout.root, "told")));
  assert.deepEqual(readdirSync(join(checkout.root, ".cache")), []);
  assert.ok(existsSync(join(checkout.root, "node_modules/typescript")));
});

test("the test command: every depth, words that choose, and failures that show", async (t) => {
  const checkout = createCheckout(t);
  checkout.program("nats-server", serverSaying("2.10.27"));
  checkout.env["MILLRACE_HOME"] = "/nowhere";
  checkout.env["MILLRACE_SEED"] = "7";
  const none = node(checkout, "test/run.mjs");
  assert.equal(none.status, 1);
  assert.match(none.stderr, /there is no build with tests\. Run `node bin\/setup\.mjs`/);

  const body = (name: string, check: string) =>
    `// A test.\nimport assert from "node:assert/strict";\nimport { test } from "node:test";\ntest("${name}", () => ${check});\n`;
  checkout.write(
    "test/top.test.ts",
    body("at the top", 'assert.equal(process.env["MILLRACE_HOME"], undefined)'),
  );
  checkout.write(
    "test/a/b/deep.test.ts",
    body("deep down", 'assert.equal(process.env["MILLRACE_SEED"], "7")'),
  );
  checkout.write("test/a/b/helper.ts", "// Not a test.\nthrow new Error('run');\n");
  assert.equal(node(checkout, "bin/setup.mjs").status, 0);

  const f = (words: string[], status: number, expected: RegExp[], absent: RegExp[] = []) => {
    const ended = node(checkout, "test/run.mjs", ...words);
    const text = ended.stdout + ended.stderr;
    assert.equal(ended.status, status, text);
    for (const pattern of expected) assert.match(text, pattern);
    for (const pattern of absent) assert.doesNotMatch(text, pattern);
  };
  f([], 0, [/✔ at the top/, /✔ deep down/, /ℹ tests 2/, /ℹ pass 2/]);
  f(["a/b"], 0, [/✔ deep down/, /ℹ tests 1/], [/at the top/]);
  f(["deep", "top"], 0, [/ℹ tests 2/]);
  f(["--test-name-pattern=deep"], 0, [/✔ deep down/], [/✔ at the top/]);
  f(["nothing"], 1, [/no test file has nothing in its path/]);

  checkout.write("test/red.test.ts", body("red", "assert.fail()"));
  assert.equal(node(checkout, "bin/setup.mjs").status, 0);
  f(["red"], 1, [/✖ red/, /ℹ fail 1/]);
});
