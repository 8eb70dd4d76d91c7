// What a fuzzer is: a name and rounds of chance. It throws when something is not as it must be.
import type { Random } from "../../src/base/random.ts";

export interface Fuzzer {
  readonly name: string;
  /** Rounds of the short form, in `npm test`: together they take a second or two. */
  readonly smokeRounds: number;
  round(random: Random): void;
}

/** One of the values. */
export function pick<T>(random: Random, values: readonly [T, ...T[]]): T {
  return values[random.below(values.length)] ?? values[0];
}

/** Bytes as a text of the same length, one character a byte, and back. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

export function fromLatin1(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

export function utf8(text: string): string {
  return latin1(new TextEncoder().encode(text));
}
