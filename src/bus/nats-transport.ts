// How bytes get to NATS and back: the library's transport with two ways of its own, by names that it keeps for
// itself (its version is pinned). With MILLRACE_NATS_TRANSPORT=library the library does both.
//
// - What comes is read into one place again and again, and put together to whole messages (message-assembler.ts); the
//   rest of a large message is read where it belongs.
// - What goes is handed to the socket piece by piece, in one write, instead of being copied into one piece before.
//   So a payload must stay as it is until the server has answered, or the connection is gone.
//
// TLS and the end of a connection are the library's.
import { DataBuffer, NatsConnectionImpl, setTransportFactory } from "@nats-io/nats-core/internal";
import { connect as connectTo, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { connect, type NatsConnection, type NodeConnectionOptions } from "nats";
import { nodeResolveHost, NodeTransport } from "nats/lib/node_transport.js";
import type { LargeBuffers } from "../base/large-buffers.ts";
import { MessageAssembler } from "./message-assembler.ts";

export type TransportName = "own" | "library";

export interface OwnOptions {
  transport: TransportName;
  /** For messages that come: whoever is done with one may give it back. */
  buffers: LargeBuffers;
}

export async function connectBy(own: OwnOptions, options: NodeConnectionOptions): Promise<NatsConnection> {
  if (own.transport === "library") return connect(options);
  // Read by the library while it connects; its own connect sets it anew each time, too.
  setTransportFactory({
    factory: () => new OwnTransport(own.buffers),
    dnsResolveFn: nodeResolveHost,
  });
  const nc = await NatsConnectionImpl.connect(options);
  const { protocol } = nc as NatsConnectionImpl;
  const pieces = new Pieces();
  if (protocol.outbound.size() > 0) pieces.fill(protocol.outbound.drain());
  protocol.outbound = pieces;
  return nc;
}

const readBytes = 64 << 10;
type Place = Parameters<NodeTransport["dial"]>[0];

class OwnTransport extends NodeTransport {
  readonly #buffers: LargeBuffers;
  #assembler: MessageAssembler | undefined;
  #place: Place | undefined;

  constructor(buffers: LargeBuffers) {
    super();
    this.#buffers = buffers;
  }

  override dial(place: Place): Promise<Socket> {
    this.#place = place;
    const room = Buffer.allocUnsafeSlow(readBytes);
    return new Promise((resolve, reject) => {
      const socket = connectTo({
        host: place.hostname,
        port: place.port,
        noDelay: true,
        onread: {
          buffer: () => this.#assembler?.place() ?? room,
          callback: (count, bytes) => {
            const read = Buffer.from(bytes.buffer, bytes.byteOffset, count);
            if (this.#assembler === undefined) socket.emit("data", Buffer.from(read));
            else this.#take(this.#assembler, read);
            return true;
          },
        },
      });
      socket.once("connect", () => {
        socket.removeAllListeners();
        resolve(socket);
      });
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the connection closed at once")));
    });
  }

  /** A socket that reads by `onread` can't be wrapped: the conversation begins anew on one that can. */
  override async startTLS(): Promise<TLSSocket> {
    if (this.#place === undefined) return super.startTLS();
    this.socket.destroy();
    this.socket = await super.dial(this.#place);
    this.yields = [];
    await this.peekInfo();
    return super.startTLS();
  }

  override setupHandlers(): void {
    super.setupHandlers();
    const assembler = new MessageAssembler((bytes) => this.yields.push(bytes), this.#buffers);
    this.#assembler = assembler;
    // What the greeting brought along goes first.
    const early = this.yields;
    this.yields = [];
    for (const bytes of early) assembler.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    this.socket.removeAllListeners("data");
    // Over TLS; a plain socket reads by `onread`.
    if (this.isEncrypted()) this.socket.on("data", (chunk: Buffer) => this.#take(assembler, chunk));
  }

  #take(assembler: MessageAssembler, chunk: Buffer): void {
    assembler.push(chunk);
    if (this.yields.length > 0) this.signal.resolve();
  }

  override send(frame: Uint8Array): void {
    const pieces = piecesOf.get(frame);
    if (pieces === undefined) {
      super.send(frame);
      return;
    }
    if (this.isClosed || this.socket.destroyed) return;
    this.socket.cork();
    // A failed write is seen by the socket's close, as in the library.
    for (const piece of pieces) this.socket.write(piece);
    this.socket.uncork();
  }
}

/** Stands for pieces that were not put together: the library passes it from the buffer to the transport, unread. */
const piecesOf = new WeakMap<Uint8Array, Uint8Array[]>();

class Pieces extends DataBuffer {
  override drain(): Uint8Array {
    if (this.buffers.length < 2) return super.drain();
    const token = new Uint8Array(0);
    piecesOf.set(token, this.buffers);
    this.buffers = [];
    this.byteLength = 0;
    return token;
  }
}
