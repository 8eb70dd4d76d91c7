// The tenant of the first start: a person should see a point arrive before reading anything. Its keys lie in
// MILLRACE_HOME/demo.json, for the owner alone.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { systemRandom } from "../src/base/random.ts";
import { Outage } from "../src/base/errors.ts";
import type { Kv } from "../src/bus/bus.ts";
import { connectNats } from "../src/bus/nats.ts";
import { tenantsBucket } from "../src/bus/subjects.ts";
import { demoFile, natsUrlOf } from "../src/config/places.ts";
import type { Settings } from "../src/config/settings.ts";
import { addKey, addTenant, findTenant } from "../src/tenant/admin.ts";
import type { KeyKind, Tenant } from "../src/tenant/tenant.ts";
import { makeLog } from "../src/base/log.ts";
import { clock } from "./process.ts";

export interface Demo {
  id: string;
  name: string;
  writeKey: string;
  readKey: string;
}

const demoName = "demo";
const parts = { clock, random: systemRandom };

/** The demo tenant's keys; makes it when this home has none yet. */
export async function demoTenant(settings: Settings): Promise<Demo> {
  const path = demoFile(settings);
  if (existsSync(path)) return readDemo(path);
  const log = makeLog("up", settings.logLevel);
  const bus = await connectNats({
    url: natsUrlOf(settings),
    name: "millrace-demo",
    clock,
    random: systemRandom,
    log,
  });
  try {
    const kv = await bus.kv(tenantsBucket);
    // A start that was killed between the two writes left a tenant whose keys nobody knows: it gets new ones.
    const left = await findTenant(kv, demoName);
    const demo = left === undefined ? await newDemo(kv) : await newKeys(kv, left);
    writeFileSync(`${path}.new`, `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return demo;
  } finally {
    await bus.close();
  }
}

/** Throws settings-invalid, naming the file. */
export function readDemo(path: string): Demo {
  let said: unknown;
  try {
    said = JSON.parse(readFileSync(path, "utf8"));
  } catch {}
  if (isDemo(said)) return said;
  throw new Outage(
    "settings-invalid",
    `${path} does not hold the demo tenant's keys: delete it, and the next start makes new ones.`,
  );
}

function isDemo(said: unknown): said is Demo {
  if (typeof said !== "object" || said === null) return false;
  const fields = new Map<string, unknown>(Object.entries(said));
  return ["id", "name", "writeKey", "readKey"].every((name) => typeof fields.get(name) === "string");
}

async function newDemo(kv: Kv): Promise<Demo> {
  const added = await addTenant(kv, demoName, parts);
  if (added.kind !== "added") throw new Outage("revision-conflict", "another start makes the demo tenant");
  return { id: added.tenant.id, name: demoName, writeKey: added.writeKey, readKey: added.readKey };
}

async function newKeys(kv: Kv, tenant: Tenant): Promise<Demo> {
  const key = async (kind: KeyKind) => {
    const added = await addKey(kv, tenant.id, kind, parts);
    if (added.kind !== "added")
      throw new Outage("revision-conflict", `the demo tenant has no ${kind} key: ${added.kind}`);
    return added.key;
  };
  return { id: tenant.id, name: tenant.name, writeKey: await key("write"), readKey: await key("read") };
}
