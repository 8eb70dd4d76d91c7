// The command line: a subcommand per process and per action. Every setting of the table is a flag of every command that
// reads settings.
//
// C1. A command's code is loaded when it runs: a process has what it needs, and a question is answered at once.
import { Command } from "commander";
import { messageOf } from "../../src/base/errors.ts";
import { exitFinal, runProcess, type ProcessContext, type Running } from "../process.ts";
import { projectVersion } from "../project.ts";
import { drillNames } from "../drill/story.ts";
import { dataCommands } from "./data.ts";
import { operateCommands } from "./operate.ts";
import { command, flagsOf, json, type Options, output } from "./parts.ts";
import { tenantCommands } from "./tenant.ts";

type Start = (context: ProcessContext) => Promise<Running>;

const processes: [name: string, description: string, load: () => Promise<Start>][] = [
  ["nats", "run the system's own nats-server", async () => (await import("../nats-server.ts")).startNats],
  [
    "coordinator",
    "make streams and buckets, and decide who runs what",
    async () => (await import("../processes/coordinator.ts")).startCoordinator,
  ],
  ["node", "run shard actors", async () => (await import("../processes/node.ts")).startNode],
  ["gateway", "open the doors", async () => (await import("../processes/gateway.ts")).startGateway],
  ["api", "answer Graphite queries", async () => (await import("../processes/api.ts")).startApi],
];

const exitCodes = `
Exit codes: 0 done; 1 refused, not possible, or something is wrong; 2 it could not be told; 78 a setting is wrong, starting
again does not help.`;

/** Nothing runs before it is parsed. */
export function buildProgram(): Command {
  const program = new Command("millrace")
    .description(
      "Graphite-compatible metrics for many tenants: recorded before it says yes, stored exactly once",
    )
    .version(projectVersion())
    .showHelpAfterError()
    .addHelpText("after", exitCodes);
  processCommands(program);
  program
    .command("settings")
    .description("print the table of settings")
    .option("--markdown", "as docs/reference/settings.md")
    .action(async (options: Options) => {
      const { settingsMarkdown, settingsText } = await import("../settings.ts");
      process.stdout.write(options["markdown"] === true ? settingsMarkdown() : settingsText());
    });
  const tenants = tenantCommands(program);
  dataCommands(program);
  nightCommands(program);
  operateCommands(program, tenants);
  return program;
}

function processCommands(program: Command): void {
  command(program, "up", "run everything that the Procfile lists on this machine").action(
    async (options: Options) => {
      try {
        await (await import("../up.ts")).up(flagsOf(options));
      } catch (error) {
        process.stderr.write(`millrace: ${messageOf(error)}\n`);
        process.exit(exitFinal);
      }
    },
  );
  for (const [name, description, load] of processes)
    command(program, name, description).action((options: Options) =>
      runProcess(name, flagsOf(options), async (context) => await (await load())(context)),
    );
}

function nightCommands(program: Command): void {
  json(command(program, "doctor", "look at everything: what is wrong, why it matters, what helps")).action(
    async (options: Options) =>
      (await import("../doctor/doctor.ts")).doctor(output(options), flagsOf(options)),
  );
  json(command(program, "top", "a live table of the shards"))
    .option("--once", "one table")
    .action(async (options: Options) =>
      (await import("../top.ts")).top(
        { ...output(options), once: options["once"] === true },
        flagsOf(options),
      ),
    );
  json(
    program
      .command("drill <name>")
      .description(`play an outage on a private system, and judge: ${drillNames.join(", ")}`),
  )
    .option("--short", "shorter waits")
    .action(async (name: string, options: Options) =>
      (await import("../drill/drill.ts")).drillCommand(name, {
        ...output(options),
        short: options["short"] === true,
      }),
    );
}
