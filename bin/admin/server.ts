// The admin API of the coordinator's process: the verbs, what they work with, and the audit log, put together. It is there
// before NATS is: what needs it is answered with 503 until then.
import { createOperate, type Verb } from "../../src/api/operate.ts";
import type { Counters } from "../../src/base/counters.ts";
import { Outage } from "../../src/base/errors.ts";
import type { Log } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { clusterBucket, tenantsBucket } from "../../src/bus/subjects.ts";
import { formatAddress, type Settings } from "../../src/config/settings.ts";
import { hex } from "../../src/metric/frame.ts";
import { clock } from "../process.ts";
import { Audit, auditVerbs } from "./audit.ts";
import { deadVerbs } from "./dead-verbs.ts";
import { jobVerbs } from "./job-verbs.ts";
import type { Operator, OperatorOf } from "./operator.ts";
import { policyVerbs } from "./policy-verbs.ts";
import { seriesVerbs } from "./series-verbs.ts";
import { shardVerbs } from "./shard-verbs.ts";
import { stateVerbs } from "./state-verbs.ts";
import { tenantVerbs } from "./tenant-verbs.ts";
import { ensureToken } from "./token.ts";

export interface AdminParts {
  settings: Settings;
  counters: Counters;
  log: Log;
}

export interface Admin {
  /** "": it is off. */
  address: string;
  /** From now on there is something to work with. */
  connected(bus: Bus): void;
  close(): Promise<void>;
}

export function allVerbs(operator: OperatorOf, audit: Audit): Verb[] {
  return [
    ...tenantVerbs(operator),
    ...policyVerbs(operator),
    ...stateVerbs(operator),
    ...seriesVerbs(operator),
    ...shardVerbs(operator),
    ...jobVerbs(operator),
    ...deadVerbs(operator),
    ...auditVerbs(operator, audit),
  ];
}

/** Throws port-taken, or settings-invalid where there can be no token. */
export async function openAdmin({ settings, counters, log }: AdminParts): Promise<Admin> {
  const { adminListen } = settings;
  if (adminListen === "off") return { address: "", connected: () => {}, close: async () => {} };
  let bus: Bus | undefined;
  const operator = operatorOf(() => bus, settings, log);
  const audit = new Audit(() => bus);
  const operate = createOperate({
    token: ensureToken(settings),
    verbs: allVerbs(operator, audit),
    audit: (entry) => audit.write(entry),
    newId: () => hex(systemRandom.bytes(8)),
    clock,
    counters,
    log,
  });
  const address = formatAddress(await operate.listen(adminListen));
  return { address, connected: (made) => (bus = made), close: () => operate.close() };
}

export function operatorOf(bus: () => Bus | undefined, settings: Settings, log: Log): OperatorOf {
  let opened: Promise<Operator> | undefined;
  return async () => {
    const at = bus();
    if (at === undefined || !at.connected)
      throw new Outage("bus-unavailable", "the coordinator waits for NATS: nothing can be asked or done yet");
    opened ??= Promise.all([at.kv(tenantsBucket), at.kv(clusterBucket)]).then(([tenants, cluster]) => ({
      bus: at,
      tenants,
      cluster,
      settings,
      log,
    }));
    try {
      return await opened;
    } catch (error) {
      opened = undefined;
      throw error;
    }
  };
}
