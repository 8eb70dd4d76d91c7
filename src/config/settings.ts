// What an operator may choose: one table. Each row is an environment variable, a command-line flag and a key of
// MILLRACE_HOME/millrace.json; a flag wins over the environment, which wins over the file, which wins over the
// default. Everything is read and judged before anything starts; unknown keys and impossible values stop the start
// with a sentence. docs/reference/settings.md is this table, printed by `millrace settings --markdown`.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { messageOf, Outage } from "../base/errors.ts";
import { parseLadder, parseSpan, type Ladder } from "../metric/bucket.ts";

export interface Address {
  host: string;
  port: number;
}

interface Row<T> {
  /** The environment variable. `MILLRACE_TCP_LISTEN` is `--tcp-listen` and `tcpListen` elsewhere. */
  env: string;
  default: string;
  help: string;
  /** A value, or a sentence that says what is wrong. */
  parse: (text: string) => T | Invalid;
}

class Invalid {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

function row<T>(env: string, fallback: string, help: string, parse: (text: string) => T | Invalid): Row<T> {
  return { env, default: fallback, help, parse };
}

const table = {
  home: row("MILLRACE_HOME", ".millrace", "folder that holds everything the system keeps", text),
  tcpListen: row("MILLRACE_TCP_LISTEN", "127.0.0.1:2003", "plaintext lines over TCP", address),
  udpListen: row("MILLRACE_UDP_LISTEN", "127.0.0.1:2003", "plaintext lines over UDP", addressOrOff),
  pickleListen: row("MILLRACE_PICKLE_LISTEN", "127.0.0.1:2004", "pickle over TCP", addressOrOff),
  tlsListen: row("MILLRACE_TLS_LISTEN", "off", "plaintext lines over TLS, 20030 as a rule", addressOrOff),
  pickleTlsListen: row("MILLRACE_PICKLE_TLS_LISTEN", "off", "pickle over TLS", addressOrOff),
  statsdListen: row("MILLRACE_STATSD_LISTEN", "127.0.0.1:8125", "StatsD over UDP and TCP", addressOrOff),
  tlsCert: row(
    "MILLRACE_TLS_CERT",
    "",
    "file with the certificate and its chain, PEM; read again when it changes",
    text,
  ),
  tlsKey: row("MILLRACE_TLS_KEY", "", "file with the certificate's key, PEM", text),
  tlsClientCa: row(
    "MILLRACE_TLS_CLIENT_CA",
    "",
    "file with authorities, PEM: only clients with a certificate of theirs may send over TLS",
    text,
  ),
  httpListen: row("MILLRACE_HTTP_LISTEN", "127.0.0.1:8081", "HTTP ingest: POST /api/v1/sink", address),
  apiListen: row(
    "MILLRACE_API_LISTEN",
    "127.0.0.1:8080",
    "Graphite HTTP API: /render, /metrics/find",
    address,
  ),
  adminListen: row(
    "MILLRACE_ADMIN_LISTEN",
    "127.0.0.1:8084",
    "admin API, which the command line uses",
    addressOrOff,
  ),
  adminToken: row(
    "MILLRACE_ADMIN_TOKEN",
    "",
    "token of the admin API; none: the file admin.token in MILLRACE_HOME, made at the first start",
    tokenText,
  ),
  nodeListen: row("MILLRACE_NODE_LISTEN", "127.0.0.1:8082", "the node's own /health and /metrics", address),
  coordinatorListen: row(
    "MILLRACE_COORDINATOR_LISTEN",
    "127.0.0.1:8083",
    "the coordinator's own /health and /metrics",
    address,
  ),
  natsListen: row(
    "MILLRACE_NATS_LISTEN",
    "127.0.0.1:4222",
    "where the own nats-server listens",
    fixedAddress,
  ),
  natsUrl: row("MILLRACE_NATS_URL", "", "use this NATS (nats://host:port) and start none", text),
  natsServer: row("MILLRACE_NATS_SERVER", "", "path of the nats-server program, >= 2.10", text),
  natsIngest: row(
    "MILLRACE_NATS_INGEST",
    "key",
    "points over NATS: off; key: each message carries a write key; subject: NATS lets each tenant publish on its own only",
    oneOf("off", "key", "subject"),
  ),
  gateway: row("MILLRACE_GATEWAY", "gateway", "name of this gateway and of its spool; one word", word),
  node: row("MILLRACE_NODE", "node", "name of this node; one word", word),
  shards: row(
    "MILLRACE_SHARDS",
    "8",
    "number of shards, 1 to 1024; fixed once data is there",
    count(1, 1024),
  ),
  diskBudget: row(
    "MILLRACE_DISK_BUDGET",
    "auto",
    "bytes for streams, stores and spools together, such as 20GB; auto is half of what is free",
    bytesOrAuto,
  ),
  retention: row(
    "MILLRACE_RETENTION",
    "10s:2d,60s:30d,600s:2y",
    "the default ladder, for series that no rule of their tenant names: step:span, fine to coarse",
    ladder,
  ),
  replayWindow: row("MILLRACE_REPLAY_WINDOW", "7d", "how long committed frames stay in the record", span),
  duplicateWindow: row("MILLRACE_DUPLICATE_WINDOW", "2m", "the broker's window for resent frames", span),
  commitMs: row("MILLRACE_COMMIT_MS", "200", "time between two commits of a shard, ms", count(1, 60_000)),
  upkeepShare: row(
    "MILLRACE_UPKEEP_SHARE",
    "0.5",
    "share of its time that an upkeep thread may work, 0.01 to 1; the rest is for live data",
    fraction(0.01, 1),
  ),
  upkeepThreads: row(
    "MILLRACE_UPKEEP_THREADS",
    "1",
    "threads that compact, merge and expire what the shards hold, 1 to 16",
    count(1, 16),
  ),
  heapMb: row(
    "MILLRACE_HEAP_MB",
    "1024",
    "heap limit of an actor, and of an upkeep thread, MB",
    count(64, 65_536),
  ),
  stallMs: row(
    "MILLRACE_STALL_MS",
    "10000",
    "an actor at one frame for so long hangs and is ended, ms; waiting for the store or NATS never counts",
    count(100, 3_600_000),
  ),
  httpBodyMb: row("MILLRACE_HTTP_BODY_MB", "16", "largest body of a request, MB", count(1, 1024)),
  tcpConnections: row(
    "MILLRACE_TCP_CONNECTIONS",
    "10000",
    "most TCP connections at a time",
    count(1, 1_000_000),
  ),
  tenantConnections: row(
    "MILLRACE_TENANT_CONNECTIONS",
    "1000",
    "most TCP connections of one tenant at a time, for each gateway",
    count(1, 1_000_000),
  ),
  tcpIdle: row("MILLRACE_TCP_IDLE", "10m", "a TCP connection that sends nothing for so long is closed", span),
  udpReceiveBuffer: row(
    "MILLRACE_UDP_RECEIVE_BUFFER",
    "4MiB",
    "what the kernel keeps of datagrams not yet read, as far as it allows",
    bytes,
  ),
  udpSockets: row(
    "MILLRACE_UDP_SOCKETS",
    "1",
    "sockets that share a UDP port, where Node can do so (23.1 and later), 1 to 16",
    count(1, 16),
  ),
  tenantPoints: row(
    "MILLRACE_TENANT_POINTS",
    "off",
    "points a second of a tenant over all gateways, where millrace tenant limits says nothing",
    countOrOff(1, 1e9),
  ),
  tenantSeries: row(
    "MILLRACE_TENANT_SERIES",
    "1000000",
    "live series of a tenant, where millrace tenant limits says nothing",
    countOrOff(1, 1e8),
  ),
  tenantGrace: row(
    "MILLRACE_TENANT_GRACE",
    "7d",
    "how long a deleted tenant can be undeleted, for those deleted from now on; then its series go",
    span,
  ),
  natsTransport: row(
    "MILLRACE_NATS_TRANSPORT",
    "own",
    "own: messages are read and written with as few copies as can be; library: as the NATS client does it by itself",
    oneOf("own", "library"),
  ),
  kernel: row(
    "MILLRACE_KERNEL",
    "auto",
    "auto: the hot loop in WebAssembly; plain: its slower twin in TypeScript, which answers the same",
    oneOf("auto", "plain"),
  ),
  logLevel: row(
    "MILLRACE_LOG_LEVEL",
    "info",
    "trace, debug, info, warn or error",
    oneOf("trace", "debug", "info", "warn", "error"),
  ),
} as const;

type Table = typeof table;
export type SettingName = keyof Table;
export type Settings = { readonly [K in SettingName]: Exclude<ReturnType<Table[K]["parse"]>, Invalid> };

/** Other MILLRACE_ variables that are not the operator's settings but may be set. */
const otherVariables = new Set(["MILLRACE_FAULTS", "MILLRACE_SEED"]);

/**
 * Throws Outage("settings-invalid") with every mistake, a sentence each.
 * `flags` are keyed by setting name and hold what the command line said.
 */
export function readSettings(
  environment: NodeJS.ProcessEnv,
  flags: Readonly<Partial<Record<SettingName, string>>> = {},
): Settings {
  const problems: string[] = [];
  const home = flags.home ?? environment["MILLRACE_HOME"] ?? table.home.default;
  const file = readFile(resolve(home), problems);
  for (const name of Object.keys(environment)) {
    if (!name.startsWith("MILLRACE_") || otherVariables.has(name)) continue;
    if (!settingRows().some((r) => r.env === name))
      problems.push(
        unknown(
          name,
          settingRows().map((r) => r.env),
        ),
      );
  }
  const out: Record<string, unknown> = {};
  for (const name of Object.keys(table) as SettingName[]) {
    const { env, default: fallback, parse } = table[name];
    const [source, said] =
      flags[name] !== undefined
        ? [`--${flagName(name)}`, flags[name]]
        : environment[env] !== undefined
          ? [env, environment[env]]
          : file.has(name)
            ? [`${name} in millrace.json`, file.get(name) as string]
            : [env, fallback];
    const value = parse(said);
    if (value instanceof Invalid)
      problems.push(`${source} is ${name === "adminToken" ? "no token" : `"${said}"`}: ${value.why}.`);
    else out[name] = value;
  }
  if (problems.length > 0) throw new Outage("settings-invalid", problems.join("\n"));
  const settings = out as unknown as Settings;
  return { ...settings, home: resolve(settings.home) };
}

function readFile(home: string, problems: string[]): Map<string, string> {
  const path = join(home, "millrace.json");
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A home that is not there, or no folder, is the business of whoever makes it.
    if (code !== "ENOENT" && code !== "ENOTDIR") problems.push(`${path} can't be read: ${messageOf(error)}.`);
    return new Map();
  }
  const out = new Map<string, string>();
  try {
    const value: unknown = JSON.parse(content);
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("not an object");
    for (const [key, entry] of Object.entries(value)) {
      if (key === "home") problems.push(`${path}: "home" can't be set in the file that lies in it.`);
      else if (!(key in table)) problems.push(`${path}: ${unknown(key, Object.keys(table))}`);
      else if (typeof entry === "string" || typeof entry === "number") out.set(key, String(entry));
      else problems.push(`${path}: "${key}" must be a string or a number.`);
    }
  } catch (error) {
    problems.push(`${path} can't be read: ${messageOf(error)}.`);
  }
  return out;
}

function unknown(name: string, known: string[]): string {
  const near = known.toSorted((a, b) => distance(a, name) - distance(b, name))[0];
  return `${name} is not a setting; did you mean ${near}?`;
}

/** Levenshtein: for "did you mean". */
function distance(a: string, b: string): number {
  let before = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const now = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (before[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      now.push(Math.min(swap, (before[j] ?? 0) + 1, (now[j - 1] ?? 0) + 1));
    }
    before = now;
  }
  return before[b.length] ?? 0;
}

export function settingRows(): {
  name: SettingName;
  env: string;
  flag: string;
  default: string;
  help: string;
}[] {
  return (Object.keys(table) as SettingName[]).map((name) => ({
    name,
    env: table[name].env,
    flag: `--${flagName(name)}`,
    default: table[name].default,
    help: table[name].help,
  }));
}

function flagName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Its value is ms, and written as a span. */
export function isSpan(name: SettingName): boolean {
  return table[name].parse === span;
}

export function envOf(name: SettingName): string {
  return table[name].env;
}

export function formatAddress(at: Address): string {
  return at.host.includes(":") ? `[${at.host}]:${at.port}` : `${at.host}:${at.port}`;
}

function text(value: string): string | Invalid {
  return value.trim();
}

/** Guessing must be hopeless, and it has to fit a header. */
function tokenText(value: string): string | Invalid {
  return value === "" || /^[\x21-\x7e]{16,200}$/.test(value)
    ? value
    : new Invalid("expected 16 to 200 printable characters without blanks");
}

function word(value: string): string | Invalid {
  return /^[A-Za-z0-9_-]{1,64}$/.test(value)
    ? value
    : new Invalid("expected one word of letters, digits, - and _, at most 64 long");
}

function address(value: string): Address | Invalid {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(value.trim());
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return new Invalid("expected host:port, such as 127.0.0.1:2003");
  return { host: match[1] ?? match[2] ?? "", port };
}

/** Others must find it there: a port chosen at the last moment would be known to nobody. */
function fixedAddress(value: string): Address | Invalid {
  const at = address(value);
  return at instanceof Invalid || at.port > 0 ? at : new Invalid("expected a port from 1 to 65535");
}

function addressOrOff(value: string): Address | "off" | Invalid {
  return value.trim() === "off" ? "off" : address(value);
}

function count(least: number, most: number): (value: string) => number | Invalid {
  return (value) => {
    const number = Number(value);
    return value.trim() !== "" && Number.isInteger(number) && number >= least && number <= most
      ? number
      : new Invalid(`expected a whole number from ${least} to ${most}`);
  };
}

function countOrOff(least: number, most: number): (value: string) => number | "off" | Invalid {
  return (value) => (value.trim() === "off" ? "off" : count(least, most)(value));
}

function fraction(least: number, most: number): (value: string) => number | Invalid {
  return (value) => {
    const number = Number(value);
    return value.trim() !== "" && number >= least && number <= most
      ? number
      : new Invalid(`expected a number from ${least} to ${most}`);
  };
}

function oneOf<const T extends string>(...words: T[]): (value: string) => T | Invalid {
  return (value) =>
    (words as string[]).includes(value) ? (value as T) : new Invalid(`expected one of ${words.join(", ")}`);
}

const byteUnits: Record<string, number> = {
  "": 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};

function bytesOrAuto(value: string): number | "auto" | Invalid {
  if (value.trim() === "auto") return "auto";
  const size = bytes(value);
  return size instanceof Invalid ? new Invalid("expected auto or a size such as 20GB or 512MiB") : size;
}

function bytes(value: string): number | Invalid {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?$/i.exec(value.trim());
  if (match === null) return new Invalid("expected a size such as 20GB or 512MiB");
  return Math.floor(Number(match[1]) * (byteUnits[(match[2] ?? "").toLowerCase()] ?? 1));
}

/** Milliseconds. */
function span(value: string): number | Invalid {
  const seconds = parseSpan(value);
  return seconds === undefined || seconds < 1
    ? new Invalid("expected a span such as 90s, 10m, 12h or 7d")
    : seconds * 1000;
}

function ladder(value: string): Ladder | Invalid {
  const parsed = parseLadder(value);
  return parsed.kind === "ladder" ? parsed.ladder : new Invalid(parsed.why);
}
