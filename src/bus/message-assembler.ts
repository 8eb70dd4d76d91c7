// Puts the messages of NATS together from what a socket gives, so that each lies whole in one chunk: then the library
// hands out views of it. By itself it would let a message grow as its pieces come, and copy it each time.
//
//   MSG <subject> <sid> [reply] <bytes>\r\n<payload>\r\n      HMSG ... <header bytes> <bytes>\r\n...
//
// Only these two are looked into, and only for their length; all else passes through as it came. What is no protocol at
// all passes through too: the library says what is wrong with it.
//
// The chunks that are pushed may be overwritten afterwards.
//
// M1. The bytes that come out are the bytes that went in, in their order.
// M2. Everything is copied once: a message that came in pieces into a buffer of its own, which whoever gets it may give
//     back to `buffers`.
// M3. What is kept back is one control line, or one message of the length it says, at most `messageBytesMax`.

import type { LargeBuffers } from "../base/large-buffers.ts";

/** More than any server lets through. A length beyond it is passed on as it is. */
const messageBytesMax = 64 << 20;
/** More than any control line has. */
const lineBytesMax = 64 << 10;
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

  push(chunk: Buffer): void {
    let bytes = chunk;
    let at = 0;
    if (this.#message !== undefined) at = this.#fill(this.#message, bytes, 0);
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

  #pass(bytes: Buffer, from: number, to: number): void {
    if (to > from) this.#out(Buffer.from(bytes.subarray(from, to)));
  }

  /** Answers how far the chunk belonged to the message. */
  #fill(message: Buffer, chunk: Buffer, from: number): number {
    const taken = chunk.copy(message, this.#filled, from);
    this.#filled += taken;
    if (this.#filled === message.length) {
      this.#message = undefined;
      this.#out(message);
    }
    return from + taken;
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
