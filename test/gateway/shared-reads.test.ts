// Sockets that read into one buffer, with real connections.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, Socket, type AddressInfo } from "node:net";
import { test } from "node:test";
import { readShared } from "../../src/gateway/shared-reads.ts";

type Take = (bytes: Buffer, socket: () => Socket) => void;

/** A server whose sockets hand their bytes to `take`; `body` dials it. All is closed when this settles. */
async function serve(
  take: Take,
  body: (dial: () => Promise<Socket>, readers: Socket[]) => Promise<void>,
): Promise<void> {
  const readers: Socket[] = [];
  const dialled: Socket[] = [];
  const server = createServer((socket) => {
    const reader: Socket = readShared(socket, (bytes) => take(bytes, () => reader));
    reader.on("error", () => {});
    readers.push(reader);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const dial = async () => {
    const taken = once(server, "connection");
    const socket = connect(port, "127.0.0.1");
    dialled.push(socket);
    await Promise.all([once(socket, "connect"), taken]);
    return socket;
  };
  try {
    await body(dial, readers);
  } finally {
    for (const socket of [...readers, ...dialled]) socket.destroy();
    // Settles only if the server knows of each connection that it has gone.
    server.close();
    await once(server, "close");
  }
}

test("many connections at once: the bytes of each in their order, all through one buffer", async () => {
  const texts = new Map<Socket, string[]>();
  const buffers = new Set<ArrayBufferLike>();
  const take: Take = (bytes, socket) => {
    buffers.add(bytes.buffer);
    const before = texts.get(socket()) ?? [];
    before.push(bytes.toString());
    texts.set(socket(), before);
  };
  await serve(take, async (dial, readers) => {
    const sent: string[] = [];
    for (let n = 0; n < 20; n++) {
      const socket = await dial();
      const text = Array.from({ length: 30_000 }, (_, line) => `${n}.${line}\n`).join("");
      for (let at = 0; at < text.length; at += 5000 + n) socket.write(text.slice(at, at + 5000 + n));
      socket.end();
      sent.push(text);
    }
    for (const reader of readers) if (!reader.readableEnded) await once(reader, "end");
    assert.deepEqual(readers.map((reader) => (texts.get(reader) ?? []).join("")).sort(), sent.sort());
  });
  assert.equal(buffers.size, 1);
});

test("a paused socket reads no more until it is resumed, and its end comes then", async () => {
  let taken = "";
  let called = 0;
  let noticed = () => {};
  const take: Take = (bytes, socket) => {
    taken += bytes.toString();
    called++;
    socket().pause();
    noticed();
  };
  await serve(take, async (dial, readers) => {
    const first = new Promise<void>((resolve) => (noticed = resolve));
    (await dial()).end("x".repeat(300_000));
    await first;
    const [reader] = readers as [Socket];
    let ended = false;
    reader.on("end", () => (ended = true));
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(called, 1);
    while (taken.length < 300_000) {
      const next = new Promise<void>((resolve) => (noticed = resolve));
      assert.equal(ended, false);
      reader.resume();
      await next;
    }
    reader.resume();
    if (!ended) await once(reader, "end");
    assert.equal(taken, "x".repeat(300_000));
  });
});

test("who is at the other end, the time-out and a broken connection are those of the socket", async () => {
  await serve(
    () => {},
    async (dial, readers) => {
      const socket = await dial();
      const [reader] = readers as [Socket];
      assert.equal(reader.remoteAddress, "127.0.0.1");
      assert.equal(reader.remotePort, socket.localPort);
      reader.setTimeout(50);
      await once(reader, "timeout");
      reader.setTimeout(0);
      const closed = new Promise((resolve) => reader.once("close", resolve));
      socket.resetAndDestroy();
      await closed;
      assert.equal(reader.errored?.message, "read ECONNRESET");
    },
  );
});

test("S2: a socket that takes no buffer is read as a stream", async () => {
  const read: string[] = [];
  const server = createServer((socket) => socket.end("hello"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = new Socket(); // without a handle until it connects
  assert.equal(
    readShared(socket, (bytes) => read.push(bytes.toString())),
    socket,
  );
  socket.connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(socket, "end");
  assert.deepEqual(read, ["hello"]);
  socket.destroy();
  server.close();
  await once(server, "close");
});
