// Stands before a server and hands on what it says in pieces, cut where `cut` says: reads then end at any byte.
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";

export class CuttingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #cut: (sent: number) => number;
  /** Once so many more bytes have come from the server, the connection that they came by ends. */
  breakAfter = Number.POSITIVE_INFINITY;
  broken = 0;

  private constructor(port: number, cut: (sent: number) => number) {
    this.#cut = cut;
    this.#server = createServer({ noDelay: true }, (client) => void this.#serve(client, port));
  }

  /** `cut` says how long the next piece is, from what was sent so far. */
  static async before(t: TestContext, port: number, cut: (sent: number) => number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(port, cut);
    await once(proxy.#server.listen(0, "127.0.0.1"), "listening");
    t.after(() => {
      proxy.#server.close();
      for (const socket of proxy.#sockets) socket.destroy();
    });
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    return `nats://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  }

  async #serve(client: Socket, port: number): Promise<void> {
    const server = connect(port, "127.0.0.1");
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        client.destroy();
        server.destroy();
        this.#sockets.delete(socket);
      });
    }
    client.pipe(server);
    let sent = 0;
    try {
      for await (const chunk of server) {
        let at = 0;
        while (at < chunk.length) {
          const piece = chunk.subarray(at, at + this.#cut(sent));
          at += piece.length;
          sent += piece.length;
          this.breakAfter -= piece.length;
          if (this.breakAfter < 0) {
            this.breakAfter = Number.POSITIVE_INFINITY;
            this.broken++;
            client.destroy();
            return;
          }
          client.write(piece);
          // Until the piece has been read, so that the next one is a read of its own.
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    } catch {
      // One of the two is gone; so is the other.
    }
  }
}
