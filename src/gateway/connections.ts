// Servers of connections that carry bytes one way: sockets, TLS and bounds, nothing else. What bytes mean is the sink's
// affair. For TCP and TLS doors alike: a door calls openStreamDoor with what its sinks are, and `secure` for TLS.
//
// T1. A connection is read only as fast as its sink takes.
// T2. What arrived before a clean close is taken, a last line without line end included; a connection that broke
//     leaves no half line behind.
// T3. Connections in all and of each tenant are bounded; one too many is closed at once and counted. Where there is no
//     room, one that never said whose it is goes first (connection-bounds.ts).
// T4. A connection that floods gets its turn and no more: left alone, libuv reads up to 32 chunks from one socket
//     before it looks at the next, and everybody else waits that long.
// T5. A handshake that fails or takes too long costs its connection, which counts in T3 from its first byte on.
import { createServer as createTcpServer, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import type { Cell, Counters } from "../base/counters.ts";
import { listen } from "../config/listen.ts";
import type { Address } from "../config/settings.ts";
import type { ConnectionBounds, Place } from "./connection-bounds.ts";
import type { OpenDoor } from "./door.ts";
import { readShared } from "./shared-reads.ts";
import type { LineSink, SinkConnection } from "./sink.ts";
import type { TlsFiles } from "./tls-files.ts";

export interface StreamDoorOptions {
  /** Of the door: in its address and in the label `door` of its counters. */
  name: string;
  listen: Address;
  /** For the sentence that says which setting names a taken port. */
  setting: string;
  /** Present: the bytes come over TLS. Closed with the door. */
  secure?: TlsFiles;
  /** Shared by all doors: DoorContext.bounds. */
  bounds: ConnectionBounds;
  idleMsMax: number;
  handshakeMsMax?: number;
  /** `peer`: the sender's address. */
  newSink(peer: string, connection: SinkConnection): LineSink;
  counters: Counters;
  clock: Clock;
}

const drainLookMs = 30;
/** So many looks in a row without a byte: one alone may only mean that this process was not given the processor. */
const drainQuietLooks = 4;
const drainMsMax = 1500;
/** What one connection may hand in before the others have their turn. */
const turnBytesMax = 64 << 10;
const handshakeMsMaxDefault = 10_000;

/** Why a connection was not taken, or not kept. */
type TurnedAway = "connections" | "tenant-connections" | "stranger" | "handshake" | "handshake-slow" | "idle";

class DoorCells {
  readonly open: Cell;
  readonly taken: Cell;
  readonly #counters: Counters;
  readonly #door: string;

  constructor(counters: Counters, door: string) {
    this.#counters = counters;
    this.#door = door;
    this.open = counters.gauge("gateway_connections", "Open connections", { door });
    this.taken = counters.counter("gateway_connections_total", "Connections taken", { door });
  }

  turnedAway(reason: TurnedAway): void {
    const labels = { door: this.#door, reason };
    this.#counters.counter("gateway_connections_refused_total", "Connections closed by us", labels).value++;
  }
}

export async function openStreamDoor(options: StreamDoorOptions): Promise<OpenDoor & { address: Address }> {
  const { name, bounds, secure } = options;
  const cells = new DoorCells(options.counters, name);
  const connections = new Set<Connection>();
  /** Sockets within a handshake. */
  const shaking = new Set<Socket>();
  let closing = false;

  const left = (place: Place) => {
    bounds.give(place);
    cells.open.value--;
  };
  const serve = (socket: Socket, peer: string, place: Place) => {
    const connection = new Connection(socket, peer, options, cells, place, () => {
      connections.delete(connection);
      left(place);
    });
    connections.add(connection);
  };
  const shake = secure === undefined ? undefined : handshakes(options, secure, cells, shaking, serve, left);

  const server = createTcpServer({ noDelay: true }, (socket) => {
    const place = closing ? undefined : bounds.take(() => socket.destroy());
    if (place === undefined) {
      cells.turnedAway("connections");
      socket.destroy();
      return;
    }
    cells.taken.value++;
    cells.open.value++;
    if (shake === undefined) serve(socket, socket.remoteAddress ?? "", place);
    else shake(socket, place);
  });
  let address: Address;
  try {
    address = await listen(server, options.listen, options.setting);
  } catch (error) {
    secure?.close();
    throw error;
  }

  return {
    address,
    addresses: { [name]: address },
    async close() {
      closing = true;
      secure?.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of shaking) socket.destroy();
      await Promise.all([...connections].map((connection) => connection.finish()));
      await closed;
    },
  };
}

/** T5. What takes a raw socket and serves it once it has shaken hands. */
function handshakes(
  { clock, handshakeMsMax = handshakeMsMaxDefault }: StreamDoorOptions,
  secure: TlsFiles,
  cells: DoorCells,
  shaking: Set<Socket>,
  serve: (socket: Socket, peer: string, place: Place) => void,
  left: (place: Place) => void,
): (socket: Socket, place: Place) => void {
  const needed = secure.clientsNeedCertificate;
  // It never listens: sockets are handed to it after they were counted.
  const server = createTlsServer({ ...secure.options, requestCert: needed, rejectUnauthorized: needed });
  secure.onChange = (options) => server.setSecureContext(options);
  const begun = new Map<string, (socket: TLSSocket) => void>();
  server.on("secureConnection", (socket) => begun.get(endsOf(socket))?.(socket));
  server.on("tlsClientError", (_error, socket) => socket.destroy());

  return (raw, place) => {
    const ends = endsOf(raw);
    const peer = raw.remoteAddress ?? "";
    let why: TurnedAway = "handshake";
    const turnAway = (reason: TurnedAway) => {
      why = reason;
      raw.destroy();
    };
    const cancel = clock.after(handshakeMsMax, () => turnAway("handshake-slow"));
    place.close = () => turnAway("stranger");
    const over = () => {
      cancel();
      shaking.delete(raw);
      begun.delete(ends);
      raw.off("close", failed);
    };
    const failed = () => {
      over();
      cells.turnedAway(why);
      left(place);
    };
    shaking.add(raw);
    raw.on("close", failed);
    raw.on("error", () => {}); // the close that follows is all we need to know
    begun.set(ends, (socket) => {
      over();
      serve(socket, peer, place);
    });
    server.emit("connection", raw);
  };
}

/** Names a connection: the two sockets of one, raw and secure, have the same. */
function endsOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;
}

class Connection {
  readonly #socket: Socket;
  readonly #sink: LineSink;
  readonly #clock: Clock;
  /** What the sink still works on. */
  #busy: Promise<void> | undefined;
  readonly #gone: Promise<void>;
  readonly #bounds: ConnectionBounds;
  readonly #cells: DoorCells;
  readonly #place: Place;
  #tenant: string | undefined;
  #chunks = 0;
  #turnBytes = 0;

  constructor(
    accepted: Socket,
    peer: string,
    options: StreamDoorOptions,
    cells: DoorCells,
    place: Place,
    onGone: () => void,
  ) {
    const take = (chunk: Buffer) => this.#take(chunk);
    const socket = options.secure === undefined ? readShared(accepted, take) : accepted.on("data", take);
    this.#socket = socket;
    this.#place = place;
    place.close = () => this.#turnAway("stranger");
    this.#bounds = options.bounds;
    this.#cells = cells;
    this.#clock = options.clock;
    this.#sink = options.newSink(peer, {
      belongsTo: (tenant) => this.#belongsTo(tenant),
      hangUp: () => void socket.destroy(),
    });
    // A connection that waits for us is not idle, however quiet it is.
    socket.setTimeout(options.idleMsMax, () => {
      if (this.#busy === undefined) this.#turnAway("idle");
      else socket.setTimeout(options.idleMsMax); // it rings once: the peer may be gone when we have done
    });
    socket.on("end", () => void this.#end());
    // An error is the peer's affair: the close that follows is all we need to know.
    socket.on("error", () => {});
    this.#gone = new Promise((resolve) => {
      socket.on("close", () => {
        resolve();
        void this.#settled().then(() => {
          if (this.#tenant !== undefined) this.#bounds.giveFor(this.#tenant);
          onGone();
        });
      });
    });
  }

  /** T3. */
  #belongsTo(tenant: string): boolean {
    assert(this.#tenant === undefined, "a connection belongs to one tenant");
    if (!this.#bounds.takeFor(tenant, this.#place)) {
      this.#turnAway("tenant-connections");
      return false;
    }
    this.#tenant = tenant;
    return true;
  }

  #turnAway(reason: TurnedAway): void {
    this.#cells.turnedAway(reason);
    this.#socket.destroy();
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
