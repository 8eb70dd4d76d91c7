// How bytes get to NATS and back: the library's transport with two ways of its own, by names that it keeps for
// itself (its version is pinned). With MILLRACE_NATS_TRANSPORT=library the library does both.
//
// - What comes is put together to whole messages first (message-assembler.ts).
// - What goes is handed to the socket piece by piece, in one write, instead of being copied into one piece before.
//   So a payload must stay as it is until the server has answered, or the connection is gone.
//
// Dialling, TLS and the end of a connection are the library's.
import { DataBuffer, NatsConnectionImpl, setTransportFactory } from "@nats-io/nats-core/internal";
import { connect, type NatsConnection, type NodeConnectionOptions } from "nats";
import { nodeResolveHost, NodeTransport } from "nats/lib/node_transport.js";
import { MessageAssembler } from "./message-assembler.ts";

export type TransportName = "own" | "library";

export async function connectBy(
  transport: TransportName,
  options: NodeConnectionOptions,
): Promise<NatsConnection> {
  if (transport === "library") return connect(options);
  // Read by the library while it connects; its own connect sets it anew each time, too.
  setTransportFactory({ factory: () => new OwnTransport(), dnsResolveFn: nodeResolveHost });
  const nc = await NatsConnectionImpl.connect(options);
  const { protocol } = nc as NatsConnectionImpl;
  const pieces = new Pieces();
  if (protocol.outbound.size() > 0) pieces.fill(protocol.outbound.drain());
  protocol.outbound = pieces;
  return nc;
}

class OwnTransport extends NodeTransport {
  override setupHandlers(): void {
    super.setupHandlers();
    const assembler = new MessageAssembler((bytes) => this.yields.push(bytes));
    // What the handshake has read already goes first.
    const early = this.yields;
    this.yields = [];
    for (const bytes of early) assembler.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    this.socket.removeAllListeners("data");
    this.socket.on("data", (chunk: Buffer) => {
      assembler.push(chunk);
      if (this.yields.length > 0) this.signal.resolve();
    });
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
