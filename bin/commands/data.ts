// The command line of what a tenant has and what became of it, and of copies.
import { type Command, Option } from "commander";
import { command, flagsOf, json, output, type Options, text } from "./parts.ts";

export function dataCommands(program: Command): void {
  json(command(program, "backup <dir>", "copy the stores and the tenants, while the system runs")).action(
    async (dir: string, options: Options) =>
      (await import("../backup.ts")).backupCommand(dir, output(options), flagsOf(options)),
  );
  json(
    command(program, "restore <dir>", "put a backup's stores in place, while nothing runs on MILLRACE_HOME"),
  )
    .option("--replace", "move stores that are there aside; nothing is deleted")
    .option("--fresh-record", "go on in a new record, and move the one that is there aside")
    .action(async (dir: string, options: Options) =>
      (await import("../restore.ts")).restoreCommand(
        dir,
        { replace: options["replace"] === true, freshRecord: options["freshRecord"] === true },
        output(options),
        flagsOf(options),
      ),
    );

  const series = program.command("series").description("what a tenant has, series by series");
  json(command(series, "list <tenant> <pattern>", "list the series that match a Graphite pattern"))
    .addOption(new Option("--limit <n>", "at most so many, 1 to 10000").default("1000"))
    .action(async (name: string, pattern: string, options: Options) =>
      (await import("../series.ts")).seriesList(
        name,
        pattern,
        { ...output(options), limit: String(options["limit"]) },
        flagsOf(options),
      ),
    );
  json(command(series, "delete <tenant> <pattern>", "delete the series that match a Graphite pattern"))
    .option("--dry-run", "only say how many there are")
    .option("--yes", "don't ask")
    .action(async (name: string, pattern: string, options: Options) =>
      (await import("../series.ts")).seriesDelete(
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
    .action(async (name: string | undefined, options: Options) => {
      if (options["check"] === true)
        return (await import("../ledger-check.ts")).ledgerCheck(
          { ...output(options), tenant: name },
          flagsOf(options),
        );
      if (name === undefined) return program.error("millrace: name a tenant, or say --check");
      const said = (option: string) => text(options, option) ?? "";
      const asked = { from: said("from"), until: said("until"), by: said("by") };
      return (await import("../ledger.ts")).ledgerShow(
        name,
        { ...output(options), ...asked, door: text(options, "door") },
        flagsOf(options),
      );
    });

  json(
    command(
      program,
      "nats-config <dir>",
      "write a nats-server configuration: each tenant may publish on its own subject only",
    ),
  ).action(async (dir: string, options: Options) =>
    (await import("../nats-config.ts")).natsConfig(dir, output(options), flagsOf(options)),
  );
  json(command(program, "refused <tenant>", "the last lines that were refused, and why")).action(
    async (name: string, options: Options) =>
      (await import("../refused.ts")).refusedShow(name, output(options), flagsOf(options)),
  );
  json(command(program, "senders", "who sends although nobody wants it: keys unknown, deleted, suspended"))
    .option("--unknown", "only with keys that are nobody's")
    .option("--deleted", "only with keys of deleted tenants")
    .action(async (options: Options) => {
      const only =
        options["unknown"] === true ? "unknown" : options["deleted"] === true ? "deleted" : undefined;
      return (await import("../refused.ts")).sendersShow({ ...output(options), only }, flagsOf(options));
    });
}
