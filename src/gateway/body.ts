// Reading the bodies of requests, within bounds of memory and time that senders can't move.
//
// B1. What bodies take in memory is bounded for all senders together, and for one tenant, by the bytes that really
//     came, inflated, not by what a header says, and not by how they were cut into chunks (gathered.ts).
// B2. A body that is refused is read on and thrown away: its sender, still sending, gets to see the answer.
import type { Readable } from "node:stream";
import { Broken, type Decoded } from "./coding.ts";
import { Gathered } from "./gathered.ts";
import type { Cutter, Piece } from "./pieces.ts";

export type ReadBody =
  | { kind: "body"; bytes: Buffer }
  | { kind: "too-large" }
  /** No memory for it now. */
  | { kind: "no-room" }
  /** The sender went away, or what it sent is not what it says. */
  | { kind: "broken"; why: string };

export type PiecesEnd = Exclude<ReadBody, { kind: "body" }> | { kind: "end" } | { kind: "stopped" };

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
      const gathered = new Gathered();
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
        if (!this.take(tenant, chunk.length)) return finish({ kind: "no-room" });
        length += chunk.length;
        gathered.add(chunk);
      };
      const onEnd = () => finish({ kind: "body", bytes: gathered.take() });
      const onGone = () => finish({ kind: "broken", why: "the body ended early" });
      if (declared !== undefined && declared > bytesMax) return finish({ kind: "too-large" });
      stream.on("data", onData).on("end", onEnd).on("error", onGone).on("close", onGone);
    });
  }

  /**
   * Reads in pieces what need not be whole: `take` gets each, and ends the reading where it answers false. Holds
   * nothing in the end. Never rejects.
   */
  async pieces(
    body: Decoded,
    cutter: Cutter,
    tenant: string,
    take: (piece: Piece) => Promise<boolean>,
  ): Promise<PiecesEnd> {
    let length = 0;
    let held = 0;
    const keep = (bytes: number) => {
      if (bytes > held && !this.take(tenant, bytes - held)) return false;
      if (bytes < held) this.release(tenant, held - bytes);
      held = bytes;
      return true;
    };
    try {
      for await (const chunk of body.chunks) {
        length += chunk.length;
        if (length > this.#limits.bytesMax) return { kind: "too-large" };
        cutter.push(chunk);
        if (!keep(cutter.held)) return { kind: "no-room" };
        const piece = cutter.cut(false);
        if (piece === undefined) continue;
        if (!(await take(piece))) return { kind: "stopped" };
        keep(cutter.held);
      }
      const rest = cutter.cut(true);
      return rest === undefined || (await take(rest)) ? { kind: "end" } : { kind: "stopped" };
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      return { kind: "broken", why: error.message };
    } finally {
      keep(0);
      body.stop(); // B2
    }
  }

  /** All of a body that must be whole. A "body" is held until its bytes are given back by `release`. */
  async whole(body: Decoded, tenant: string): Promise<ReadBody> {
    const gathered = new Gathered();
    let length = 0;
    const answer = await (async (): Promise<ReadBody> => {
      try {
        for await (const chunk of body.chunks) {
          if (length + chunk.length > this.#limits.bytesMax) return { kind: "too-large" };
          if (!this.take(tenant, chunk.length)) return { kind: "no-room" };
          length += chunk.length;
          gathered.add(chunk);
        }
        return { kind: "body", bytes: gathered.take() };
      } catch (error) {
        if (!(error instanceof Broken)) throw error;
        return { kind: "broken", why: error.message };
      } finally {
        body.stop(); // B2
      }
    })();
    if (answer.kind !== "body") this.release(tenant, length);
    return answer;
  }

  release(tenant: string, bytes: number): void {
    this.#inAll -= bytes;
    const left = (this.#ofTenant.get(tenant) ?? 0) - bytes;
    if (left > 0) this.#ofTenant.set(tenant, left);
    else this.#ofTenant.delete(tenant);
  }

  take(tenant: string, bytes: number): boolean {
    const own = (this.#ofTenant.get(tenant) ?? 0) + bytes;
    if (this.#inAll + bytes > this.#limits.bytesInAll || own > this.#limits.bytesOfTenant) return false;
    this.#inAll += bytes;
    this.#ofTenant.set(tenant, own);
    return true;
  }
}
