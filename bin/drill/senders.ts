// Senders, one for each door: each sends points of value 1 to a few series of its own until it is stopped, and
// knows how many of them must be there afterwards.
import { createSocket } from "node:dgram";
import { connect, type Socket } from "node:net";
import { connect as connectNats, headers } from "nats";
import type { Keys, PrivateSystem } from "./private-system.ts";

/** Each sends as many points to one as to another, in whole rounds. */
export const senderSeries = 5;
const pauseMsDefault = 20;
/** What a deleted or a suspended tenant is told. */
const refusals = new Set([410, 403]);
const batch = 20;

export interface Sender {
  /** The target whose counts are this sender's points: `out.tcp.*`, or what StatsD makes of its names. */
  target: string;
  /** Stops sending, hands over what is on its way; answers the points that must be there. */
  stop(): Promise<number>;
}

export interface SenderOptions {
  /** Between two batches. */
  pauseMs?: number;
  /** The tenant may be deleted meanwhile: a clear no is an answer, and those points are not waited for. */
  refusable?: boolean;
}

export type StartSender = (system: PrivateSystem, tenant: Keys, options?: SenderOptions) => Promise<Sender>;

function name(door: string, i: number): string {
  return `out.${door}.s${i % senderSeries}`;
}

/** Names of the senders' doors, in the order of allSenders. */
export const senderDoors = ["tcp", "pickle", "udp", "statsd", "http", "nats"] as const;

/** Runs `send` again and again until stopped; it answers how many points it has sent. */
function repeat(
  target: string,
  send: (from: number) => Promise<number>,
  end: () => Promise<void>,
  { pauseMs = pauseMsDefault }: SenderOptions = {},
): Sender {
  let stopped = false;
  const running = (async () => {
    let sent = 0;
    while (!stopped) {
      sent += await send(sent);
      await pause(pauseMs);
    }
    await end();
    return sent;
  })();
  return {
    target,
    stop() {
      stopped = true;
      return running;
    },
  };
}

export const tcpSender: StartSender = async (system, tenant, options) => {
  const socket = await dial(system.tcpPort);
  const send = async (from: number) => {
    let lines = "";
    for (let i = 0; i < batch; i++) lines += `${tenant.writeKey}.${name("tcp", from + i)} 1\n`;
    await written(socket, lines);
    return batch;
  };
  return repeat("out.tcp.*:count", send, () => ended(socket), options);
};

export const pickleSender: StartSender = async (system, tenant, options) => {
  const socket = await dial(system.picklePort);
  const send = async (from: number) => {
    const seconds = Math.floor(Date.now() / 1000);
    // Protocol 0, as old clients write it: a list of (path, (time stamp, value)).
    let body = "(l";
    for (let i = 0; i < batch; i++)
      body += `(S'${tenant.writeKey}.${name("pickle", from + i)}'\n(I${seconds}\nF1.0\ntta`;
    const message = Buffer.from(`0000${body}.`, "latin1");
    message.writeUInt32BE(message.length - 4);
    await written(socket, message);
    return batch;
  };
  return repeat("out.pickle.*:count", send, () => ended(socket), options);
};

export const udpSender: StartSender = async (system, tenant, options) => {
  const line = (i: number) => `${tenant.writeKey}.${name("udp", i)} 1`;
  return datagrams("out.udp.*:count", system.tcpPort, line, options);
};

export const statsdSender: StartSender = async (system, tenant, options) => {
  const line = (i: number) => `${tenant.writeKey}.${name("statsd", i)}:1|c`;
  return datagrams("stats.counters.out.statsd.*.count", system.statsdPort, line, options);
};

async function datagrams(
  target: string,
  port: number,
  line: (i: number) => string,
  options?: SenderOptions,
): Promise<Sender> {
  const socket = createSocket("udp4");
  const send = async (from: number) => {
    const lines = Array.from({ length: batch }, (_, i) => line(from + i)).join("\n");
    await new Promise<void>((resolve, reject) =>
      socket.send(lines, port, "127.0.0.1", (error) => (error === null ? resolve() : reject(error))),
    );
    return batch;
  };
  return repeat(target, send, async () => void socket.close(), options);
}

/** Each batch under a key, sent until it is acknowledged. */
export const httpSender: StartSender = async (system, tenant, options) => {
  let n = 0;
  const send = async (from: number) => {
    const body = Array.from({ length: batch }, (_, i) => `${name("http", from + i)} 1\n`).join("");
    const key = `${tenant.id}-${n++}`;
    for (;;) {
      const status = await system
        .sink(tenant.writeKey, body, { "Idempotency-Key": key })
        .then(async (response) => {
          await response.arrayBuffer();
          return response.status;
        })
        .catch(() => 0);
      if (status === 202) return batch;
      if (options?.refusable === true && refusals.has(status)) return 0;
      if (status !== 503 && status !== 0) throw new Error(`HTTP ${status} is no answer to a good batch`);
      await pause(pauseMsDefault);
    }
  };
  return repeat("out.http.*:count", send, async () => {}, options);
};

/** The same over NATS, by request and reply. */
export const natsSender: StartSender = async (system, tenant, options) => {
  const nats = await connectNats({
    servers: system.env["MILLRACE_NATS_URL"] ?? `nats://127.0.0.1:${system.natsPort}`,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
  });
  let n = 0;
  const send = async (from: number) => {
    const body = Array.from({ length: batch }, (_, i) => `${name("nats", from + i)} 1\n`).join("");
    const head = headers();
    head.set("Millrace-Key", tenant.writeKey);
    head.set("Idempotency-Key", `${tenant.id}-${n++}`);
    for (;;) {
      const answer = await nats
        .request(`millrace.ingest.${tenant.name}`, body, { timeout: 15_000, headers: head })
        .then((message) => message.json<{ accepted?: number; code?: number; error?: string }>())
        .catch(() => undefined);
      if (answer?.accepted === batch) return batch;
      if (options?.refusable === true && refusals.has(answer?.code ?? 0)) return 0;
      if (answer !== undefined && answer.code !== 503)
        throw new Error(`${JSON.stringify(answer)} is no answer to a good batch`);
      await pause(pauseMsDefault);
    }
  };
  return repeat("out.nats.*:count", send, () => nats.close(), options);
};

export const allSenders: readonly StartSender[] = [
  tcpSender,
  pickleSender,
  udpSender,
  statsdSender,
  httpSender,
  natsSender,
];

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function dial(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

function written(socket: Socket, data: string | Buffer): Promise<void> {
  if (socket.write(data)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    socket.once("drain", resolve);
    socket.once("close", () => reject(new Error("the connection was closed")));
  });
}

function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
    socket.end();
  });
}

/** Sends by a door that answers, whatever the answer is. */
export interface TryingSender {
  door: string;
  /** Statuses that were answered since this was last cleared. */
  seen: Set<number>;
  /** Answers the points that were accepted. */
  stop(): Promise<number>;
}

/** `door`: http or nats. Nothing is sent twice: what is not accepted is given up. */
export async function tryingSender(system: PrivateSystem, tenant: Keys, door: string): Promise<TryingSender> {
  const seen = new Set<number>();
  const nats = await connectNats({ servers: `nats://127.0.0.1:${system.natsPort}` });
  const head = headers();
  head.set("Millrace-Key", tenant.writeKey);
  const post = async (body: string): Promise<number> => {
    if (door === "http") {
      const response = await system.sink(tenant.writeKey, body);
      await response.arrayBuffer();
      return response.status;
    }
    const options = { timeout: 15_000, headers: head };
    const answer = await nats.request(`millrace.ingest.${tenant.name}`, body, options);
    return answer.json<{ code?: number }>().code ?? 202;
  };
  const send = async (from: number) => {
    const body = Array.from({ length: batch }, (_, i) => `${name(door, from + i)} 1\n`).join("");
    const status = await post(body);
    seen.add(status);
    return status === 202 ? batch : 0;
  };
  const sender = repeat("", send, () => nats.close());
  return { door, seen, stop: () => sender.stop() };
}
