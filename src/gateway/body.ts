// Reading the bodies of requests, within bounds of memory and time that senders can't move.
//
// B1. What bodies take in memory is bounded for all senders together, and for one tenant, by the bytes that really
//     came, not by what a header says.
// B2. A body that is refused is read on and thrown away: its sender, still sending, gets to see the answer.
import type { Readable } from "node:stream";

export type ReadBody =
  | { kind: "body"; bytes: Buffer }
  | { kind: "too-large" }
  /** No memory for it now. */
  | { kind: "no-room" }
  /** The sender went away. */
  | { kind: "broken" };

export interface BodyLimits {
  /** One body. */
  bytesMax: number;
  /** All bodies being read or answered, of everybody and of one tenant. */
  bytesInAll: number;
  bytesOfTenant: number;
}

export class Bodies {
  readonly #limits: BodyLimits;
  readonly #ofTenant = new Map<string, number>();
  #inAll = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  /** Bytes held now. */
  get held(): number {
    return this.#inAll;
  }

  /**
   * Reads all of `stream`. `declared` is its Content-Length, if it has one. A "body" is held until its bytes are
   * given back by `release`; every other answer holds nothing. Never rejects.
   */
  read(stream: Readable, declared: number | undefined, tenant: string): Promise<ReadBody> {
    const { bytesMax } = this.#limits;
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      let length = 0;
      const finish = (answer: ReadBody) => {
        stream.off("data", onData).off("end", onEnd).off("error", onGone).off("close", onGone);
        if (answer.kind !== "body") {
          this.release(tenant, length);
          stream.on("error", () => {});
          stream.resume(); // B2
        }
        resolve(answer);
      };
      const onData = (chunk: Buffer) => {
        if (length + chunk.length > bytesMax) return finish({ kind: "too-large" });
        if (!this.#take(tenant, chunk.length)) return finish({ kind: "no-room" });
        length += chunk.length;
        chunks.push(chunk);
      };
      const onEnd = () => finish({ kind: "body", bytes: Buffer.concat(chunks, length) });
      const onGone = () => finish({ kind: "broken" });
      if (declared !== undefined && declared > bytesMax) return finish({ kind: "too-large" });
      stream.on("data", onData).on("end", onEnd).on("error", onGone).on("close", onGone);
    });
  }

  release(tenant: string, bytes: number): void {
    this.#inAll -= bytes;
    const left = (this.#ofTenant.get(tenant) ?? 0) - bytes;
    if (left > 0) this.#ofTenant.set(tenant, left);
    else this.#ofTenant.delete(tenant);
  }

  #take(tenant: string, bytes: number): boolean {
    const own = (this.#ofTenant.get(tenant) ?? 0) + bytes;
    if (this.#inAll + bytes > this.#limits.bytesInAll || own > this.#limits.bytesOfTenant) return false;
    this.#inAll += bytes;
    this.#ofTenant.set(tenant, own);
    return true;
  }
}
