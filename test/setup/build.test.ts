// Builds are named by their inputs, swapped at once, and survive whatever goes wrong with the next one.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { hashInputs, prepareBuild } from "../../bin/setup/build.mjs";
import { createCheckout, type Checkout } from "./checkout.ts";

const builds = (checkout: Checkout) => readdirSync(join(checkout.root, ".build"));
const linked = (checkout: Checkout) => readlinkSync(join(checkout.root, "dist"));

test("the same sources are built once, and found again when they come back", async (t) => {
  const checkout = createCheckout(t);
  await prepareBuild(checkout.step);
  const first = linked(checkout);
  assert.equal(first, `.build/${hashInputs(checkout.root)}`);
  assert.match(checkout.read("dist/src/one.js"), /one = 1/);
  await prepareBuild(checkout.step);
  assert.match(checkout.said(), /compiling \.\.\. done in .*\nsetup: build [0-9a-f]{16} is in place\n$/);

  const source = checkout.read("src/one.ts");
  checkout.write("src/one.ts", source.replace("1", "2"));
  await prepareBuild(checkout.step);
  assert.match(checkout.read("dist/src/one.js"), /one = 2/);
  assert.ok(existsSync(join(checkout.root, first)), "a running system keeps its build");

  checkout.write("src/one.ts", source);
  await prepareBuild(checkout.step);
  assert.equal(linked(checkout), first);
  assert.match(checkout.said(), /was made before\n$/);
});

test("each input changes the hash", (t) => {
  const checkout = createCheckout(t);
  const seen = new Set([hashInputs(checkout.root)]);
  const f = (path: string, text: string, isInput: boolean) => {
    checkout.write(path, text);
    const hash = hashInputs(checkout.root);
    assert.equal(seen.has(hash), !isInput, path);
    seen.add(hash);
  };
  f("src/one.ts", "// One.\n", true);
  f("src/deep/er/two.ts", "", true);
  f("workers/w.ts", "", true);
  f("kernel/kernel.ts", "// Two.\n", true);
  f("tsconfig.json", "{}", true);
  f("package-lock.json", "{}", true);
  f("README.md", "words", false);
  f("src/notes.md", "words", false);
  rmSync(join(checkout.root, "src/one.ts"));
  assert.equal(seen.has(hashInputs(checkout.root)), false);
});

test("sources that don't compile leave dist as it was", async (t) => {
  const checkout = createCheckout(t);
  await prepareBuild(checkout.step);
  const before = linked(checkout);
  checkout.write("src/one.ts", "// One.\nexport const one: number = 'one';\n");
  await assert.rejects(
    prepareBuild(checkout.step),
    /src\/one\.ts\(2,14\): error TS2322[^]*The sources don't compile/,
  );
  assert.equal(linked(checkout), before);
  checkout.write("src/one.ts", "// One.\nexport const one = 1;\n");
  checkout.write("kernel/kernel.ts", "// One.\nexport function one(): i32 {\n  return nothing;\n}\n");
  await assert.rejects(
    prepareBuild(checkout.step),
    /kernel\/kernel\.ts\(3,10\)[^]*The sources don't compile/,
  );
  assert.equal(linked(checkout), before);
  assert.deepEqual(builds(checkout), [before.replace(".build/", "")]);
});

test("the kernel is compiled beside the rest", async (t) => {
  const checkout = createCheckout(t);
  await prepareBuild(checkout.step);
  const bytes = readFileSync(join(checkout.root, "dist/kernel/kernel.wasm"));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  assert.equal((exports["one"] as () => number)(), 1);
});

test("nothing stale survives: a deleted source, a file written into a build, a dist that is a folder", async (t) => {
  const checkout = createCheckout(t);
  mkdirSync(join(checkout.root, "dist/old"), { recursive: true });
  checkout.write("src/two.ts", "// Two.\nexport const two = 2;\n");
  await prepareBuild(checkout.step);
  assert.deepEqual(
    readdirSync(join(checkout.root, "dist/src")).filter((n) => n.endsWith(".js")),
    ["one.js", "two.js"],
  );
  rmSync(join(checkout.root, "src/two.ts"));
  await prepareBuild(checkout.step);
  assert.deepEqual(
    readdirSync(join(checkout.root, "dist/src")).filter((n) => n.endsWith(".js")),
    ["one.js"],
  );
  checkout.write("dist/src/three.js", "");
  await prepareBuild(checkout.step);
  assert.equal(existsSync(join(checkout.root, "dist/src/three.js")), false);
  checkout.write("dist/src/one.js", "throw 1");
  await prepareBuild(checkout.step);
  assert.match(checkout.read("dist/src/one.js"), /one = 1/);
});

test("two builds at a time leave one good dist", async (t) => {
  const checkout = createCheckout(t);
  await Promise.all([prepareBuild(checkout.step), prepareBuild(checkout.step)]);
  assert.deepEqual(builds(checkout), [linked(checkout).replace(".build/", "")]);
  assert.match(checkout.read("dist/src/one.js"), /one = 1/);
});

test("the five used last are kept, and nothing half-made", async (t) => {
  const checkout = createCheckout(t);
  checkout.write(".build/making-1-dead/half.js", "");
  for (let n = 0; n < 7; n++) {
    checkout.write("src/one.ts", `// One.\nexport const one = ${n};\n`);
    await prepareBuild(checkout.step);
  }
  assert.equal(builds(checkout).length, 5);
  assert.ok(builds(checkout).includes(linked(checkout).replace(".build/", "")));
  assert.deepEqual(
    builds(checkout).filter((name) => name.startsWith("making-")),
    [],
  );
});
