// Puts the messages of NATS together from what a socket gives, so that each lies whole in one chunk: then the library
// hands out views of it. By itself it would let a message grow as its pieces come, and copy it each time.
//
//   MSG <subject> <sid> [reply] <bytes>\r\n<payload>\r\n      HMSG ... <header bytes> <bytes>\r\n...
//
// Only these two are looked into, and only for their length; all else passes through as it came. What is no protocol at
// all passes through too: the library says what is wrong with it.
//
// The chunks that are pushed may be overwritten afterwards. Who reads into a place of its own asks `place` first: the
// rest of a large message is best read where it belongs.
//
// M1. The bytes that come out are the bytes that went in, in their order.
// M2. Everything is copied once, or not at all: a message that came in pieces lies in a buffer of its own, which whoever
//     gets it may give back to `buffers`.
// M3. What is kept back is one control line, or one message of the length it says, at most `messageBytesMax`.

import type { LargeBuffers } from "../base/large-buffers.ts";

/** More than any server lets through. A length beyond it is passed on as it is. */
const messageBytesMax = 64 << 20;
/** More than any control line has. */
const lineBytesMax = 64 << 10;
/** A shorter rest is not worth a read of its own. */
const restBytesMin = 32 << 10;
const newline = 0x0a;
const lineEndBytes = 2;

export class MessageAssembler {
  readonly #out: (bytes: Uint8Array) => void;
  readonly #buffers: LargeBuffers;
  /** The beginning of a control line. */
  #line: Buffer | undefined;
  /** A message that is not whole yet. */
  #message: Buffer | undefined;
  #filled = 0;

  constructor(out: (bytes: Uint8Array) => void, buffers: LargeBuffers) {
    this.#out = out;
    this.#buffers = buffers;
  }

  /** Where the next bytes belong, as far as that is known; what was read there is pushed as any other chunk. */
  place(): Buffer | undefined {
    if (this.#message === undefined || this.#message.length - this.#filled < restBytesMin) return undefined;
    return this.#message.subarray(this.#filled);
  }

  push(chunk: Buffer): void {
    let bytes = chunk;
    let at = 0;
    if (this.#message !== undefined)
      at = this.#isInPlace(this.#message, bytes)
        ? this.#filledBy(this.#message, bytes.length)
        : this.#fill(this.#message, bytes, 0);
    else if (this.#line !== undefined) {
      bytes = Buffer.concat([this.#line, bytes]);
      this.#line = undefined;
    }
    const from = at;
    while (at < bytes.length) {
      const end = bytes.indexOf(newline, at);
      if (end < 0) {
        if (bytes.length - at > lineBytesMax) at = bytes.length;
        else this.#line = Buffer.from(bytes.subarray(at));
        break;
      }
      const length = payloadBytes(bytes, at, end);
      const next = length < 0 ? end + 1 : end + 1 + length + lineEndBytes;
      if (next > bytes.length) {
        this.#pass(bytes, from, at);
        this.#message = this.#buffers.take(next - at).subarray(0, next - at);
        this.#filled = bytes.copy(this.#message, 0, at);
        return;
      }
      at = next;
    }
    this.#pass(bytes, from, at);
  }

  #isInPlace(message: Buffer, chunk: Buffer): boolean {
    return chunk.buffer === message.buffer && chunk.byteOffset === message.byteOffset + this.#filled;
  }

  #pass(bytes: Buffer, from: number, to: number): void {
    if (to > from) this.#out(Buffer.from(bytes.subarray(from, to)));
  }

  /** Answers how far the chunk belonged to the message. */
  #fill(message: Buffer, chunk: Buffer, from: number): number {
    return from + this.#filledBy(message, chunk.copy(message, this.#filled, from));
  }

  #filledBy(message: Buffer, count: number): number {
    this.#filled += count;
    if (this.#filled === message.length) {
      this.#message = undefined;
      this.#out(message);
    }
    return count;
  }
}

/** Of a control line bytes[from, end) that announces a message; -1: of another one. */
function payloadBytes(bytes: Buffer, from: number, end: number): number {
  const first = bytes[from];
  const name = first === 0x48 || first === 0x68 ? from + 1 : from; // H
  if (((bytes[name] as number) | 0x20) !== 0x6d || ((bytes[name + 1] as number) | 0x20) !== 0x73) return -1; // MS
  let at = end;
  while (at > from && (bytes[at - 1] as number) <= 0x20) at--;
  let length = 0;
  let scale = 1;
  for (; at > from; at--) {
    const digit = (bytes[at - 1] as number) - 0x30;
    if (digit < 0 || digit > 9) break;
    length += digit * scale;
    scale *= 10;
  }
  return scale === 1 || length > messageBytesMax ? -1 : length;
}
