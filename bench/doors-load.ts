// The load on one door, in a process of its own. Told by one JSON message what to send; answers when it begins and when
// all is handed over. Everything is encoded before it begins, so that the sender is not what is measured.
import { createSocket } from "node:dgram";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { messageOf } from "../src/base/errors.ts";
import { connect as connectNats, headers, type NatsConnection } from "nats";

export interface DoorLoad {
  door: string;
  port: number;
  key: string;
  tenant: string;
  /** Lines in all; for UDP alone: datagrams. */
  points: number;
  series: number;
  /** Share of lines that are refused, 0 to 1. */
  bad: number;
  /** Datagrams a second; 0: as fast as it goes. */
  rate: number;
  linesInDatagram: number;
}

/** `points`: good lines that were handed over. `sent`: datagrams, where that is counted. */
export type FromLoad = { kind: "started" } | { kind: "done"; sent: number; points: number; seconds: number };

const blockLines = 1000;
const blocks = 16;
const connections = 4;
const inFlight = 4;
const paceMs = 2;

interface Block {
  bytes: Buffer;
  good: number;
}

process.once("message", (load: DoorLoad) => {
  run(load).catch((error: unknown) => {
    process.stderr.write(`${load.door}: ${messageOf(error)}\n`);
    process.exit(1);
  });
});

async function run(load: DoorLoad): Promise<void> {
  const { sent, points, seconds } = load.rate > 0 ? await datagrams(load) : await full(load);
  process.send?.({ kind: "done", sent, points, seconds } satisfies FromLoad, () => process.exit(0));
}

function begin(): number {
  process.send?.({ kind: "started" } satisfies FromLoad);
  return performance.now();
}

/** As fast as the door takes it. */
async function full(load: DoorLoad) {
  const made = Array.from({ length: blocks }, (_, n) => makeBlock(load, n * blockLines, blockLines));
  const send = await opened(load);
  const started = begin();
  let next = 0;
  let points = 0;
  const one = async (lane: number) => {
    while (next * blockLines < load.points) {
      const block = made[next++ % blocks] as Block;
      await send.block(block.bytes, lane);
      points += block.good;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, lane) => one(lane)));
  await send.end();
  return { sent: next, points, seconds: (performance.now() - started) / 1000 };
}

/** At a rate, in small steps. */
async function datagrams(load: DoorLoad) {
  const made = Array.from({ length: 64 }, (_, n) => makeBlock(load, n, load.linesInDatagram));
  const socket = createSocket({ type: "udp4", sendBufferSize: 4 << 20 });
  await new Promise<void>((resolve) => socket.connect(load.port, "127.0.0.1", resolve));
  const started = begin();
  let sent = 0;
  let pending = 0;
  let points = 0;
  while (sent < load.points) {
    const due = Math.min(load.points, Math.ceil(((performance.now() - started) / 1000) * load.rate));
    for (; sent < due; sent++) {
      const block = made[sent % made.length] as Block;
      pending++;
      socket.send(block.bytes, () => pending--);
      points += block.good;
    }
    await new Promise((resolve) => setTimeout(resolve, paceMs));
  }
  while (pending > 0) await new Promise((resolve) => setTimeout(resolve, paceMs));
  const seconds = (performance.now() - started) / 1000;
  socket.close();
  return { sent, points, seconds };
}

function makeBlock(load: DoorLoad, from: number, lines: number): Block {
  const badEvery = load.bad > 0 ? Math.round(1 / load.bad) : 0;
  const seconds = Math.floor(Date.now() / 1000);
  const rows = Array.from({ length: lines }, (_, i) => {
    const id = (from + i) % load.series;
    const name = `bench.rack${id % 40}.host${String(id).padStart(7, "0")}.cpu.user.percent`;
    const bad = badEvery > 0 && (from + i) % badEvery === 0;
    return { name, value: ((id * 7919) % 1_000_000) / 100, seconds, bad };
  });
  const key = load.door === "http" || load.door === "nats" ? "" : `${load.key}.`;
  const good = rows.filter((row) => !row.bad).length;
  if (load.door.startsWith("pickle")) return { bytes: pickled(rows, key), good };
  const text = rows.map(({ name, value, bad }) =>
    load.door === "statsd"
      ? `${key}${name}:${bad ? "x" : value}|g\n`
      : `${key}${name} ${bad ? "x" : value} ${seconds}\n`,
  );
  return { bytes: Buffer.from(text.join("")), good };
}

/** Protocol 2 in a frame, as carbon's clients send it: a list of (name, (time, value)). */
function pickled(rows: readonly { name: string; value: number; seconds: number }[], key: string): Buffer {
  const parts: Buffer[] = [Buffer.from([0x80, 2, 0x5d, 0x28])]; // PROTO 2, EMPTY_LIST, MARK
  for (const { name, value, seconds } of rows) {
    const text = Buffer.from(key + name);
    const row = Buffer.alloc(5 + text.length + 5 + 9 + 2);
    row[0] = 0x58; // BINUNICODE
    row.writeUInt32LE(text.length, 1);
    let at = 5 + text.copy(row, 5);
    row[at] = 0x4a; // BININT
    row.writeInt32LE(seconds, at + 1);
    at += 5;
    row[at] = 0x47; // BINFLOAT
    row.writeDoubleBE(value, at + 1);
    row[at + 9] = 0x86; // TUPLE2, twice
    row[at + 10] = 0x86;
    parts.push(row);
  }
  parts.push(Buffer.from([0x65, 0x2e])); // APPENDS, STOP
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

interface Opened {
  block(bytes: Buffer, lane: number): Promise<void>;
  end(): Promise<void>;
}

async function opened(load: DoorLoad): Promise<Opened> {
  switch (load.door) {
    case "http":
      return overHttp(load);
    case "nats":
      return await overNats(load);
    default: {
      const secure = load.door === "tls" || load.door === "pickleTls";
      return await overStreams(load.port, secure);
    }
  }
}

async function overStreams(port: number, secure: boolean): Promise<Opened> {
  const sockets = await Promise.all(
    Array.from({ length: connections }, () => {
      return new Promise<Socket>((resolve, reject) => {
        const socket: Socket = secure
          ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => resolve(socket))
          : connect({ port, host: "127.0.0.1" }, () => resolve(socket));
        socket.once("error", reject);
      });
    }),
  );
  return {
    block(bytes, lane) {
      const socket = sockets[lane % connections] as Socket;
      if (socket.write(bytes)) return new Promise((resolve) => setImmediate(resolve));
      return new Promise((resolve) => socket.once("drain", () => resolve()));
    },
    async end() {
      await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.end(() => resolve()))));
    },
  };
}

function overHttp({ port, key }: DoorLoad): Opened {
  const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
  const options = { port, agent, method: "POST", path: "/api/v1/sink", host: "127.0.0.1" };
  return {
    block: (bytes) =>
      new Promise((resolve, reject) => {
        const sent = request({ ...options, headers: { Authorization: `Bearer ${key}` } }, (response) => {
          response.resume();
          response.once("end", () => {
            if (response.statusCode === 202) resolve();
            else reject(new Error(`HTTP answered ${response.statusCode}`));
          });
        });
        sent.once("error", reject);
        sent.end(bytes);
      }),
    end: () => Promise.resolve(agent.destroy()),
  };
}

async function overNats({ port, key, tenant }: DoorLoad): Promise<Opened> {
  const nats: NatsConnection = await connectNats({ servers: `127.0.0.1:${port}` });
  const said = headers();
  said.set("Millrace-Key", key);
  return {
    async block(bytes) {
      const answer = await nats.request(`millrace.ingest.${tenant}`, bytes, {
        timeout: 15_000,
        headers: said,
      });
      const { accepted, error } = answer.json<{ accepted?: number; error?: string }>();
      if (accepted === undefined) throw new Error(`NATS answered ${error}`);
    },
    end: () => nats.drain(),
  };
}
