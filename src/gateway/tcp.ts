// Sockets and framing of raw TCP, nothing else: what bytes mean is the sink's affair.
//
// T1. A connection is read only as fast as its sink takes.
// T2. What arrived before a clean close is taken, a last line without line end included; a connection that broke
//     leaves no half line behind.
// T3. Connections in all are bounded; one too many is closed at once and counted.
// T4. A connection that floods gets its turn and no more: left alone, libuv reads up to 32 chunks from one socket
//     before it looks at the next, and everybody else waits that long.
import { createServer, type Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import type { Counters } from "../base/counters.ts";
import { listen } from "../config/listen.ts";
import type { Address } from "../config/settings.ts";
import type { DoorOpener, OpenDoor } from "./door.ts";
import type { LineSink } from "./sink.ts";

export interface TcpDoorOptions {
  listen: Address;
  /** For the sentence that says which setting names a taken port. */
  setting: string;
  connectionsMax: number;
  idleMsMax: number;
  /** `peer`: the sender's address. */
  newSink(peer: string): LineSink;
  counters: Counters;
  clock: Clock;
}

const drainLookMs = 30;
/** So many looks in a row without a byte: one alone may only mean that this process was not given the processor. */
const drainQuietLooks = 4;
const drainMsMax = 1500;
/** What one connection may hand in before the others have their turn. */
const turnBytesMax = 64 << 10;

export const tcpDoor: DoorOpener = async (context) => {
  const { settings, counters, clock } = context;
  return await openTcpDoor({
    listen: settings.tcpListen,
    setting: "MILLRACE_TCP_LISTEN",
    connectionsMax: settings.tcpConnections,
    idleMsMax: settings.tcpIdle,
    counters,
    clock,
    newSink: context.sinks("tcp", "plaintext"),
  });
};

export async function openTcpDoor(options: TcpDoorOptions): Promise<OpenDoor & { address: Address }> {
  const { counters } = options;
  const open = counters.gauge("gateway_tcp_connections", "Open TCP connections");
  const taken = counters.counter("gateway_tcp_connections_total", "TCP connections taken");
  const turnedAway = counters.counter(
    "gateway_tcp_connections_refused_total",
    "TCP connections over the bound",
  );
  const connections = new Set<Connection>();

  const server = createServer({ noDelay: true }, (socket) => {
    if (connections.size >= options.connectionsMax) {
      turnedAway.value++;
      socket.destroy();
      return;
    }
    taken.value++;
    const connection = new Connection(socket, options, () => {
      connections.delete(connection);
      open.value = connections.size;
    });
    connections.add(connection);
    open.value = connections.size;
  });
  const address = await listen(server, options.listen, options.setting);

  return {
    address,
    addresses: { tcp: address },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.all([...connections].map((connection) => connection.finish()));
      await closed;
    },
  };
}

class Connection {
  readonly #socket: Socket;
  readonly #sink: LineSink;
  readonly #clock: Clock;
  /** What the sink still works on. */
  #busy: Promise<void> | undefined;
  readonly #gone: Promise<void>;
  #chunks = 0;
  #turnBytes = 0;

  constructor(socket: Socket, options: TcpDoorOptions, onGone: () => void) {
    this.#socket = socket;
    this.#sink = options.newSink(socket.remoteAddress ?? "");
    this.#clock = options.clock;
    // A connection that waits for us is not idle, however quiet it is.
    socket.setTimeout(options.idleMsMax, () => {
      if (this.#busy === undefined) socket.destroy();
      else socket.setTimeout(options.idleMsMax); // it rings once: the peer may be gone when we have done
    });
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("end", () => void this.#end());
    // An error is the peer's affair: the close that follows is all we need to know.
    socket.on("error", () => {});
    this.#gone = new Promise((resolve) => {
      socket.on("close", () => {
        resolve();
        void this.#settled().then(onGone);
      });
    });
  }

  /** A closed connection counts for as long as bytes of it wait: or a shard that says no could fill the memory. */
  async #settled(): Promise<void> {
    while (this.#busy !== undefined) await this.#busy;
  }

  #take(chunk: Buffer): void {
    this.#chunks++;
    const wait = this.#sink.take(chunk) ?? this.#turnOver(chunk.length);
    if (wait === undefined) return;
    this.#socket.pause();
    this.#busy = wait.then(() => {
      this.#busy = undefined;
      this.#socket.resume();
    });
  }

  /** T4. Settles when the others had their turn. */
  #turnOver(bytes: number): Promise<void> | undefined {
    this.#turnBytes += bytes;
    if (this.#turnBytes < turnBytesMax) return undefined;
    this.#turnBytes = 0;
    return new Promise((resolve) => setImmediate(resolve));
  }

  async #end(): Promise<void> {
    await this.#settled();
    this.#busy = this.#sink.end()?.then(() => {
      this.#busy = undefined;
    });
  }

  /** Says goodbye and goes on reading until the sender is quiet, for a bounded time. */
  async finish(): Promise<void> {
    this.#socket.end();
    const started = this.#clock.monotonicMs();
    let chunks = this.#chunks;
    for (let quiet = 0; quiet < drainQuietLooks && !this.#socket.destroyed; quiet++) {
      if (this.#clock.monotonicMs() - started > drainMsMax) break;
      await Promise.race([this.#gone, this.#clock.sleep(drainLookMs)]);
      if (this.#chunks !== chunks || this.#busy !== undefined) quiet = -1;
      chunks = this.#chunks;
    }
    this.#socket.destroy();
    await this.#gone;
  }
}
