// Step 2: from sources to `dist`.
//
// B1. A build is a folder named by the hash of all that goes into it, `.build/<hash>/`, made aside and renamed; `dist`
//     is a link to one. Node resolves the link at start, so a running system keeps the build it started with, and a
//     file of a deleted source can't be in the next one.
// B2. Sources that don't compile leave `dist` as it is.
// B3. A build that somebody wrote into (`tsc` by hand writes through the link) is noticed and made again.
import { createHash, randomBytes } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { withLock } from "./lock.mjs";
import { run } from "./run.mjs";
import { secondsSince, SetupError } from "./step.mjs";

/** As in tsconfig.json, "include". */
const sourceFolders = ["src", "workers", "cluster", "bin", "bench", "test"];
/** AssemblyScript: its own compiler makes dist/kernel/kernel.wasm of it. */
const kernelFolder = "kernel";
const otherInputs = ["tsconfig.json", "package.json", "package-lock.json"];
const manifestName = ".manifest.json";
const buildsKept = 5;

/** @param {import("./step.mjs").Step} step */
export async function prepareBuild(step) {
  const { root, report } = step;
  const wanted = hashInputs(root);
  if (linkedBuild(root) === wanted && isIntact(folderOf(root, wanted))) {
    report.line(`build ${wanted} is in place`);
    return;
  }
  await withLock(join(root, ".cache", "setup.lock"), step, async () => {
    const hash = hashInputs(root);
    if (isIntact(folderOf(root, hash))) {
      link(root, hash);
      report.line(`build ${hash} was made before`);
    } else {
      await build(step);
    }
    prune(root);
  });
}

/** All that decides what the compiler writes, in 16 hex digits. @param {string} root */
export function hashInputs(root) {
  const compilers = ["typescript", "assemblyscript"].map((name) => versionOf(root, name)).join(" ");
  const hash = createHash("sha256").update(compilers);
  const sources = [...sourceFolders, kernelFolder].flatMap((folder) => listFiles(join(root, folder)));
  const inputs = [
    ...otherInputs.map((name) => join(root, name)),
    ...sources.filter((path) => /\.[cm]?[jt]s$/.test(path)),
  ];
  for (const path of inputs) {
    const content = readFileSync(path);
    hash.update(`\0${relative(root, path)}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex").slice(0, 16);
}

/** @param {string} root @param {string} name @returns {string} */
function versionOf(root, name) {
  try {
    return JSON.parse(readFileSync(join(root, "node_modules", name, "package.json"), "utf8")).version;
  } catch {
    throw new SetupError(
      `A compiler is missing (${name}): remove node_modules, then run node bin/setup.mjs again.`,
    );
  }
}

/** @param {import("./step.mjs").Step} step */
async function build({ root, env, signal, report }) {
  const startedMs = performance.now();
  report.begin("build: compiling");
  const builds = join(root, ".build");
  const aside = join(builds, `making-${process.pid}-${randomBytes(4).toString("hex")}`);
  /** @param {string[]} words */
  const compile = async (words) => {
    const ended = await run(process.execPath, words, { cwd: root, env, signal });
    if (ended.code !== 0) {
      throw new SetupError(
        `${ended.output.trimEnd()}\nsetup: The sources don't compile (see above); dist is still what it was. ` +
          "Mend them, then run `node bin/setup.mjs` again.",
      );
    }
  };
  try {
    for (;;) {
      const hash = hashInputs(root);
      mkdirSync(aside, { recursive: true });
      const both = [compile(typescriptWords(root, aside)), compile(kernelWords(root, aside))];
      // Both have ended before the folder goes: one that still writes would bring it back.
      const failed = (await Promise.allSettled(both)).find((one) => one.status === "rejected");
      if (failed !== undefined) throw failed.reason;
      if (hashInputs(root) === hash) {
        finish(root, aside, hash);
        report.end(`done in ${secondsSince(startedMs)} (${hash})`);
        return;
      }
      // A source was saved while the compiler ran: what it wrote belongs to no hash.
      rmSync(aside, { recursive: true, force: true });
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** @param {string} root @param {string} aside */
function typescriptWords(root, aside) {
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  return [compiler, "--project", join(root, "tsconfig.json"), "--outDir", aside, "--noEmit", "false"];
}

/**
 * No runtime and no allocator: the kernel works in regions of a memory that is handed to it.
 *
 * @param {string} root @param {string} aside
 */
function kernelWords(root, aside) {
  const compiler = join(root, "node_modules/assemblyscript/bin/asc.js");
  const options = "--runtime stub --importMemory --enable simd --optimizeLevel 3 --shrinkLevel 0 --converge";
  const out = join(aside, kernelFolder, "kernel.wasm");
  return [
    compiler,
    join(root, kernelFolder, "kernel.ts"),
    "--outFile",
    out,
    ...options.split(" "),
    "--noAssert",
    // The names of functions beside the same code: profiles say them.
    "--debug",
    "--stackSize",
    "0",
  ];
}

/** @param {string} root @param {string} aside @param {string} hash */
function finish(root, aside, hash) {
  writeFileSync(join(aside, manifestName), JSON.stringify(describe(aside)));
  const place = folderOf(root, hash);
  rmSync(place, { recursive: true, force: true });
  renameSync(aside, place);
  link(root, hash);
}

/** @param {string} root @param {string} hash */
function folderOf(root, hash) {
  return join(root, ".build", hash);
}

/** The hash that `dist` stands for; undefined when it is no link to a build. @param {string} root */
function linkedBuild(root) {
  try {
    return /^\.build\/([0-9a-f]{16})$/.exec(readlinkSync(join(root, "dist")))?.[1];
  } catch {
    return undefined;
  }
}

/** Swaps `dist`, at once: there is never a moment without it. @param {string} root @param {string} hash */
function link(root, hash) {
  const now = new Date();
  utimesSync(folderOf(root, hash), now, now);
  if (linkedBuild(root) === hash) return;
  const dist = join(root, "dist");
  const fresh = join(root, ".build", `making-link-${process.pid}`);
  rmSync(fresh, { force: true });
  symlinkSync(`.build/${hash}`, fresh);
  // A folder, from before there were links or by `tsc` in a fresh clone, can't be renamed over.
  if (lstatSync(dist, { throwIfNoEntry: false })?.isDirectory()) {
    renameSync(dist, join(root, ".build", `making-old-${process.pid}`));
  }
  renameSync(fresh, dist);
}

/** Path to size and time of change, for each file of a build. @param {string} folder */
function describe(folder) {
  /** @type {Record<string, [number, number]>} */
  const files = {};
  for (const path of listFiles(folder)) {
    const { size, mtimeMs } = statSync(path);
    if (!path.endsWith(manifestName)) files[relative(folder, path)] = [size, mtimeMs];
  }
  return files;
}

/** @param {string} folder */
function isIntact(folder) {
  try {
    return readFileSync(join(folder, manifestName), "utf8") === JSON.stringify(describe(folder));
  } catch {
    return false;
  }
}

/** Sorted, at any depth; none when the folder isn't there. @param {string} folder @returns {string[]} */
function listFiles(folder) {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? listFiles(path) : [path];
    });
}

/** Keeps the builds used last. The lock is held: what is half-made belongs to nobody alive. @param {string} root */
function prune(root) {
  const builds = join(root, ".build");
  const names = readdirSync(builds);
  const stale = names.filter((name) => name.startsWith("making-"));
  const old = names
    .filter((name) => /^[0-9a-f]{16}$/.test(name))
    .map((name) => ({ name, usedMs: statSync(join(builds, name)).mtimeMs }))
    .toSorted((a, b) => b.usedMs - a.usedMs)
    .slice(buildsKept)
    .map(({ name }) => name);
  for (const name of [...stale, ...old]) rmSync(join(builds, name), { recursive: true, force: true });
}
