// Every door, measured with the real system: points a second and what they cost the gateway; what UDP loses beside a
// bare socket that only counts; what bad lines cost the good ones.
//
// A run ends when the gateway has accepted what was sent, or takes nothing more. Senders are processes of their own.
import { fork, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findRoot } from "../bin/setup/root.mjs";
import { freePorts, System, type Keys } from "../test/harness/system.ts";
import type { FromBare } from "./doors-bare.ts";
import type { DoorLoad, FromLoad } from "./doors-load.ts";
import { openSlow } from "./doors-slow.ts";
import { machine } from "./store-place.ts";

const all = ["tcp", "tls", "udp", "pickle", "statsd", "http", "nats"];
const ticksPerSecond = 100;
const lookMs = 20;
const quietMsMax = 1500;
const receiveBufferBytes = 4 << 20;
/** Of the UDP door's run for points: it has no way to say "slower". */
const udpRate = 5000;
const udpLines = 16;

interface Bench {
  system: System;
  tenant: Keys;
  ports: Record<string, number>;
  series: number;
}

export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: {
      doors: { type: "string", default: all.join() },
      points: { type: "string", default: "2000000" },
      series: { type: "string", default: "10000" },
      shards: { type: "string", default: "2" },
      rates: { type: "string", default: "50000,100000" },
      seconds: { type: "string", default: "5" },
      bad: { type: "string" },
      slow: { type: "string" },
      rounds: { type: "string", default: "5" },
      "disk-budget": { type: "string", default: "8GB" },
      json: { type: "boolean", default: false },
    },
  });
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const [tlsPort = 0] = await freePorts(1);
  const tls = (name: string) => join(findRoot(import.meta.url) ?? "", "test", "fixtures", "tls", name);
  const system = await System.start({
    shards: Number(values.shards),
    env: {
      MILLRACE_DISK_BUDGET: values["disk-budget"],
      MILLRACE_UDP_RECEIVE_BUFFER: String(receiveBufferBytes),
      MILLRACE_TLS_LISTEN: `127.0.0.1:${tlsPort}`,
      MILLRACE_TLS_CERT: tls("first.pem"),
      MILLRACE_TLS_KEY: tls("first.key.pem"),
    },
  });
  try {
    const bench: Bench = {
      system,
      tenant: await system.addTenant("bench"),
      ports: portsOf(system),
      series: Number(values.series),
    };
    const points = Number(values.points);
    const result: Record<string, unknown> = { bench: "doors", points, series: bench.series };
    if (values.bad !== undefined) {
      const bad = Number(values.bad);
      result["bad"] = await badLines(bench, points, bad, Number(values.rounds), say);
    } else if (values.slow !== undefined) {
      result["slow"] = await slowNeighbours(bench, points, Number(values.slow), Number(values.rounds), say);
    } else {
      const wanted = values.doors.split(",");
      result["doors"] = {};
      for (const door of wanted) {
        const row = await measured(bench, door, points, 0);
        say(`${door}: ${row === undefined ? "is not there" : JSON.stringify(row)}`);
        if (row !== undefined) Object.assign(result["doors"] as object, { [door]: row });
      }
      if (wanted.includes("udp"))
        result["udpLoss"] = await losses(
          bench,
          values.rates.split(",").map(Number),
          Number(values.seconds),
          say,
        );
    }
    result["machine"] = machine();
    say(JSON.stringify(result, null, 2));
    if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  } finally {
    await system.close();
  }
}

/** Where the gateway says that it listens, by door. */
function portsOf(system: System): Record<string, number> {
  const ready = system.log.findLast((line) => line.process === "gateway" && line.msg === "ready") ?? {};
  const ports: Record<string, number> = {};
  for (const [name, value] of Object.entries(ready)) {
    const port = typeof value === "string" ? /:(\d+)$/.exec(value)?.[1] : undefined;
    if (port !== undefined) ports[name] = Number(port);
  }
  // No listener of its own: the NATS door answers on the server's port, where there is one.
  return { ...ports, nats: system.natsPort };
}

/** undefined: the door is not there. */
async function measured(bench: Bench, door: string, points: number, bad: number) {
  const port = bench.ports[door];
  if (port === undefined) return undefined;
  const isUdp = door === "udp";
  const load = {
    ...loadOf(bench, door, port),
    points: isUdp ? Math.ceil(points / udpLines) : points,
    bad,
    rate: isUdp ? udpRate : 0,
    linesInDatagram: udpLines,
  };
  const pid = bench.system.pid("gateway");
  const before = {
    cpu: cpuOf(pid),
    accepted: await counted(bench.system, "gateway_lines_accepted_total", door),
  };
  let done: Done;
  try {
    done = await startLoad(load);
  } catch (error) {
    if (door === "nats") return undefined; // nobody answers on its subject
    throw error;
  }
  const goal = before.accepted + done.points;
  let accepted = before.accepted;
  let lastMs = performance.now();
  for (;;) {
    const now = await counted(bench.system, "gateway_lines_accepted_total", door);
    if (now !== accepted) lastMs = performance.now();
    accepted = now;
    if (accepted >= goal || performance.now() - lastMs > quietMsMax) break;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
  const taken = accepted - before.accepted;
  return {
    pointsPerSecond: Math.round(taken / ((lastMs - done.startedMs) / 1000)),
    gatewayCpuSecondsPerMillion: round((cpuOf(pid) - before.cpu) / (taken / 1e6)),
    sent: done.points,
    accepted: taken,
  };
}

/** The same datagrams of one line, at a rate, to the gateway and to a bare socket. */
async function losses(bench: Bench, rates: number[], seconds: number, say: (text: string) => void) {
  const rows: Record<string, unknown>[] = [];
  for (const rate of rates) {
    const common = { points: rate * seconds, rate, linesInDatagram: 1 };
    const before = await counted(bench.system, "gateway_datagrams_total", "udp");
    const droppedBefore = await counted(bench.system, "gateway_datagrams_dropped_total", "udp");
    const gateway = await startLoad({ ...loadOf(bench, "udp", bench.ports["udp"] ?? 0), ...common });
    await new Promise((resolve) => setTimeout(resolve, quietMsMax + 1000)); // the kernel's drops are read each second
    const taken = (await counted(bench.system, "gateway_datagrams_total", "udp")) - before;
    const dropped = (await counted(bench.system, "gateway_datagrams_dropped_total", "udp")) - droppedBefore;

    const bare = child("doors-bare");
    const heard = answers<FromBare>(bare);
    bare.send({ receiveBufferBytes });
    const listens = await heard("listens");
    const beside = await startLoad({ ...loadOf(bench, "udp", listens.port), ...common });
    await new Promise((resolve) => setTimeout(resolve, quietMsMax));
    bare.send("end");
    const { datagrams } = await heard("counted");
    const row = {
      rate,
      gateway: { ...reached(gateway), lostPercent: lost(gateway.sent, taken), saidByKernel: dropped },
      bare: { ...reached(beside), lostPercent: lost(beside.sent, datagrams) },
    };
    say(JSON.stringify(row));
    rows.push(row);
  }
  return rows;
}

/**
 * Lines over TCP without and with bad ones between them, taking turns. Machines drift: each round is compared within
 * itself, and the middle round is the answer.
 */
async function badLines(
  bench: Bench,
  points: number,
  bad: number,
  rounds: number,
  say: (text: string) => void,
) {
  await measured(bench, "tcp", points, 0); // warm
  const speeds: number[] = [];
  const costs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? [0, bad] : [bad, 0];
    const rows = new Map<number, { speed: number; cost: number }>();
    for (const share of order) {
      const row = await measured(bench, "tcp", points, share);
      // By all lines, bad ones too: that is what the sender handed over in that time.
      const good = 1 - share;
      const speed = (row?.pointsPerSecond ?? 0) / good;
      rows.set(share, { speed, cost: (row?.gatewayCpuSecondsPerMillion ?? 0) * good });
      say(`${share * 100} % bad: ${JSON.stringify(row)}`);
    }
    const [clean, dirty] = [rows.get(0), rows.get(bad)];
    speeds.push((dirty?.speed ?? 0) / (clean?.speed ?? 1));
    costs.push((dirty?.cost ?? 0) / (clean?.cost ?? 1));
  }
  return { share: bad, rounds, speedRatio: round(middle(speeds)), gatewayCpuRatio: round(middle(costs)) };
}

/** Lines over TCP alone and beside slow connections, taking turns. */
async function slowNeighbours(
  bench: Bench,
  points: number,
  connections: number,
  rounds: number,
  say: (text: string) => void,
) {
  await measured(bench, "tcp", points, 0); // warm
  const speeds: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const rows = new Map<boolean, number>();
    for (const beside of round % 2 === 0 ? [false, true] : [true, false]) {
      const close = beside ? await openSlow(bench.ports["tcp"] ?? 0, connections) : () => {};
      const row = await measured(bench, "tcp", points, 0);
      close();
      rows.set(beside, row?.pointsPerSecond ?? 0);
      say(`${beside ? `beside ${connections} slow ones` : "alone"}: ${JSON.stringify(row)}`);
    }
    speeds.push((rows.get(true) ?? 0) / (rows.get(false) ?? 1));
  }
  return { connections, rounds, speedRatio: round(middle(speeds)) };
}

function middle(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

function loadOf({ tenant, series }: Bench, door: string, port: number): DoorLoad {
  const { name, writeKey } = tenant;
  return { door, port, key: writeKey, tenant: name, points: 0, series, bad: 0, rate: 0, linesInDatagram: 1 };
}

/** `startedMs`: when the first byte was sent, by performance.now() of this process. */
type Done = Extract<FromLoad, { kind: "done" }> & { startedMs: number };

function reached({ sent, seconds }: Done) {
  return { sent, sentPerSecond: Math.round(sent / seconds) };
}

function lost(sent: number, taken: number): number {
  return round((1 - taken / sent) * 100);
}

async function startLoad(load: DoorLoad): Promise<Done> {
  const sender = child("doors-load");
  const heard = answers<FromLoad>(sender);
  const done = heard("done");
  const began = heard("started").then(() => performance.now());
  sender.send(load);
  const [startedMs, said] = await Promise.all([began, done]);
  return { ...said, startedMs };
}

function child(name: string): ChildProcess {
  const file = `./${name}${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`;
  return fork(fileURLToPath(new URL(file, import.meta.url)), { stdio: "inherit" });
}

/** What settles with the first message of a kind; rejects when the process ends before. */
function answers<Message extends { kind: string }>(from: ChildProcess) {
  return <Kind extends Message["kind"]>(kind: Kind): Promise<Extract<Message, { kind: Kind }>> =>
    new Promise((resolve, reject) => {
      const isWanted = (message: Message): message is Extract<Message, { kind: Kind }> =>
        message.kind === kind;
      from.on("message", (message: Message) => {
        if (isWanted(message)) resolve(message);
      });
      from.once("exit", (code) => reject(new Error(`a process of the bench ended with ${code}`)));
    });
}

/** The sum of a door's counter in the gateway. */
async function counted(system: System, name: string, door: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${system.httpPort}/metrics`);
  let sum = 0;
  for (const line of (await response.text()).split("\n"))
    if (line.startsWith(`${name}{`) && line.includes(`door="${door}"`))
      sum += Number(line.slice(line.lastIndexOf(" ")));
  return sum;
}

function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
