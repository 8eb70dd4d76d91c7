// The command line of on-call: shards, backfill, replays, dead letters, what becomes of tenants, and who did what.
import type { Command } from "commander";
import type { DeadWhich } from "../dead.ts";
import { change, changing, command, flagsOf, json, type Options, output, text } from "./parts.ts";

/** `tenants`: the command `tenant`. */
export function operateCommands(program: Command, tenants: Command): void {
  shardCommands(program);
  backfillCommands(program);
  replayCommands(program);
  deadCommands(program);
  stateCommands(tenants);
  json(command(program, "audit", "who changed what, the newest first"))
    .option("--from <time>", "not older than this, as Graphite writes times")
    .option("--limit <n>", "at most so many", "100")
    .action(async (options: Options) =>
      (await import("../audit.ts")).auditShow(
        { ...output(options), from: text(options, "from"), limit: text(options, "limit") ?? "" },
        flagsOf(options),
      ),
    );
}

function shardCommands(program: Command): void {
  const shards = program.command("shard").description("how each shard is, and putting one right");
  json(command(shards, "list", "list the shards: state, how far behind, what waits")).action(
    async (options: Options) => (await import("../shard.ts")).shardList(output(options), flagsOf(options)),
  );
  json(command(shards, "show <shard>", "show one shard, and why it is as it is")).action(
    async (shard: string, options: Options) =>
      (await import("../shard.ts")).shardShow(shard, output(options), flagsOf(options)),
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
    change(command(shards, `${verb} <shard>`, description)).action(async (shard: string, options: Options) =>
      (await import("../shard.ts")).shardVerb(verb, shard, changing(options), flagsOf(options)),
    );
}

function backfillCommands(program: Command): void {
  const backfill = program.command("backfill").description("what skips left behind, and how it is filled in");
  json(command(backfill, "list", "list the shards with something left, how fast and how long still"))
    .option("--watch", "until nothing is left")
    .action(async (options: Options) =>
      (await import("../backfill.ts")).backfillList(
        { ...output(options), watch: options["watch"] === true },
        flagsOf(options),
      ),
    );
  for (const verb of ["pause", "resume"] as const)
    change(command(backfill, `${verb} <shard>`, `${verb} a shard's backfill`)).action(
      async (shard: string, options: Options) =>
        (await import("../backfill.ts")).backfillVerb(verb, shard, changing(options), flagsOf(options)),
    );
  change(command(backfill, "speed <shard> <rate>", "points a second at most, or full")).action(
    async (shard: string, rate: string, options: Options) =>
      (await import("../backfill.ts")).backfillSpeed(shard, rate, changing(options), flagsOf(options)),
  );
}

function replayCommands(program: Command): void {
  const replay = change(command(program, "replay", "rebuild a tenant's points of a time from the record"))
    .option("--tenant <name>", "whose")
    .option("--from <time>", "as Graphite writes it")
    .option("--to <time>", "as Graphite writes it")
    .option("--rate <rate>", "points a second at most, or full")
    .option("--watch", "until readers see it")
    .action(async (options: Options) =>
      (await import("../replay.ts")).replayBegin(
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
  list.action(async () => {
    const options = list.optsWithGlobals<Options>();
    return (await import("../replay.ts")).replayList(output(options), flagsOf(options));
  });
  const verbs = [
    ["stop", "stop a replay; start lets it go on"],
    ["start", "let a stopped replay go on"],
    ["abandon", "give a replay up; what readers see stays"],
  ] as const;
  for (const [verb, description] of verbs) {
    const made = change(command(replay, `${verb} <replay>`, `${description} (SHARD/ID)`));
    made.action(async (which: string) => {
      const options = made.optsWithGlobals<Options>();
      return (await import("../replay.ts")).replayVerb(verb, which, changing(options), flagsOf(options));
    });
  }
}

function deadCommands(program: Command): void {
  const dead = program.command("dead").description("lines that could not be applied");
  json(command(dead, "list", "list them in the order of the record"))
    .option("--tenant <name>", "only of this tenant")
    .option("--reason <reason>", "only with this reason")
    .option("--limit <n>", "at most so many", "100")
    .action(async (options: Options) =>
      (await import("../dead.ts")).deadList(
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
    async (id: string, options: Options) =>
      (await import("../dead.ts")).deadShow(id, output(options), flagsOf(options)),
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
    .action(async (id: string | undefined, options: Options) => {
      const { line } = options;
      const lines = Array.isArray(line) ? line.filter((each) => typeof each === "string") : [];
      const edit = { file: text(options, "edit"), lines };
      return (await import("../dead.ts")).deadRetry(
        whichOf(id, options),
        edit,
        changing(options),
        flagsOf(options),
      );
    });
  which(change(command(dead, "drop [id]", "let one go for good, or many"))).action(
    async (id: string | undefined, options: Options) =>
      (await import("../dead.ts")).deadDrop(whichOf(id, options), changing(options), flagsOf(options)),
  );
}

function stateCommands(tenants: Command): void {
  const verbs = [
    ["suspend", "refuse a tenant's lines and queries"],
    ["activate", "let a suspended tenant send and read again"],
  ] as const;
  for (const [verb, description] of verbs)
    change(command(tenants, `${verb} <name>`, description)).action(async (name: string, options: Options) =>
      (await import("../tenant-state.ts")).tenantVerb(verb, name, changing(options), flagsOf(options)),
    );
  change(command(tenants, "delete <name>", "delete a tenant; it can be undeleted for MILLRACE_TENANT_GRACE"))
    .option("--now", "for good, at once")
    .action(async (name: string, options: Options) =>
      (await import("../tenant-state.ts")).tenantDelete(
        name,
        { ...changing(options), now: options["now"] === true },
        flagsOf(options),
      ),
    );
  change(
    command(tenants, "undelete <name>", "bring a deleted tenant back, by its name or id, with all it had"),
  )
    .option("--as <name>", "under another name")
    .action(async (name: string, options: Options) =>
      (await import("../tenant-state.ts")).tenantUndelete(
        name,
        { ...changing(options), as: text(options, "as") },
        flagsOf(options),
      ),
    );
  json(command(tenants, "purge <name>", "show how far a deleted tenant's series are gone")).action(
    async (name: string, options: Options) =>
      (await import("../tenant-state.ts")).tenantPurge(name, output(options), flagsOf(options)),
  );
}
