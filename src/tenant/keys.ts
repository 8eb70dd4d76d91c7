// API keys and ids: random, in lower-case base32, so that a key can stand before a dot and be typed.
//
// A key is `w` (write) or `r` (read) and 32 characters that hold 160 random bits. Only its SHA-256 is ever stored; the
// key itself is shown once, and no log has it.
import { hash } from "node:crypto";
import type { Random } from "../base/random.ts";
import type { KeyKind } from "./tenant.ts";

const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
const keyBytes = 20;
const idChars = 12;
const prefixes: Record<KeyKind, string> = { write: "w", read: "r" };

/** RFC 4648's alphabet in lower case, without padding: 8 characters for 5 bytes. */
export function base32(bytes: Uint8Array): string {
  let out = "";
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += alphabet[(held >> bits) & 31];
    }
  }
  return bits === 0 ? out : out + alphabet[(held << (5 - bits)) & 31];
}

/** A new key. `random` must be the system's: a seeded source is for tests only. */
export function makeKey(kind: KeyKind, random: Random): string {
  return prefixes[kind] + base32(random.bytes(keyBytes));
}

const keyChars = 33;
const dot = 0x2e;

/** The end of a key of ours, which has a dot behind it, where bytes[from, to) begins with what looks like one; else -1. */
export function keyEnd(bytes: Uint8Array, from: number, to: number): number {
  const end = from + keyChars;
  const first = bytes[from];
  if (end + 1 >= to || bytes[end] !== dot || (first !== 0x77 && first !== 0x72)) return -1;
  if ((bytes[end + 1] as number) <= 0x20) return -1; // nothing is left that could be a name
  for (let at = from + 1; at < end; at++) {
    const byte = bytes[at] as number;
    if ((byte < 0x61 || byte > 0x7a) && (byte < 0x32 || byte > 0x37)) return -1;
  }
  return end;
}

/** A new tenant's id: 60 random bits, never used again. */
export function makeTenantId(random: Random): string {
  return base32(random.bytes(8)).slice(0, idChars);
}

/** SHA-256 in hex: what is stored of a key, and how it is looked up. */
export function hashKey(key: string): string {
  return hash("sha256", key, "hex");
}

/** The key of an Authorization header: `Bearer KEY`, or the user name of `Basic`. */
export function keyOfHeader(header: string | undefined): string | undefined {
  const match = /^(bearer|basic)[ \t]+(\S+)[ \t]*$/i.exec(header ?? "");
  if (match === null) return undefined;
  const credential = match[2] ?? "";
  if (match[1]?.toLowerCase() === "bearer") return credential;
  const user = Buffer.from(credential, "base64").toString("utf8").split(":")[0];
  return user === "" ? undefined : user;
}
