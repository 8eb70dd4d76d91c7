// The command line of who may send and read.
import { type Command, Option } from "commander";
import { limitFlags } from "../limit-flags.ts";
import type { RulesOptions } from "../tenant-rules.ts";
import { command, flagsOf, json, output, type Options } from "./parts.ts";

/** Answers the command `tenant`, for more of it. */
export function tenantCommands(program: Command): Command {
  const tenants = program.command("tenant").description("who may send and read");

  json(command(tenants, "add <name>", "add a tenant; prints its keys, once")).action(
    async (name: string, options: Options) =>
      (await import("../tenant.ts")).tenantAdd(name, output(options), flagsOf(options)),
  );
  json(command(tenants, "list", "list the tenants")).action(async (options: Options) =>
    (await import("../tenant.ts")).tenantList(output(options), flagsOf(options)),
  );
  json(command(tenants, "show <name>", "show a tenant, its keys by the beginning of their hash")).action(
    async (name: string, options: Options) =>
      (await import("../tenant.ts")).tenantShow(name, output(options), flagsOf(options)),
  );
  json(
    command(tenants, "adopt", "believe the directory as it is now, although most tenants are gone"),
  ).action(async (options: Options) =>
    (await import("../tenant.ts")).tenantAdopt(output(options), flagsOf(options)),
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
    .action(async (name: string, options: Options) =>
      (await import("../tenant-rules.ts")).tenantRules(
        name,
        rulesOptions(options),
        output(options),
        flagsOf(options),
      ),
    );
  const limits = command(tenants, "limits <name>", "show what a tenant may send, or set it");
  for (const { flag, help } of limitFlags) limits.option(flag, help);
  json(limits)
    .option("--dry-run", "only show what would change")
    .action(async (name: string, options: Options) =>
      (await import("../tenant-limits.ts")).tenantLimits(name, options, output(options), flagsOf(options)),
    );
  const keys = tenants.command("key").description("a tenant's keys");
  json(command(keys, "add <name>", "add a key; prints it, once"))
    .addOption(new Option("--kind <kind>", "what the key may do").choices(["write", "read"]).default("write"))
    .action(async (name: string, options: Options) =>
      (await import("../tenant.ts")).tenantKeyAdd(
        name,
        options["kind"] === "read" ? "read" : "write",
        output(options),
        flagsOf(options),
      ),
    );
  json(command(keys, "remove <name> <hash>", "remove the key whose hash begins so")).action(
    async (name: string, hash: string, options: Options) =>
      (await import("../tenant.ts")).tenantKeyRemove(name, hash, output(options), flagsOf(options)),
  );

  const addresses = tenants.command("address").description("networks that send for a tenant without a key");
  json(command(addresses, "list <name>", "list a tenant's addresses")).action(
    async (name: string, options: Options) =>
      (await import("../tenant-address.ts")).tenantAddressList(name, output(options), flagsOf(options)),
  );
  json(
    command(addresses, "add <name> <cidr>", "raw lines from there are this tenant's, without a key"),
  ).action(async (name: string, cidr: string, options: Options) =>
    (await import("../tenant-address.ts")).tenantAddressAdd(name, cidr, output(options), flagsOf(options)),
  );
  json(command(addresses, "remove <name> <cidr>", "raw lines from there need a key again")).action(
    async (name: string, cidr: string, options: Options) =>
      (await import("../tenant-address.ts")).tenantAddressRemove(
        name,
        cidr,
        output(options),
        flagsOf(options),
      ),
  );
  return tenants;
}

function rulesOptions(options: Options): RulesOptions {
  const file = (name: string) => (typeof options[name] === "string" ? options[name] : undefined);
  return {
    schemas: file("schemas"),
    aggregation: file("aggregation"),
    dryRun: options["dryRun"] === true,
  };
}
