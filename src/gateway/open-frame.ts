// A frame that still takes lines: a growing buffer per tenant and door, closed into a Frame once.
import { assert } from "../base/assert.ts";
import type { Door, Frame, FrameIdentity, Kind, Refusal } from "../metric/frame.ts";
import type { SentFrame } from "./batch.ts";
import type { LargeBuffers } from "../base/large-buffers.ts";

const sectionBytesFirst = 4 << 10;
/** Kinds of refusals (tenant, door, reason) that one frame has room for. */
const refusalsMax = 10_000;

interface OpenSection {
  tenant: string;
  door: Door;
  kind: Kind;
  lineCount: number;
  bytes: Buffer;
  length: number;
}

export class OpenFrame {
  receivedAtMs: number;
  /** The time stamps of lines are judged by it: receivedAtMs in seconds. */
  nowSeconds: number;
  lineCount = 0;
  bytes = 0;
  readonly #sections = new Map<string, OpenSection[]>();
  #latest: OpenSection | undefined;
  readonly #refusals = new Map<string, Refusal>();
  #sent: ((frame: SentFrame) => void)[] = [];

  readonly #buffers: LargeBuffers;

  constructor(receivedAtMs: number, buffers: LargeBuffers) {
    this.#buffers = buffers;
    this.receivedAtMs = receivedAtMs;
    this.nowSeconds = Math.floor(receivedAtMs / 1000);
  }

  /** Only while the frame has no lines. */
  restamp(receivedAtMs: number): void {
    assert(this.lineCount === 0, "a frame whose lines were judged keeps its time");
    this.receivedAtMs = receivedAtMs;
    this.nowSeconds = Math.floor(receivedAtMs / 1000);
  }

  append(tenant: string, door: Door, kind: Kind, source: Buffer, from: number, to: number): void {
    const section = this.#room(tenant, door, kind, to - from + 1, 1);
    source.copy(section.bytes, section.length, from, to);
    section.length += to - from + 1;
    section.bytes[section.length - 1] = 0x0a;
  }

  /** `text`: whole lines, each with its line end. */
  appendLines(tenant: string, door: Door, kind: Kind, text: Uint8Array, lines: number): void {
    const section = this.#room(tenant, door, kind, text.length, lines);
    section.bytes.set(text, section.length);
    section.length += text.length;
  }

  /** A section with room for so many bytes more, which are counted already. */
  #room(tenant: string, door: Door, kind: Kind, bytes: number, lines: number): OpenSection {
    const section = this.#section(tenant, door, kind);
    const length = section.length + bytes;
    if (length > section.bytes.length) {
      const grown = this.#buffers.take(Math.max(length, section.bytes.length * 2));
      section.bytes.copy(grown, 0, 0, section.length);
      this.#buffers.give(section.bytes);
      section.bytes = grown;
    }
    section.lineCount += lines;
    this.lineCount += lines;
    this.bytes += bytes;
    return section;
  }

  /** no-room: not booked, the frame holds as many kinds of refusals as it may. */
  refuse(tenant: string, door: Door, reason: string, count: number): "booked" | "no-room" {
    const key = `${tenant} ${door} ${reason}`;
    const known = this.#refusals.get(key);
    if (known === undefined && this.#refusals.size >= refusalsMax) return "no-room";
    if (known !== undefined) known.count += count;
    else {
      const minute = Math.floor(this.receivedAtMs / 60_000) * 60;
      this.#refusals.set(key, { tenant, door, reason, count, minute });
    }
    return "booked";
  }

  close(identity: FrameIdentity): Frame {
    return {
      identity,
      receivedAtMs: this.receivedAtMs,
      sections: [...this.#sections.values()].flat().map((s) => ({
        tenant: s.tenant,
        door: s.door,
        kind: s.kind,
        lineCount: s.lineCount,
        lines: s.bytes.subarray(0, s.length),
      })),
      refusals: [...this.#refusals.values()],
    };
  }

  /** The lines of `close` were copied: their buffers are free. */
  release(): void {
    for (const sections of this.#sections.values())
      for (const { bytes } of sections) this.#buffers.give(bytes);
  }

  /** Settles with the sent frame once this one was closed and handed on. */
  whenSent(): Promise<SentFrame> {
    return new Promise((resolve) => this.#sent.push(resolve));
  }

  sent(frame: SentFrame): void {
    for (const resolve of this.#sent.splice(0)) resolve(frame);
  }

  #section(tenant: string, door: Door, kind: Kind): OpenSection {
    const latest = this.#latest;
    if (latest !== undefined && latest.tenant === tenant && latest.door === door && latest.kind === kind)
      return latest;
    let ofTenant = this.#sections.get(tenant);
    if (ofTenant === undefined) this.#sections.set(tenant, (ofTenant = []));
    let section = ofTenant.find((s) => s.door === door && s.kind === kind);
    if (section === undefined) {
      section = { tenant, door, kind, lineCount: 0, bytes: Buffer.allocUnsafe(sectionBytesFirst), length: 0 };
      ofTenant.push(section);
    }
    this.#latest = section;
    return section;
  }
}
