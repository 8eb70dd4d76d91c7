// What documents say can be typed: every command line of ours parses, every setting, script, file and route that is named
// is there.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { type Command, CommanderError } from "commander";
import { Audit } from "../../bin/admin/audit.ts";
import { allVerbs } from "../../bin/admin/server.ts";
import { buildProgram } from "../../bin/commands/program.ts";
import { findingKinds } from "../../bin/doctor/findings.ts";
import { findRoot } from "../../bin/setup/root.mjs";
import { Outage } from "../../src/base/errors.ts";

const root = findRoot(import.meta.url) ?? "";
const documents = [
  "README.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "bench/README.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];
const textOf = (document: string) => readFileSync(join(root, document), "utf8");
const ours = /^(?:millrace|node dist\/bin\/millrace\.js) /;

/** Words as a shell would make them, up to what is not the command's any more. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (const [, double, single, plain] of line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)) {
    if (plain !== undefined && /^([|>&;#]|&&|\d?>)/.test(plain)) break;
    words.push(double ?? single ?? plain ?? "");
  }
  return words;
}

/** Lines of fenced shell blocks; those that end in a backslash go on. */
function shellLines(text: string): string[] {
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = ""]) => block);
  return blocks.flatMap((block) => block.replaceAll("\\\n", " ").split("\n"));
}

/** The program as it is, but nothing it parses is done, and a mistake throws. */
function parser(): Command {
  const program = buildProgram();
  const walk = (command: Command) => {
    command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
    if (command.commands.length === 0 || command.name() === "replay") command.action(() => {});
    command.commands.forEach(walk);
  };
  walk(program);
  return program;
}

test("every command line in a shell block parses", async () => {
  const wrong: string[] = [];
  let parsed = 0;
  for (const document of documents)
    for (const line of shellLines(textOf(document)).map((each) => each.trim())) {
      if (!ours.test(line)) continue;
      parsed++;
      const words = wordsOf(line.replace(ours, ""));
      await parser()
        .parseAsync(words, { from: "user" })
        .catch((error: unknown) => {
          if (!(error instanceof CommanderError && error.code === "commander.helpDisplayed"))
            wrong.push(`${document}: ${line}: ${String(error)}`);
        });
    }
  assert.deepEqual(wrong, []);
  assert.ok(parsed > 100, `only ${parsed} lines were found`);
});

test("every command that the doctor names parses", async () => {
  for (const { command } of Object.values(findingKinds)) {
    if (!ours.test(command)) continue;
    const words = command.replace(ours, "").replace("SHARD", "3").replace("TENANT", "acme").split(" ");
    await assert.doesNotReject(parser().parseAsync(words, { from: "user" }), command);
  }
});

test("every command that is named in a sentence is there, with its flags", () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const document of documents) {
    const prose = textOf(document).replaceAll(/^```.*?^```/gms, "");
    for (const [, line = ""] of prose.matchAll(/`(millrace [^`]+)`/g)) {
      seen++;
      const words = wordsOf(line.replace(ours, ""));
      let command = buildProgram();
      for (const word of words) {
        const next: Command | undefined = command.commands.find((each) => each.name() === word);
        if (next !== undefined) command = next;
      }
      const flags = ["--help", "--version", ...command.options.map(({ long }) => long)];
      const isFirst = command.parent === null && words[0]?.startsWith("--") !== true;
      const unknown = words.filter(
        (word) => word.startsWith("--") && !flags.includes(word.split("=")[0] ?? ""),
      );
      if (isFirst || unknown.length > 0) wrong.push(`${document}: ${line}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(seen > 30, `only ${seen} were found`);
});

test("scripts, settings and files that documents name are there", () => {
  const { scripts } = JSON.parse(textOf("package.json")) as { scripts: Record<string, string> };
  const sources = ["src", "bin", "cluster", "workers", "test", "bench"]
    .flatMap((room) =>
      readdirSync(join(root, room), { recursive: true, encoding: "utf8" }).map((f) => join(room, f)),
    )
    .filter((file) => /\.(ts|mjs)$/.test(file) && file !== relative(root, "test/bin/documents.test.ts"))
    .map(textOf)
    .join("\n");
  const wrong: string[] = [];
  for (const document of documents) {
    const text = textOf(document);
    for (const [, name = ""] of text.matchAll(/npm run ([a-z:]+)/g))
      if (scripts[name] === undefined) wrong.push(`${document}: npm run ${name}`);
    for (const [name] of text.matchAll(/MILLRACE_[A-Z_]*[A-Z]/g))
      if (!sources.includes(name)) wrong.push(`${document}: ${name}`);
    for (const [, target = ""] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g))
      if (!/^https?:/.test(target) && !existsSync(join(root, dirname(document), target)))
        wrong.push(`${document}: ${target}`);
  }
  assert.deepEqual(wrong, []);
});

test("the admin API's page names every route, and no other", () => {
  const nothing = () => Promise.reject(new Outage("bus-unavailable", "there is nothing to ask"));
  const verbs = allVerbs(nothing, new Audit(() => undefined));
  const routes = verbs.map(({ method, url }) => `${method} ${url.replaceAll(/:[a-z]+/g, "X")}`).toSorted();
  const named: string[] = [];
  for (const row of textOf("docs/operating/admin.md").split("\n")) {
    if (!row.startsWith("| `")) continue;
    let methods: string[] = [];
    let before = "";
    for (const [, words = ""] of (row.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)) {
      const [first = "", ...rest] = words.split(" ");
      if (/^(GET|POST)$/.test(first)) {
        // `GET`, `POST /v1/...` are two methods of one path.
        methods =
          rest.length === 0 || (methods.length === 1 && before === "") ? [...methods, first] : [first];
        if (rest.length === 0) continue;
      }
      const path = (/^(GET|POST)$/.test(first) ? (rest[0] ?? "") : first).split("?")[0] ?? "";
      const whole = path.startsWith("/")
        ? path
        : path.startsWith("NAME/")
          ? `/v1/tenants/${path}`
          : before.replace(/[^/]+(\/remove)?$/, path);
      before = whole;
      for (const method of methods) named.push(`${method} ${whole.replaceAll(/\/[A-Z]+\b/g, "/X")}`);
      if (methods.length > 1) methods = methods.slice(0, 1);
    }
  }
  assert.deepEqual([...new Set(named)].toSorted(), routes);
});
