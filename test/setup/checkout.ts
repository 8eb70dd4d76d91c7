// A small checkout in a temp folder: our set-up, a few sources, the compiler by link, and programs that play npm,
// nats-server and apt-get. What it makes is removed after the test.
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { wantedStamp } from "../../bin/setup/packages.mjs";
import { findRoot } from "../../bin/setup/root.mjs";
import { createReport, type Step } from "../../bin/setup/step.mjs";

const ours = findRoot(import.meta.url) ?? "";

export interface Checkout {
  root: string;
  /** Programs put here come first on PATH; node and the system's own follow. */
  programs: string;
  env: NodeJS.ProcessEnv;
  step: Step;
  /** What the steps reported. */
  said: () => string;
  write: (path: string, text: string) => void;
  read: (path: string) => string;
  /** A shell script on PATH; the answer is its path. */
  program: (name: string, body: string) => string;
}

/** Packages and sources are in place; there is no build yet. */
export function createCheckout(t: TestContext): Checkout {
  const root = mkdtempSync(join(tmpdir(), "millrace-setup-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const name of ["bin/setup.mjs", "bin/setup", "test/run.mjs", "package.json", "package-lock.json"]) {
    cpSync(join(ours, name), join(root, name), { recursive: true });
  }
  const programs = join(root, "programs");
  const words: string[] = [];
  const env = {
    PATH: [programs, dirname(process.execPath), "/usr/bin", "/bin"].join(delimiter),
    HOME: root,
  };
  const checkout: Checkout = {
    root,
    programs,
    env,
    step: {
      root,
      env,
      signal: new AbortController().signal,
      report: createReport((text: string) => words.push(text)),
    },
    said: () => words.join(""),
    write(path, text) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    },
    read: (path) => readFileSync(join(root, path), "utf8"),
    program(name, body) {
      const path = join(programs, name);
      mkdirSync(programs, { recursive: true });
      writeFileSync(path, `#!/bin/sh\n${body}\n`);
      chmodSync(path, 0o755);
      return path;
    },
  };
  // Only small sources: what is tested is how they are built.
  const settings = JSON.parse(readFileSync(join(ours, "tsconfig.json"), "utf8"));
  settings.include = ["src", "test/**/*.ts"];
  checkout.write("tsconfig.json", JSON.stringify(settings));
  checkout.write("src/one.ts", "// One.\nexport const one: number = 1;\n");
  checkout.write("kernel/kernel.ts", "// One.\nexport function one(): i32 {\n  return 1;\n}\n");
  mkdirSync(join(root, "node_modules"));
  for (const name of ["typescript", "@types", "@typescript", "assemblyscript"]) {
    symlinkSync(join(ours, "node_modules", name), join(root, "node_modules", name));
  }
  checkout.write("node_modules/.millrace-stamp", wantedStamp(root));
  return checkout;
}

/** As nats-server says its version. */
export function serverSaying(version: string): string {
  return `echo "nats-server: v${version}"`;
}
