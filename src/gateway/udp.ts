// UDP sockets and nothing else: what a datagram means is the handler's affair. It gets each datagram whole, once, and
// can't ask for patience.
//
// U1. What the kernel dropped of our sockets is counted where the kernel says so; nothing else is lost here.
// U2. Closing takes what the kernel has kept for us by then, for a bounded time.
import { createSocket, type Socket, type SocketOptions } from "node:dgram";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { isIP } from "node:net";
import { systemClock, type Clock } from "../base/clock.ts";
import type { Counters } from "../base/counters.ts";
import type { Log } from "../base/log.ts";
import { listenError } from "../config/listen.ts";
import type { Address } from "../config/settings.ts";
import type { DoorOpener, OpenDoor } from "./door.ts";
import { KernelDrops } from "./kernel-drops.ts";

export interface UdpDoorOptions {
  listen: Address;
  /** For the sentence that says which setting names a taken port. */
  setting: string;
  receiveBufferBytes: number;
  /** How many share the port, where Node can do so. */
  sockets: number;
  /** Of the door: in its address, its counters and the log. */
  name: string;
  /** All of one datagram; `bytes` is the handler's to keep. `peer`: the sender's address. */
  onDatagram(bytes: Buffer, peer: string): void;
  counters: Counters;
  log: Log;
  clock?: Clock;
}

/** A turn of the event loop takes what the kernel has of each socket, up to 32 datagrams. */
const closeQuietTurns = 3;
const closeMsMax = 500;

export const udpDoor: DoorOpener = async (context) => {
  const { settings, counters, log, clock } = context;
  if (settings.udpListen === "off") return undefined;
  return await openUdpDoor({
    listen: settings.udpListen,
    setting: "MILLRACE_UDP_LISTEN",
    receiveBufferBytes: settings.udpReceiveBuffer,
    sockets: settings.udpSockets,
    name: "udp",
    onDatagram: context.datagrams("udp", "plaintext"),
    counters,
    log,
    clock,
  });
};

export async function openUdpDoor(options: UdpDoorOptions): Promise<OpenDoor & { address: Address }> {
  const { name, counters, log, clock = systemClock } = options;
  const label = { door: name };
  const taken = counters.counter("gateway_datagrams_total", "Datagrams taken", label);
  const failed = counters.counter("gateway_datagram_errors_total", "Errors of UDP sockets", label);
  const dropped = counters.counter(
    "gateway_datagrams_dropped_total",
    "Datagrams that the kernel dropped because the socket was full",
    label,
  );
  const wanted = canShare() ? options.sockets : 1;
  if (wanted < options.sockets)
    log.warn(
      { door: name, node: process.versions.node },
      `${options.sockets} sockets can't share a UDP port before Node 23.1: there is one`,
    );

  const sockets: Socket[] = [];
  let at = options.listen;
  try {
    while (sockets.length < wanted) {
      const socket = await bind({ ...options, listen: at }, wanted > 1);
      sockets.push(socket);
      at = { host: at.host, port: socket.address().port }; // the others share what the first one got
      socket.on("message", (bytes, { address }) => {
        taken.value++;
        options.onDatagram(bytes, address);
      });
      socket.on("error", () => failed.value++);
    }
  } catch (error) {
    await Promise.all(sockets.map(closed));
    throw error;
  }
  sayBuffer(sockets[0], options);
  const drops = await KernelDrops.watch(at.port, dropped, clock);

  return {
    address: at,
    addresses: { [name]: at },
    async close() {
      const deadlineMs = clock.monotonicMs() + closeMsMax;
      let before = taken.value;
      for (let quiet = 0; quiet < closeQuietTurns && clock.monotonicMs() < deadlineMs; quiet++) {
        await new Promise((resolve) => setImmediate(resolve));
        if (taken.value !== before) quiet = -1;
        before = taken.value;
      }
      drops?.close();
      await drops?.look();
      await Promise.all(sockets.map(closed));
    },
  };
}

async function bind(
  { listen, setting, receiveBufferBytes }: UdpDoorOptions,
  share: boolean,
): Promise<Socket> {
  try {
    const family = isIP(listen.host) || (await lookup(listen.host)).family;
    const type = family === 6 ? "udp6" : "udp4";
    const options: SocketOptions = {
      type,
      recvBufferSize: receiveBufferBytes,
      ...(share && { reusePort: true }),
    };
    const socket = createSocket(options);
    try {
      socket.bind({ port: listen.port, address: listen.host, exclusive: true });
      await once(socket, "listening");
    } catch (error) {
      await closed(socket);
      throw error;
    }
    return socket;
  } catch (error) {
    throw listenError(error as NodeJS.ErrnoException, listen, setting);
  }
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.close(() => resolve());
  });
}

/** `reusePort` came with Node 23.1. */
function canShare(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  return major > 23 || (major === 23 && minor >= 1);
}

function sayBuffer(socket: Socket | undefined, { name, receiveBufferBytes, log }: UdpDoorOptions): void {
  if (socket === undefined) return;
  // Linux answers twice what it gives, for its own bookkeeping.
  const given = socket.getRecvBufferSize() / (process.platform === "linux" ? 2 : 1);
  if (given < receiveBufferBytes)
    log.warn(
      { door: name, wanted: receiveBufferBytes, given },
      "the kernel gives less receive buffer than MILLRACE_UDP_RECEIVE_BUFFER: raise net.core.rmem_max",
    );
}
