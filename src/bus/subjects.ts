// Every stream, subject and bucket name, in one place.

export function streamName(shard: number): string {
  return `MR_IN_${shard}`;
}

export function streamSubject(shard: number): string {
  return `millrace.in.${shard}`;
}

/** Who the tenants are: `tenant.<id>`, `name.<name>`. */
export const tenantsBucket = "MR_TENANTS";
/** Who runs what: the map. */
export const clusterBucket = "MR_CLUSTER";
/** Nodes' heartbeats: keys vanish when a node stops renewing. */
export const nodesBucket = "MR_NODES";

/** What operators did. */
export const auditJournal = "MR_AUDIT";

export function journalSubject(name: string): string {
  return `millrace.journal.${name}`;
}

/** Senders publish here; the rest is the tenant's name, which may have dots. */
export const ingestPrefix = "millrace.ingest.";
export const ingestSubjects = `${ingestPrefix}>`;
/** Gateways of one queue group share what is sent. */
export const ingestQueue = "millrace-gateways";
/** Once a second each gateway tells the others what its tenants want to send. */
export const ratesSubject = "millrace.rates";
/** What operators ask of all gateways. */
export const gatewayControlSubject = "millrace.control.gateway";

export const metricsSubject = "millrace.control.metrics";
/** What operators ask of a shard: a node that runs it answers. */
export const shardControlSubject = "millrace.control.shard";
/** Served only where faults are allowed: for tests. */
export const faultSubject = "millrace.control.fault";

/** Of the NATS services protocol: all services, those of a name, and each of these by its id. */
export function serviceSubjects(verb: string, name: string): string[] {
  return [`$SRV.${verb}`, `$SRV.${verb}.${name}`, `$SRV.${verb}.${name}.*`];
}
