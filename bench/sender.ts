// The load: plaintext lines over TCP, as fast as the other side takes them or at a rate, in a process of its own. Its
// cost is said apart: it must never be what holds the system up.
//
// L1. Lines are made before the clock starts; only their time stamps are written anew, in place.
// L2. A block in flight is not touched: its connection waits until the system has taken it.
// L3. As many points as there are series name each series exactly once.
import { connect, type Socket } from "node:net";

export interface Load {
  port: number;
  /** Series are spread over these keys. */
  keys: string[];
  series: number;
  connections: number;
  seed: number;
}

export type ToSender =
  | { kind: "prepare"; load: Load }
  /** `rate`: points a second; 0: as fast as it goes. */
  | { kind: "send"; points: number; rate: number }
  | { kind: "end" };

export type FromSender =
  | { kind: "ready" }
  | { kind: "started" }
  /** Everything is handed to the system; user and system time of this process since it started to send. */
  | { kind: "done"; cpuSeconds: number };

const blockLines = 2000;
/** Epoch seconds are ten digits until 2286. */
const stampBytes = 10;
const lineBytesMost = 200;
/** A paced sender writes so many times a second. */
const writesPerSecond = 100;

interface Block {
  bytes: Buffer;
  /** Where the time stamp of each line begins; its line end follows it. */
  stamps: number[];
  stamped: string;
}

interface Connection {
  socket: Socket;
  blocks: Block[];
  lines: number;
  /** What it sends next: a line of a block. */
  block: number;
  line: number;
}

let load: Load;
let connections: Connection[] = [];

process.on("message", (message: ToSender) => void obey(message));

async function obey(message: ToSender): Promise<void> {
  switch (message.kind) {
    case "prepare": {
      load = message.load;
      const blocks = makeBlocks(load);
      connections = await Promise.all(
        Array.from({ length: load.connections }, async (_, i) => {
          const own = blocks.filter((__, turn) => turn % load.connections === i);
          const lines = own.reduce((sum, block) => sum + block.stamps.length, 0);
          return { socket: await open(load.port), blocks: own, lines, block: 0, line: 0 };
        }),
      );
      tell({ kind: "ready" });
      return;
    }
    case "send": {
      tell({ kind: "started" });
      const before = process.cpuUsage();
      await sendAll(message.points, message.rate);
      const { user, system } = process.cpuUsage(before);
      tell({ kind: "done", cpuSeconds: (user + system) / 1e6 });
      return;
    }
    case "end":
      await Promise.all(connections.map(({ socket }) => new Promise<void>((done) => socket.end(done))));
      process.exit(0);
  }
}

function tell(message: FromSender): void {
  process.send?.(message);
}

/** Each connection sends its part, so that all blocks get their turn (L3). */
async function sendAll(points: number, rate: number): Promise<void> {
  let lines = 0;
  await Promise.all(
    connections.map(async (connection) => {
      const from = Math.round((points * lines) / load.series);
      lines += connection.lines;
      const own = Math.round((points * lines) / load.series) - from;
      if (own > 0) await send(connection, own, (rate * connection.lines) / load.series);
    }),
  );
}

async function send(connection: Connection, points: number, rate: number): Promise<void> {
  const most = rate > 0 ? Math.max(1, Math.floor(rate / writesPerSecond)) : blockLines;
  const started = performance.now();
  for (let sent = 0; sent < points; ) {
    const block = connection.blocks[connection.block] as Block;
    const { line } = connection;
    const lines = Math.min(most, points - sent, block.stamps.length - line);
    if (line === 0) stamp(block);
    const from = line === 0 ? 0 : endOf(block, line - 1);
    await write(connection.socket, block.bytes.subarray(from, endOf(block, line + lines - 1))); // L2
    sent += lines;
    connection.line += lines;
    if (connection.line === block.stamps.length) {
      connection.line = 0;
      connection.block = (connection.block + 1) % connection.blocks.length;
    }
    if (rate === 0) continue;
    const ahead = (sent / rate) * 1000 - (performance.now() - started);
    if (ahead > 1) await new Promise((resolve) => setTimeout(resolve, ahead));
  }
}

function endOf(block: Block, line: number): number {
  return (block.stamps[line] as number) + stampBytes + 1;
}

/** Every series once, in a random order, cut into blocks of one key whose turns come evenly. */
function makeBlocks({ series, keys, seed }: Load): Block[] {
  let state = seed >>> 0;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const order = Uint32Array.from({ length: series }, (_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  // A connection mostly sends for one tenant: blocks are of one key.
  const ofKeys = keys.map((key, own) => {
    const ids = order.filter((id) => id % keys.length === own);
    return Array.from({ length: Math.ceil(ids.length / blockLines) }, (_, i) =>
      makeBlock(key, ids.subarray(i * blockLines, (i + 1) * blockLines), random),
    );
  });
  const most = Math.max(...ofKeys.map((blocks) => blocks.length));
  return Array.from({ length: most }, (_, i) => ofKeys.flatMap((blocks) => blocks.slice(i, i + 1))).flat();
}

/** About 73 bytes a line behind its key. */
function makeBlock(key: string, ids: Uint32Array, random: (below: number) => number): Block {
  const room = Buffer.allocUnsafe(ids.length * (lineBytesMost + key.length));
  const stamps: number[] = [];
  let at = 0;
  for (const id of ids) {
    const name = `${key}.bench.rack${id % 40}.host${String(id).padStart(7, "0")}.cpu.user.percent`;
    at += room.write(`${name} ${(random(1_000_000) / 100).toFixed(2)} `, at, "latin1");
    stamps.push(at);
    at += room.write("0000000000\n", at, "latin1");
  }
  return { bytes: Buffer.from(room.subarray(0, at)), stamps, stamped: "0000000000" };
}

/** Most often only the last digit differs. */
function stamp(block: Block): void {
  const text = String(Math.floor(Date.now() / 1000));
  const { bytes, stamps, stamped } = block;
  if (text === stamped) return;
  let same = 0;
  while (text[same] === stamped[same]) same++;
  block.stamped = text;
  for (let digit = same; digit < stampBytes; digit++) {
    const byte = text.charCodeAt(digit);
    for (let line = 0; line < stamps.length; line++) bytes[(stamps[line] as number) + digit] = byte;
  }
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
