// Facts in, findings out: pure. The worst first.
import type { Facts, ShardFacts } from "./facts.ts";
import { finding, type Finding, type Severity } from "./findings.ts";
import { countDoing, countText } from "../words.ts";

const order: readonly Severity[] = ["wrong", "soon", "note"];
const fillingShare = 0.8;
const fullShare = 0.9;
const diskFreeLeast = 0.1;
const skewMsMost = 2000;
/** More frames than this are not just what is on its way. */
const behindFramesMost = 200;
const upkeepBacklogMost = 256 << 20;
const versionLeast = [2, 10] as const;

export function diagnose(facts: Facts): Finding[] {
  const found = [
    ...ofNats(facts),
    ...ofProcesses(facts),
    ...facts.shards.flatMap((shard) => ofShard(shard, facts.lookMs)),
    ...ofRecord(facts),
    ...ofDisks(facts),
    ...ofTenants(facts),
    ...ofDoors(facts),
  ];
  return found.toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

function ofNats({ nats, natsUrl }: Facts): Finding[] {
  if (nats === undefined) return [finding("nats-unreachable", `nats-server at ${natsUrl} does not answer`)];
  const [major = 0, minor = 0] = nats.version.split(".").map(Number);
  const old = major < versionLeast[0] || (major === versionLeast[0] && minor < versionLeast[1]);
  return old
    ? [
        finding(
          "nats-version",
          `nats-server is ${nats.version}, at least ${versionLeast.join(".")} is needed`,
        ),
      ]
    : [];
}

function ofProcesses({ processes, nats }: Facts): Finding[] {
  const clocks = [
    ...processes.map(({ name, clockMs }) => ({ name, clockMs })),
    { name: "nats-server", clockMs: nats?.clockMs },
  ];
  return [
    ...processes
      .filter(({ status }) => status === undefined)
      .map(({ name, address }) => finding("process-down", `the ${name} at ${address} does not answer`)),
    ...clocks
      .filter(({ clockMs }) => Math.abs(clockMs ?? 0) > skewMsMost)
      .map(({ name, clockMs = 0 }) =>
        finding(
          "clock-skew",
          `the clock of the ${name} differs from this machine's by ${(clockMs / 1000).toFixed(1)} s`,
        ),
      ),
  ];
}

function ofShard(facts: ShardFacts, lookMs: number): Finding[] {
  const { shard, node, store } = facts;
  const say = (id: Parameters<typeof finding>[0], what: string) =>
    finding(id, `shard ${shard} ${what}`, { shard });
  const found: Finding[] = [];
  const share = facts.streamBytesMax > 0 ? facts.streamBytes / facts.streamBytesMax : 0;
  if (share > fullShare) found.push(say("stream-filling", `uses ${percent(share)} of its stream's cap`));
  if (store !== undefined) {
    const used = store.usedBytes / store.budgetBytes;
    if (used >= fullShare) found.push(say("store-full", `uses ${percent(used)} of its store's budget`));
    else if (used > fillingShare)
      found.push(say("store-filling", `uses ${percent(used)} of its store's budget`));
  }
  if (node === undefined) return [...found, say("shard-unowned", `can't be asked: ${facts.unasked}`)];
  if (node.isolated) found.push(say("shard-isolated", "reads line by line"));
  if (node.gapFrames > 0) found.push(say("backlog", `has ${countText(node.gapFrames, "frame")} set aside`));
  return [...found, ...ofState(facts, node, lookMs, say)];
}

function ofState(
  { lastSequence }: ShardFacts,
  node: NonNullable<ShardFacts["node"]>,
  lookMs: number,
  say: (id: Parameters<typeof finding>[0], what: string) => Finding,
): Finding[] {
  const why = node.why === "" ? "" : `: ${node.why}`;
  switch (node.state) {
    case "failed":
      return [say("shard-failed", `is failed${why}`)];
    case "paused":
      return [say("shard-paused", "is paused")];
    case "fenced":
      return [say("shard-fenced", `is fenced${why}`)];
    case "restarting":
    case "starting":
      if (node.restarts === 0) break; // as every node begins
      return [
        say("shard-restarting", `is ${node.state}, after ${countText(node.restarts, "restart")}${why}`),
      ];
    default:
  }
  if (node.doing.startsWith("waiting"))
    return [say("shard-waiting", `is ${node.doing.replace("-", " for the ")}${why}`)];
  const behind = lastSequence[0] - node.offset[0];
  if (behind <= 0) return [];
  if (node.offset[1] === node.offset[0])
    return [
      say(
        "shard-stuck",
        `has ${countText(behind, "frame")} to read, and its offset did not move for ${lookMs} ms`,
      ),
    ];
  return behind > behindFramesMost
    ? [say("shard-behind", `is ${countText(behind, "frame")} behind the record`)]
    : [];
}

function ofRecord({ lost }: Facts): Finding[] {
  return lost.map(({ shard, frames }) =>
    finding("record-hole", `shard ${shard} misses ${countText(frames, "frame")} that the record lost`, {
      shard,
    }),
  );
}

function ofDisks({ disks }: Facts): Finding[] {
  return disks
    .filter(({ freeBytes, bytes }) => freeBytes < diskFreeLeast * bytes)
    .map(({ path, freeBytes, bytes }) =>
      finding("disk-low", `the disk of ${path} has ${percent(freeBytes / bytes)} left`),
    );
}

function ofTenants({ dead, quarantined, unbalanced, unwanted }: Facts): Finding[] {
  const letters = dead.reduce((sum, each) => sum + each.letters, 0);
  return [
    ...quarantined.map(({ tenant, shard, why }) =>
      finding("tenant-quarantined", `tenant ${tenant} is quarantined in shard ${shard}: ${why}`, { tenant }),
    ),
    ...unbalanced.map(({ tenant, missing }) =>
      finding("books-unbalanced", `the books of ${tenant} miss ${countText(missing, "point")}`, { tenant }),
    ),
    ...(letters === 0
      ? []
      : [
          finding(
            "dead-letters",
            `${countDoing(letters, "dead letter", "is", "are")} open, of ${tenantsOf(dead)}`,
          ),
        ]),
    ...(unwanted.length === 0
      ? []
      : [
          finding(
            "unwanted-senders",
            `${countDoing(unwanted.length, "sender", "still sends", "still send")} for tenants that are gone or suspended`,
          ),
        ]),
  ];
}

function ofDoors({ spools, doubted, upkeepBacklogBytes }: Facts): Finding[] {
  const spooled = spools.filter(({ bytes }) => bytes > 0);
  const bytes = spooled.reduce((sum, each) => sum + each.bytes, 0);
  return [
    ...(spooled.length === 0
      ? []
      : [
          finding(
            "spool-in-use",
            `${megabytes(bytes)} lie in spools, of shards ${spooled.map((each) => each.shard).join(", ")}`,
          ),
        ]),
    ...(doubted === 0
      ? []
      : [finding("directory-doubted", `${doubted} processes do not follow the directory of tenants`)]),
    ...(upkeepBacklogBytes > upkeepBacklogMost
      ? [finding("upkeep-behind", `${megabytes(upkeepBacklogBytes)} of commits wait for upkeep`)]
      : []),
  ];
}

function tenantsOf(dead: Facts["dead"]): string {
  const names = [...new Set(dead.map(({ tenant }) => (tenant === "" ? "nobody" : tenant)))];
  return names.length > 3 ? `${names.length} tenants` : names.join(", ");
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
