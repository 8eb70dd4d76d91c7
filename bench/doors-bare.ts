// What a bare Node socket takes of the same datagrams: it only counts. Told its receive buffer, answers its port; told
// to end, answers the count.
import { createSocket } from "node:dgram";

export type FromBare = { kind: "listens"; port: number } | { kind: "counted"; datagrams: number };

let datagrams = 0;

process.on("message", (message: { receiveBufferBytes: number } | "end") => {
  if (message === "end") {
    process.send?.({ kind: "counted", datagrams } satisfies FromBare, () => process.exit(0));
    return;
  }
  const socket = createSocket({ type: "udp4", recvBufferSize: message.receiveBufferBytes });
  socket.on("message", () => datagrams++);
  socket.bind(0, "127.0.0.1", () => {
    process.send?.({ kind: "listens", port: socket.address().port } satisfies FromBare);
  });
});
