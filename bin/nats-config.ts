// `millrace nats-config DIR`: a configuration for a nats-server of your own, and the passwords that it refers to.
//
// F1. The configuration holds no secret: `nats-secrets.conf` does, readable by its owner only. A password that is there
//     stays; a new tenant gets a new one. So the command can be run again after each `tenant add`.
// F2. A tenant's user is its id: names come again, and one may be "millrace". It may publish `millrace.ingest.<its name>`
//     and hear answers in inboxes of its own, nothing else: no stream, no control subject, no other tenant's subject or
//     answers. Millrace itself is the user `millrace`.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { randomBytes } from "node:crypto";
import { ingestPrefix } from "../src/bus/subjects.ts";
import { natsFolder } from "../src/config/places.ts";
import { formatAddress } from "../src/config/settings.ts";
import { listTenants } from "../src/tenant/admin.ts";
import { serverNeeds } from "./nats-server.ts";
import { budgetOf } from "./budget.ts";
import { say, withDirectory, type Flags, type Output } from "./directory.ts";
import { countText } from "./words.ts";

const secretsName = "nats-secrets.conf";

/** Where a tenant's client must ask for its answers: its inbox prefix. */
export function inboxPrefixOf(tenantId: string): string {
  return `_INBOX_${tenantId}`;
}

export function natsConfig(dir: string, output: Output, flags: Flags): Promise<void> {
  return withDirectory(flags, async (kv, settings) => {
    const folder = resolve(dir);
    mkdirSync(folder, { recursive: true });
    const living = (await listTenants(kv)).filter(({ state }) => state === "active" || state === "suspended");
    const tenants = living.filter(({ name }) => isSubject(name));
    for (const { name } of living.filter((tenant) => !tenants.includes(tenant)))
      process.stderr.write(`millrace: ${name} can't send over NATS: a name with empty parts is no subject\n`);
    const secretsFile = join(folder, secretsName);
    const secrets = readSecrets(secretsFile);
    const made: string[] = [];
    const passwordOf = (user: string) => {
      const variable = variableOf(user);
      if (!secrets.has(variable)) {
        secrets.set(variable, randomBytes(24).toString("hex"));
        made.push(user);
      }
      return `$${variable}`;
    };
    const text = (value: string) => JSON.stringify(value);
    const users = [
      `    { user: "millrace", password: ${passwordOf("millrace")} }`,
      ...tenants.map(
        ({ id, name }) => `    {
      # ${name}
      user: ${text(id)}, password: ${passwordOf(id)}
      permissions: {
        publish: { allow: [${text(ingestPrefix + name)}] }
        subscribe: { allow: [${text(`${inboxPrefixOf(id)}.>`)}] }
      }
    }`,
      ),
    ];
    const budget = await budgetOf(settings);
    const config = `# Written by millrace nats-config: run it again after adding tenants, then nats-server --signal reload.
include ${text(secretsName)}
listen: ${text(formatAddress(settings.natsListen))}
${serverNeeds(join(natsFolder(settings), "jetstream"), budget.jetStreamBytes)}authorization {
  users: [
${users.join("\n")}
  ]
}
`;
    replace(secretsFile, [...secrets].map(([name, value]) => `${name}: "${value}"\n`).join(""), 0o600);
    const configFile = join(folder, "nats.conf");
    replace(configFile, config, 0o644);
    say(
      output,
      { config: configFile, secrets: secretsFile, tenants: tenants.length, newPasswords: made.length },
      [
        `${configFile}: ${countText(tenants.length, "tenant")}`,
        `${secretsFile}: the passwords, ${made.length} of them new`,
        `run Millrace with MILLRACE_NATS_URL=nats://millrace:PASSWORD@HOST:PORT and MILLRACE_NATS_INGEST=subject`,
      ],
    );
  });
}

/** Words between dots, none of them empty; other characters names don't have. */
function isSubject(name: string): boolean {
  return name.split(".").every((word) => word !== "");
}

/** Letters and digits only: ids are, and so is "millrace". */
function variableOf(user: string): string {
  return `PASSWORD_${user}`;
}

function readSecrets(path: string): Map<string, string> {
  if (!existsSync(path)) return new Map();
  const lines = readFileSync(path, "utf8").matchAll(/^(PASSWORD_\w+): "([0-9a-f]+)"$/gm);
  return new Map([...lines].map(([, name = "", value = ""]) => [name, value]));
}

function replace(path: string, content: string, mode: number): void {
  writeFileSync(`${path}.new`, content, { mode });
  renameSync(`${path}.new`, path);
}
