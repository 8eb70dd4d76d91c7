// The command line of on-call: shards, backfill, replays, dead letters, what becomes of tenants, and who did what.
import type { Command } from "commander";
import type { SettingName } from "../src/config/settings.ts";
import { auditShow } from "./audit.ts";
import { backfillList, backfillSpeed, backfillVerb } from "./backfill.ts";
import type { ChangeOptions } from "./change.ts";
import { deadDrop, deadList, deadRetry, deadShow, type DeadWhich } from "./dead.ts";
import { replayBegin, replayList, replayVerb } from "./replay.ts";
import type { Output } from "./say.ts";
import { shardList, shardShow, shardVerb } from "./shard.ts";
import { tenantDelete, tenantPurge, tenantUndelete, tenantVerb } from "./tenant-state.ts";

type Options = Record<string, unknown>;

export interface Parts {
  program: Command;
  tenants: Command;
  /** A command with every setting as a flag. */
  command: (parent: Command, usage: string, description: string) => Command;
  flagsOf: (options: Options) => Partial<Record<SettingName, string>>;
}

const output = (options: Options): Output => ({ json: options["json"] === true });
const changing = (options: Options): ChangeOptions => ({
  ...output(options),
  dryRun: options["dryRun"] === true,
  yes: options["yes"] === true,
});
const text = (options: Options, name: string): string | undefined =>
  typeof options[name] === "string" ? options[name] : undefined;

function json(made: Command): Command {
  return made.option("--json", "one JSON object or array on stdout");
}

function change(made: Command): Command {
  return json(made).option("--dry-run", "only say what would happen").option("--yes", "don't ask");
}

export function operateCommands(parts: Parts): void {
  shardCommands(parts);
  backfillCommands(parts);
  replayCommands(parts);
  deadCommands(parts);
  stateCommands(parts);
  const { command, flagsOf, program } = parts;
  json(command(program, "audit", "who changed what, the newest first"))
    .option("--from <time>", "not older than this, as Graphite writes times")
    .option("--limit <n>", "at most so many", "100")
    .action((options: Options) =>
      auditShow(
        { ...output(options), from: text(options, "from"), limit: text(options, "limit") ?? "" },
        flagsOf(options),
      ),
    );
}

function shardCommands({ command, flagsOf, program }: Parts): void {
  const shards = program.command("shard").description("how each shard is, and putting one right");
  json(command(shards, "list", "list the shards: state, how far behind, what waits")).action(
    (options: Options) => shardList(output(options), flagsOf(options)),
  );
  json(command(shards, "show <shard>", "show one shard, and why it is as it is")).action(
    (shard: string, options: Options) => shardShow(shard, output(options), flagsOf(options)),
  );
  const verbs = [
    ["restart", "start its actor anew, a failed one too"],
    ["pause", "stop it after a commit; the record keeps what comes"],
    ["resume", "let a paused one go on"],
    ["skip", "go on with live data at once; what waited is filled in behind"],
    [
      "adopt",
      "go on in a record that is not the one it has read; what only the old one had is written down as lost",
    ],
  ] as const;
  for (const [verb, description] of verbs)
    change(command(shards, `${verb} <shard>`, description)).action((shard: string, options: Options) =>
      shardVerb(verb, shard, changing(options), flagsOf(options)),
    );
}

function backfillCommands({ command, flagsOf, program }: Parts): void {
  const backfill = program.command("backfill").description("what skips left behind, and how it is filled in");
  json(command(backfill, "list", "list the shards with something left, how fast and how long still"))
    .option("--watch", "until nothing is left")
    .action((options: Options) =>
      backfillList({ ...output(options), watch: options["watch"] === true }, flagsOf(options)),
    );
  for (const verb of ["pause", "resume"] as const)
    change(command(backfill, `${verb} <shard>`, `${verb} a shard's backfill`)).action(
      (shard: string, options: Options) => backfillVerb(verb, shard, changing(options), flagsOf(options)),
    );
  change(command(backfill, "speed <shard> <rate>", "points a second at most, or full")).action(
    (shard: string, rate: string, options: Options) =>
      backfillSpeed(shard, rate, changing(options), flagsOf(options)),
  );
}

function replayCommands({ command, flagsOf, program }: Parts): void {
  const replay = change(command(program, "replay", "rebuild a tenant's points of a time from the record"))
    .option("--tenant <name>", "whose")
    .option("--from <time>", "as Graphite writes it")
    .option("--to <time>", "as Graphite writes it")
    .option("--rate <rate>", "points a second at most, or full")
    .option("--watch", "until readers see it")
    .action((options: Options) =>
      replayBegin(
        {
          ...changing(options),
          tenant: text(options, "tenant"),
          from: text(options, "from"),
          to: text(options, "to"),
          rate: text(options, "rate"),
          watch: options["watch"] === true,
        },
        flagsOf(options),
      ),
    );
  // Options of its own, which have the names of replay's: commander gives them to whoever comes first.
  const list = json(command(replay, "list", "list the replays"));
  list.action(() => {
    const options = list.optsWithGlobals<Options>();
    return replayList(output(options), flagsOf(options));
  });
  const verbs = [
    ["stop", "stop a replay; start lets it go on"],
    ["start", "let a stopped replay go on"],
    ["abandon", "give a replay up; what readers see stays"],
  ] as const;
  for (const [verb, description] of verbs) {
    const made = change(command(replay, `${verb} <replay>`, `${description} (SHARD/ID)`));
    made.action((which: string) => {
      const options = made.optsWithGlobals<Options>();
      return replayVerb(verb, which, changing(options), flagsOf(options));
    });
  }
}

function deadCommands({ command, flagsOf, program }: Parts): void {
  const dead = program.command("dead").description("lines that could not be applied");
  json(command(dead, "list", "list them in the order of the record"))
    .option("--tenant <name>", "only of this tenant")
    .option("--reason <reason>", "only with this reason")
    .option("--limit <n>", "at most so many", "100")
    .action((options: Options) =>
      deadList(
        {
          ...output(options),
          tenant: text(options, "tenant"),
          reason: text(options, "reason"),
          limit: text(options, "limit") ?? "",
        },
        flagsOf(options),
      ),
    );
  json(command(dead, "show <id>", "show one whole: SHARD/SEQUENCE/PART")).action(
    (id: string, options: Options) => deadShow(id, output(options), flagsOf(options)),
  );
  const which = (made: Command) =>
    made
      .option("--tenant <name>", "all of this tenant; retry ends its quarantine")
      .option("--reason <reason>", "all with this reason")
      .option("--all", "all there are");
  const whichOf = (id: string | undefined, options: Options): DeadWhich => ({
    id,
    tenant: text(options, "tenant"),
    reason: text(options, "reason"),
    all: options["all"] === true,
  });
  which(change(command(dead, "retry [id]", "apply one again, or many; each counts once")))
    .option("--edit <file>", "with the lines of this file instead (- is stdin)")
    .option("--line <text...>", "with these lines instead")
    .action((id: string | undefined, options: Options) => {
      const { line } = options;
      const lines = Array.isArray(line) ? line.filter((each) => typeof each === "string") : [];
      const edit = { file: text(options, "edit"), lines };
      return deadRetry(whichOf(id, options), edit, changing(options), flagsOf(options));
    });
  which(change(command(dead, "drop [id]", "let one go for good, or many"))).action(
    (id: string | undefined, options: Options) =>
      deadDrop(whichOf(id, options), changing(options), flagsOf(options)),
  );
}

function stateCommands({ command, flagsOf, tenants }: Parts): void {
  const verbs = [
    ["suspend", "refuse a tenant's lines and queries"],
    ["activate", "let a suspended tenant send and read again"],
  ] as const;
  for (const [verb, description] of verbs)
    change(command(tenants, `${verb} <name>`, description)).action((name: string, options: Options) =>
      tenantVerb(verb, name, changing(options), flagsOf(options)),
    );
  change(command(tenants, "delete <name>", "delete a tenant; it can be undeleted for MILLRACE_TENANT_GRACE"))
    .option("--now", "for good, at once")
    .action((name: string, options: Options) =>
      tenantDelete(name, { ...changing(options), now: options["now"] === true }, flagsOf(options)),
    );
  change(
    command(tenants, "undelete <name>", "bring a deleted tenant back, by its name or id, with all it had"),
  )
    .option("--as <name>", "under another name")
    .action((name: string, options: Options) =>
      tenantUndelete(name, { ...changing(options), as: text(options, "as") }, flagsOf(options)),
    );
  json(command(tenants, "purge <name>", "show how far a deleted tenant's series are gone")).action(
    (name: string, options: Options) => tenantPurge(name, output(options), flagsOf(options)),
  );
}
