// One life of a NATS connection. The library's own reconnect is off: whatever rests on a connection ends with it, at
// once, and is made anew on the next one, so nothing that was handed to a dead connection can be sent later by surprise.
//
// S1. `lose` happens once; it fails every waiting call with bus-unavailable and tells everybody who asked (B2).
// S2. After that, `call` refuses at once.
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { messageOf, Outage } from "../base/errors.ts";
import { ownError } from "./nats-errors.ts";
import { tell } from "./tell.ts";

export class Life {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  #lost: Outage | undefined;
  readonly #onLost = new Set<(why: Outage) => void>();

  private constructor(nc: NatsConnection, jsm: JetStreamManager) {
    this.nc = nc;
    this.jsm = jsm;
  }

  static async over(nc: NatsConnection): Promise<Life> {
    const life = new Life(nc, await jetstreamManager(nc, { checkAPI: false }));
    void life.#watchStatus().catch((error: unknown) => life.lose(messageOf(error)));
    void nc.closed().then((error) => life.lose(error instanceof Error ? error.message : "closed"));
    return life;
  }

  /** Why the connection is over; undefined while it lives. */
  get lost(): Outage | undefined {
    return this.#lost;
  }

  /** Tells once, when the connection is over; the answer unsubscribes. Must be asked while it lives. */
  onLost(callback: (why: Outage) => void): () => void {
    this.#onLost.add(callback);
    return () => this.#onLost.delete(callback);
  }

  /**
   * Runs a request of the library. Rejects with an Outage (or a Bug), and at once when the connection is lost,
   * although the library itself would wait for its time-out.
   */
  call<T>(doing: string, ask: () => Promise<T>): Promise<T> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => {
      const forget = this.onLost(reject);
      const run = async () => {
        try {
          resolve(await ask());
        } catch (error) {
          reject(ownError(doing, error));
        }
        forget();
      };
      void run();
    });
  }

  /** Ends the life: a second time does nothing. */
  lose(why: string): void {
    if (this.#lost !== undefined) return;
    const outage = new Outage("bus-unavailable", `connection to NATS lost: ${why}`);
    this.#lost = outage;
    const callbacks = [...this.#onLost];
    this.#onLost.clear();
    tell(callbacks, outage);
    // A hung server leaves the library waiting for a last write; closing destroys the socket.
    void this.nc.close().catch(() => undefined);
  }

  async #watchStatus(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === "disconnect") return this.lose("disconnected");
      if (status.type === "staleConnection") return this.lose("the server does not answer pings");
      if (status.type === "close") return this.lose("closed");
    }
  }
}
