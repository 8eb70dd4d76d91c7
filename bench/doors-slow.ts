// Hostile and slow neighbours of a TCP sender, in the bench's own process: connections that send a byte a second of a line
// that never ends.
import { connect, type Socket } from "node:net";

const trickleMs = 1000;

/** Settles when all are open; the answer ends them. */
export async function openSlow(port: number, count: number): Promise<() => void> {
  const sockets = await Promise.all(Array.from({ length: count }, () => dial(port)));
  const timer = setInterval(() => {
    for (const socket of sockets) socket.write("x");
  }, trickleMs);
  return () => {
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
  };
}

function dial(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => resolve(socket));
    socket.on("error", reject);
  });
}
