// Sockets of a server that all read into one buffer: with one of its own for each read, as streams have it, most of a
// busy gateway's garbage is such buffers.
//
// S1. The bytes are valid during the call alone: whoever keeps some copies them. libuv asks for the buffer, reads and
//     calls back in one go, and so does one socket after the other.
// S2. Where Node does not let us do this, sockets are read as streams, with the same bytes in the same calls.
import { Socket, type OnReadOpts, type SocketConstructorOpts } from "node:net";

/** What libuv would ask for too. */
const sharedBytes = 64 << 10;
let shared: Buffer | undefined;

/**
 * Hands what the accepted `socket` reads to `onBytes`. Answers the socket to go on with, which is another one: an
 * accepted socket can't be given a buffer any more, but one that is made anew around its handle can.
 */
export function readShared(socket: Socket, onBytes: (bytes: Buffer) => void): Socket {
  const handle: unknown = Reflect.get(socket, "_handle");
  // S1 does not hold on Windows, where the system has the buffer while it waits for bytes.
  if (process.platform === "win32" || !takesBuffers(handle)) {
    socket.on("data", onBytes);
    return socket;
  }
  const buffer = (shared ??= Buffer.allocUnsafeSlow(sharedBytes));
  const options: SocketConstructorOpts & { handle: object; onread: OnReadOpts } = {
    handle,
    onread: {
      buffer,
      callback(bytes) {
        onBytes(bytes === buffer.length ? buffer : buffer.subarray(0, bytes));
        return true; // who wants no more has paused the socket
      },
    },
  };
  const reader = new Socket(options);
  // The handle is the reader's alone; the server counts the one that it knows as open until it is destroyed.
  Reflect.set(socket, "_handle", null);
  reader.on("close", () => socket.destroy());
  return reader;
}

function takesBuffers(handle: unknown): handle is object {
  return typeof handle === "object" && handle !== null && "useUserBuffer" in handle;
}
