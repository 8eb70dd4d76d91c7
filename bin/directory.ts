// For commands that only read: the directory of tenants, and the bus to ask nodes and gateways by. What changes something
// goes by the admin API (admin/client.ts).
import { isOutage, messageOf } from "../src/base/errors.ts";
import { makeLog } from "../src/base/log.ts";
import { systemRandom } from "../src/base/random.ts";
import { connectNats } from "../src/bus/nats.ts";
import type { Bus, Kv } from "../src/bus/bus.ts";
import { tenantsBucket } from "../src/bus/subjects.ts";
import { natsUrlOf, withoutSecrets } from "../src/config/places.ts";
import { readSettings, type SettingName, type Settings } from "../src/config/settings.ts";
import { findTenant } from "../src/tenant/admin.ts";
import type { Tenant } from "../src/tenant/tenant.ts";
import { Refusal } from "./command.ts";
import { clock, exitFinal } from "./process.ts";

export { Refusal } from "./command.ts";
export { say, type Output } from "./say.ts";

export type Flags = Partial<Record<SettingName, string>>;

const connectMsMax = 5000;

export async function find(kv: Kv, name: string): Promise<Tenant> {
  const tenant = await findTenant(kv, name);
  if (tenant === undefined) throw new Refusal(`there is no tenant ${name}: see millrace tenant list`);
  return tenant;
}

/** Ends the process: with the code that `action` answers, 0 for none. */
export async function withDirectory(
  flags: Flags,
  action: (kv: Kv, settings: Settings, bus: Bus) => Promise<number | void>,
): Promise<void> {
  let code: number;
  try {
    const settings = readSettings(process.env, flags);
    const url = natsUrlOf(settings);
    const log = makeLog("cli", "error");
    const connecting = connectNats({ url, name: "millrace-cli", clock, random: systemRandom, log });
    const bus = await Promise.race([connecting, clock.sleep(connectMsMax)]);
    if (bus === undefined)
      throw new Refusal(`NATS at ${withoutSecrets(url)} does not answer: does the system run?`);
    try {
      code = (await action(await bus.kv(tenantsBucket), settings, bus)) ?? 0;
    } finally {
      await bus.close();
    }
    process.exit(code);
  } catch (error) {
    process.stderr.write(`millrace: ${messageOf(error)}\n`);
    process.exit(isOutage(error, "settings-invalid") ? exitFinal : 1);
  }
}
