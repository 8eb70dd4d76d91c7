// Ports for a private system's servers, which start later than the test asks, and again after a kill.
//
// H1. They lie below the range from which the kernel takes ports for connections: there, any client of the machine
//     would take one now and then between the asking and the listening.
// H2. No two processes get the same: each takes them from blocks of its own. A block belongs to who listens on its
//     first port, so it is free again when that process ends, however it ends.
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";

const lowest = 10_240;
const blockPorts = 64;
/** Also where there is no /proc: macOS and Windows begin at 49152. */
const connectionsFromDefault = 32_768;

/** Of the block at hand. */
let rest: number[] = [];
/** Never closed: H2. */
const held: Server[] = [];

/** Ports that nobody listens on, on 127.0.0.1, by TCP and by UDP; never the same twice. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = rest.pop();
    if (port === undefined) rest = await takeBlock();
    else if (await isFree(port)) ports.push(port);
  }
  return ports;
}

async function takeBlock(): Promise<number[]> {
  const blocks = Math.floor((connectionsFrom() - lowest) / blockPorts);
  const first = process.pid % blocks;
  for (let i = 0; i < blocks; i++) {
    const from = lowest + ((first + i) % blocks) * blockPorts;
    const server = await listen(from);
    if (server === undefined) continue;
    held.push(server.unref());
    return Array.from({ length: blockPorts - 1 }, (_, k) => from + 1 + k);
  }
  throw new Error(`no block of ${blockPorts} free ports from ${lowest} on`);
}

function connectionsFrom(): number {
  try {
    return Number.parseInt(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8"), 10);
  } catch {
    return connectionsFromDefault;
  }
}

function listen(port: number): Promise<Server | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen(port);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  const socket = createSocket("udp4");
  const free = await new Promise<boolean>((resolve) => {
    socket.once("error", () => resolve(false));
    socket.bind(port, "127.0.0.1", () => resolve(true));
  });
  await new Promise<void>((resolve) => socket.close(resolve));
  return free;
}
