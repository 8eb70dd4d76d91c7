#!/usr/bin/env node
// The command line: a subcommand per process and per action. Every setting of the table is a flag of every command.
import { Command, Option } from "commander";
import { messageOf } from "../src/base/errors.ts";
import { settingRows, type SettingName } from "../src/config/settings.ts";
import { backupCommand } from "./backup.ts";
import { doctor } from "./doctor/doctor.ts";
import { drillCommand } from "./drill/drill.ts";
import { ledgerCheck } from "./ledger-check.ts";
import { ledgerShow } from "./ledger.ts";
import { natsConfig } from "./nats-config.ts";
import { startNats } from "./nats-server.ts";
import { operateCommands } from "./operate-commands.ts";
import { exitFinal, runProcess, type ProcessContext, type Running } from "./process.ts";
import { startApi, startCoordinator, startGateway, startNode } from "./processes.ts";
import { projectVersion } from "./project.ts";
import { refusedShow, sendersShow } from "./refused.ts";
import { restoreCommand } from "./restore.ts";
import { seriesDelete, seriesList } from "./series.ts";
import type { Output } from "./say.ts";
import { settingsMarkdown, settingsText } from "./settings.ts";
import * as tenant from "./tenant.ts";
import { tenantAddressAdd, tenantAddressList, tenantAddressRemove } from "./tenant-address.ts";
import { limitFlags, tenantLimits } from "./tenant-limits.ts";
import { type RulesOptions, tenantRules } from "./tenant-rules.ts";
import { top } from "./top.ts";
import { up } from "./up.ts";

type Flags = Partial<Record<SettingName, string>>;

const program = new Command("millrace")
  .description(
    "Graphite-compatible metrics for many tenants: recorded before it says yes, stored exactly once",
  )
  .version(projectVersion())
  .showHelpAfterError();

function command(parent: Command, usage: string, description: string): Command {
  const made = parent.command(usage).description(description);
  for (const row of settingRows())
    made.addOption(new Option(`${row.flag} <value>`, row.help).hideHelp(parent !== program));
  return made;
}

function flagsOf(options: Record<string, unknown>): Flags {
  return Object.fromEntries(
    settingRows().flatMap(({ name }) => (typeof options[name] === "string" ? [[name, options[name]]] : [])),
  );
}

command(program, "up", "run everything that the Procfile lists on this machine").action(
  async (options: Record<string, unknown>) => {
    try {
      await up(flagsOf(options));
    } catch (error) {
      process.stderr.write(`millrace: ${messageOf(error)}\n`);
      process.exit(exitFinal);
    }
  },
);

const processes: [string, string, (context: ProcessContext) => Promise<Running>][] = [
  ["nats", "run the system's own nats-server", startNats],
  ["coordinator", "make streams and buckets, and decide who runs what", startCoordinator],
  ["node", "run shard actors", startNode],
  ["gateway", "open the doors", startGateway],
  ["api", "answer Graphite queries", startApi],
];
for (const [name, description, start] of processes)
  command(program, name, description).action((options: Record<string, unknown>) =>
    runProcess(name, flagsOf(options), start),
  );

program
  .command("settings")
  .description("print the table of settings")
  .option("--markdown", "as docs/reference/settings.md")
  .action((options: { markdown?: true }) => {
    process.stdout.write(options.markdown === true ? settingsMarkdown() : settingsText());
  });

const json = (made: Command): Command => made.option("--json", "one JSON object or array on stdout");
const output = (options: Record<string, unknown>): Output => ({ json: options["json"] === true });
json(command(program, "backup <dir>", "copy the stores and the tenants, while the system runs")).action(
  (dir: string, options: Record<string, unknown>) => backupCommand(dir, output(options), flagsOf(options)),
);
json(command(program, "restore <dir>", "put a backup's stores in place, while nothing runs on MILLRACE_HOME"))
  .option("--replace", "move stores that are there aside; nothing is deleted")
  .option("--fresh-record", "go on in a new record, and move the one that is there aside")
  .action((dir: string, options: Record<string, unknown>) =>
    restoreCommand(
      dir,
      { replace: options["replace"] === true, freshRecord: options["freshRecord"] === true },
      output(options),
      flagsOf(options),
    ),
  );

const tenants = program.command("tenant").description("who may send and read");

function rulesOptions(options: Record<string, unknown>): RulesOptions {
  const file = (name: string) => (typeof options[name] === "string" ? options[name] : undefined);
  return {
    schemas: file("schemas"),
    aggregation: file("aggregation"),
    dryRun: options["dryRun"] === true,
  };
}

json(command(tenants, "add <name>", "add a tenant; prints its keys, once")).action(
  (name: string, options: Record<string, unknown>) =>
    tenant.tenantAdd(name, output(options), flagsOf(options)),
);
json(command(tenants, "list", "list the tenants")).action((options: Record<string, unknown>) =>
  tenant.tenantList(output(options), flagsOf(options)),
);
json(command(tenants, "show <name>", "show a tenant, its keys by the beginning of their hash")).action(
  (name: string, options: Record<string, unknown>) =>
    tenant.tenantShow(name, output(options), flagsOf(options)),
);
json(command(tenants, "adopt", "believe the directory as it is now, although most tenants are gone")).action(
  (options: Record<string, unknown>) => tenant.tenantAdopt(output(options), flagsOf(options)),
);
json(
  command(
    tenants,
    "rules <name>",
    "show a tenant's retention and default views, or set them from carbon's files (- is stdin)",
  ),
)
  .option("--schemas <file>", "storage-schemas.conf: how long which series are kept in which steps")
  .option("--aggregation <file>", "storage-aggregation.conf: what is shown of which series")
  .option("--dry-run", "only show what would change")
  .action((name: string, options: Record<string, unknown>) =>
    tenantRules(name, rulesOptions(options), output(options), flagsOf(options)),
  );
const limits = command(tenants, "limits <name>", "show what a tenant may send, or set it");
for (const { flag, help } of limitFlags) limits.option(flag, help);
json(limits)
  .option("--dry-run", "only show what would change")
  .action((name: string, options: Record<string, unknown>) =>
    tenantLimits(name, options, output(options), flagsOf(options)),
  );
const keys = tenants.command("key").description("a tenant's keys");
json(command(keys, "add <name>", "add a key; prints it, once"))
  .addOption(new Option("--kind <kind>", "what the key may do").choices(["write", "read"]).default("write"))
  .action((name: string, options: Record<string, unknown>) =>
    tenant.tenantKeyAdd(
      name,
      options["kind"] === "read" ? "read" : "write",
      output(options),
      flagsOf(options),
    ),
  );
json(command(keys, "remove <name> <hash>", "remove the key whose hash begins so")).action(
  (name: string, hash: string, options: Record<string, unknown>) =>
    tenant.tenantKeyRemove(name, hash, output(options), flagsOf(options)),
);

const addresses = tenants.command("address").description("networks that send for a tenant without a key");
json(command(addresses, "list <name>", "list a tenant's addresses")).action(
  (name: string, options: Record<string, unknown>) =>
    tenantAddressList(name, output(options), flagsOf(options)),
);
json(command(addresses, "add <name> <cidr>", "raw lines from there are this tenant's, without a key")).action(
  (name: string, cidr: string, options: Record<string, unknown>) =>
    tenantAddressAdd(name, cidr, output(options), flagsOf(options)),
);
json(command(addresses, "remove <name> <cidr>", "raw lines from there need a key again")).action(
  (name: string, cidr: string, options: Record<string, unknown>) =>
    tenantAddressRemove(name, cidr, output(options), flagsOf(options)),
);

const series = program.command("series").description("what a tenant has, series by series");
json(command(series, "list <tenant> <pattern>", "list the series that match a Graphite pattern"))
  .addOption(new Option("--limit <n>", "at most so many, 1 to 10000").default("1000"))
  .action((name: string, pattern: string, options: Record<string, unknown>) =>
    seriesList(name, pattern, { ...output(options), limit: String(options["limit"]) }, flagsOf(options)),
  );
json(command(series, "delete <tenant> <pattern>", "delete the series that match a Graphite pattern"))
  .option("--dry-run", "only say how many there are")
  .option("--yes", "don't ask")
  .action((name: string, pattern: string, options: Record<string, unknown>) =>
    seriesDelete(
      name,
      pattern,
      { ...output(options), dryRun: options["dryRun"] === true, yes: options["yes"] === true },
      flagsOf(options),
    ),
  );

json(
  command(
    program,
    "ledger [tenant]",
    "what came in and what became of it; --check counts it against the record",
  ),
)
  .option("--from <time>", "as Graphite writes it", "-1h")
  .option("--until <time>", "as Graphite writes it", "now")
  .option("--by <span>", "minute, hour or total", "minute")
  .option("--door <door>", "of one door only")
  .option("--check", "count the record against the ledger; exit code 1 when they differ")
  .action((name: string | undefined, options: Record<string, unknown>) => {
    const text = (option: string) => (typeof options[option] === "string" ? options[option] : undefined);
    if (options["check"] === true) return ledgerCheck({ ...output(options), tenant: name }, flagsOf(options));
    if (name === undefined) return program.error("millrace: name a tenant, or say --check");
    const asked = { from: text("from") ?? "", until: text("until") ?? "", by: text("by") ?? "" };
    return ledgerShow(name, { ...output(options), ...asked, door: text("door") }, flagsOf(options));
  });

json(command(program, "doctor", "look at everything: what is wrong, why it matters, what helps")).action(
  (options: Record<string, unknown>) => doctor(output(options), flagsOf(options)),
);
json(command(program, "top", "a live table of the shards"))
  .option("--once", "one table")
  .action((options: Record<string, unknown>) =>
    top({ ...output(options), once: options["once"] === true }, flagsOf(options)),
  );
json(
  program
    .command("drill <name>")
    .description("play an outage on a private system, and judge: deleted-user, ..."),
)
  .option("--short", "shorter waits")
  .action((name: string, options: Record<string, unknown>) =>
    drillCommand(name, { ...output(options), short: options["short"] === true }),
  );
json(
  command(
    program,
    "nats-config <dir>",
    "write a nats-server configuration: each tenant may publish on its own subject only",
  ),
).action((dir: string, options: Record<string, unknown>) =>
  natsConfig(dir, output(options), flagsOf(options)),
);
json(command(program, "refused <tenant>", "the last lines that were refused, and why")).action(
  (name: string, options: Record<string, unknown>) => refusedShow(name, output(options), flagsOf(options)),
);
json(command(program, "senders", "who sends although nobody wants it: keys unknown, deleted, suspended"))
  .option("--unknown", "only with keys that are nobody's")
  .option("--deleted", "only with keys of deleted tenants")
  .action((options: Record<string, unknown>) => {
    const only =
      options["unknown"] === true ? "unknown" : options["deleted"] === true ? "deleted" : undefined;
    return sendersShow({ ...output(options), only }, flagsOf(options));
  });

operateCommands({ program, tenants, command, flagsOf });

await program.parseAsync();
