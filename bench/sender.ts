// The load: plaintext lines over TCP, as fast as the other side takes them or at a rate, in a process of its own so
// that its cost is not counted as ours. Told by one JSON message what to send; answers when all is written.
import { connect, type Socket } from "node:net";

export interface Load {
  port: number;
  /** Series are spread over these keys. */
  keys: string[];
  series: number;
  points: number;
  /** Points a second; 0: as fast as it goes. */
  rate: number;
  connections: number;
  seed: number;
}

export type FromSender = { kind: "started" } | { kind: "done"; points: number };

const blockLines = 2000;
/** Epoch seconds are ten digits until 2286. */
const stampBytes = 10;

interface Block {
  bytes: Buffer;
  stamps: number[];
  seconds: number;
}

process.once("message", (load: Load) => void send(load));

async function send(load: Load): Promise<void> {
  const blocks = makeBlocks(load);
  const sockets = await Promise.all(Array.from({ length: load.connections }, () => open(load.port)));
  process.send?.({ kind: "started" } satisfies FromSender);
  const started = performance.now();
  let sent = 0;
  for (let i = 0; sent < load.points; i++) {
    const block = blocks[i % blocks.length] as Block;
    stamp(block);
    const lines = Math.min(block.stamps.length, load.points - sent);
    const bytes =
      lines === block.stamps.length
        ? block.bytes
        : block.bytes.subarray(0, (block.stamps[lines - 1] ?? 0) + stampBytes + 1);
    // A copy: the socket may hold it while the block is stamped again.
    await write(sockets[i % sockets.length] as Socket, Buffer.from(bytes));
    sent += lines;
    if (load.rate > 0) {
      const ahead = (sent / load.rate) * 1000 - (performance.now() - started);
      if (ahead > 1) await new Promise((resolve) => setTimeout(resolve, ahead));
    }
  }
  await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.end(() => resolve()))));
  process.send?.({ kind: "done", points: sent } satisfies FromSender, () => process.exit(0));
}

/** Every series once, in a random order, cut into blocks of one key; about 73 bytes a line behind it. */
function makeBlocks(load: Load): Block[] {
  let state = load.seed >>> 0;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const order = Array.from({ length: load.series }, (_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  // A connection mostly sends for one tenant: blocks are of one key, and keys take turns.
  order.sort((a, b) => (a % load.keys.length) - (b % load.keys.length));
  const linesInBlock =
    load.rate > 0 ? Math.max(1, Math.min(blockLines, Math.floor(load.rate / 100))) : blockLines;
  const blocks: Block[] = [];
  for (let at = 0; at < order.length; ) {
    const stamps: number[] = [];
    let text = "";
    const own = (order[at] as number) % load.keys.length;
    const key = load.keys[own] as string;
    for (; stamps.length < linesInBlock && at < order.length; at++) {
      const id = order[at] as number;
      if (id % load.keys.length !== own) break;
      const value = (random(1_000_000) / 100).toFixed(2);
      text += `${key}.bench.rack${id % 40}.host${String(id).padStart(7, "0")}.cpu.user.percent ${value} `;
      stamps.push(text.length);
      text += "0000000000\n";
    }
    blocks.push({ bytes: Buffer.from(text, "latin1"), stamps, seconds: 0 });
  }
  const turn = Array.from({ length: blocks.length }, (_, i) => i);
  const perKey = Math.ceil(blocks.length / load.keys.length);
  return turn.sort((a, b) => (a % perKey) - (b % perKey) || a - b).map((i) => blocks[i] as Block);
}

function stamp(block: Block): void {
  const seconds = Math.floor(Date.now() / 1000);
  if (seconds === block.seconds) return;
  block.seconds = seconds;
  const text = String(seconds);
  for (const at of block.stamps) block.bytes.write(text, at, stampBytes, "latin1");
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

function write(socket: Socket, bytes: Buffer): Promise<void> {
  if (socket.write(bytes)) return Promise.resolve();
  return new Promise((resolve) => socket.once("drain", () => resolve()));
}
