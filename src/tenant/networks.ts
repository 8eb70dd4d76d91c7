// Addresses and networks of the internet, and the tenants that they belong to.
//
// Everything is a number of 128 bits: IPv4 lies where `::ffff:a.b.c.d` does, so that an address is the same however a
// socket writes it.
//
// N1. The longest prefix that holds an address decides.
// N2. Two tenants with the same network are a slip of somebody's hand: the living one has it, then the older one, in
//     every process alike.
import { isIP } from "node:net";
import type { Tenant } from "./tenant.ts";

export interface Network {
  bits: bigint;
  /** Of 128. */
  prefix: number;
  /** `10.1.0.0/16`; a single address without prefix. Equal networks have equal texts. */
  text: string;
}

export type ReadNetwork = { kind: "network"; network: Network } | { kind: "invalid"; why: string };

export const networksMax = 1000;
const allBits = 128;
const ipv4Bits = 32;
const mapped = 0xffffn << 32n;
/** Wider ones are mistakes: every line from there would be taken for this tenant's, keys in front and all. */
const prefixLeast4 = 8;
const prefixLeast6 = 16;

export function readNetwork(text: string): ReadNetwork {
  const [address = "", prefixText, ...more] = text.split("/");
  const bits = address.includes("%") ? undefined : bitsOf(address);
  if (bits === undefined || more.length > 0) return invalid(`${text} is no address and no network`);
  const own = isIP(address) === 4 ? ipv4Bits : allBits;
  if (prefixText !== undefined && !/^\d{1,3}$/.test(prefixText))
    return invalid(`${text}: a prefix is a number of bits, as in 10.1.0.0/16`);
  const given = prefixText === undefined ? own : Number(prefixText);
  if (given > own) return invalid(`${text}: a prefix has at most ${own} bits`);
  const prefix = given + allBits - own;
  const isIpv4 = bits >> 32n === 0xffffn && prefix >= allBits - ipv4Bits;
  const least = isIpv4 ? allBits - ipv4Bits + prefixLeast4 : prefixLeast6;
  if (prefix < least)
    return invalid(`${text} is too wide: give /${isIpv4 ? prefixLeast4 : prefixLeast6} or more bits`);
  const masked = mask(bits, prefix);
  if (!isIpv4 && mask(mapped, prefix) === masked) return invalid(`${text} would hold all addresses of IPv4`);
  return { kind: "network", network: { bits: masked, prefix, text: textOf(masked, prefix, isIpv4) } };
}

/** All of a record's list, or why it can't be read. */
export function readNetworks(
  stored: unknown,
): { kind: "networks"; networks: Network[] } | { kind: "invalid"; why: string } {
  if (stored === undefined) return { kind: "networks", networks: [] };
  if (!Array.isArray(stored)) return invalid("addresses are no list");
  if (stored.length > networksMax) return invalid(`more than ${networksMax} addresses`);
  const networks: Network[] = [];
  for (const text of stored as unknown[]) {
    const read = readNetwork(typeof text === "string" ? text : "");
    if (read.kind === "invalid") return read;
    networks.push(read.network);
  }
  return { kind: "networks", networks };
}

/** Who has an address. */
export class NetworkIndex {
  /** By prefix, then by bits. */
  readonly #owners = new Map<number, Map<bigint, Tenant[]>>();
  /** Prefixes in use, longest first. */
  #prefixes: number[] = [];

  get empty(): boolean {
    return this.#prefixes.length === 0;
  }

  of(address: string): Tenant | undefined {
    if (this.empty) return undefined;
    const bits = bitsOf(address);
    if (bits === undefined) return undefined;
    for (const prefix of this.#prefixes) {
      const owners = this.#owners.get(prefix)?.get(mask(bits, prefix));
      if (owners !== undefined) return owners[0]; // N1
    }
    return undefined;
  }

  add(tenant: Tenant): void {
    const networks = networksOf(tenant);
    if (networks.length === 0) return; // as most have none: nothing to sort
    for (const { bits, prefix } of networks) {
      let ofPrefix = this.#owners.get(prefix);
      if (ofPrefix === undefined) this.#owners.set(prefix, (ofPrefix = new Map()));
      const owners = (ofPrefix.get(bits) ?? []).filter((owner) => owner.id !== tenant.id);
      ofPrefix.set(bits, [...owners, tenant].sort(byRight));
    }
    this.#sort();
  }

  remove(tenant: Tenant): void {
    const networks = networksOf(tenant);
    if (networks.length === 0) return;
    for (const { bits, prefix } of networks) {
      const ofPrefix = this.#owners.get(prefix);
      const owners = ofPrefix?.get(bits)?.filter((owner) => owner.id !== tenant.id) ?? [];
      if (owners.length > 0) ofPrefix?.set(bits, owners);
      else ofPrefix?.delete(bits);
      if (ofPrefix?.size === 0) this.#owners.delete(prefix);
    }
    this.#sort();
  }

  #sort(): void {
    this.#prefixes = [...this.#owners.keys()].sort((a, b) => b - a);
  }
}

/** What can be read of them; none where the list can't be. */
export function networksOf(tenant: Tenant): Network[] {
  if (tenant.addresses === undefined) return [];
  const read = readNetworks(tenant.addresses);
  return read.kind === "networks" ? read.networks : [];
}

/** N2. */
function byRight(a: Tenant, b: Tenant): number {
  const living = (tenant: Tenant) => (tenant.state === "active" || tenant.state === "suspended" ? 0 : 1);
  return living(a) - living(b) || a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1);
}

/** undefined: no address. A zone (`fe80::1%eth0`) says where an address is valid, and is not part of it. */
function bitsOf(address: string): bigint | undefined {
  const [bare = ""] = address.split("%");
  switch (isIP(bare)) {
    case 4:
      return mapped | bits4(bare);
    case 6:
      return bits6(bare);
    default:
      return undefined;
  }
}

function bits4(text: string): bigint {
  return text.split(".").reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
}

/** The text is known to be an IPv6 address. */
function bits6(text: string): bigint {
  const quad = /\d+\.\d+\.\d+\.\d+$/.exec(text)?.[0];
  const low = quad === undefined ? 0n : bits4(quad);
  const hexes =
    quad === undefined
      ? text
      : `${text.slice(0, -quad.length)}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`;
  const [before = "", after] = hexes.split("::");
  const words = (part: string) => (part === "" ? [] : part.split(":"));
  const head = words(before);
  const tail = words(after ?? "");
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => "0");
  return [...head, ...zeros, ...tail].reduce((bits, word) => (bits << 16n) | BigInt(`0x${word}`), 0n);
}

function mask(bits: bigint, prefix: number): bigint {
  const rest = BigInt(allBits - prefix);
  return (bits >> rest) << rest;
}

function textOf(bits: bigint, prefix: number, isIpv4: boolean): string {
  const word = (at: number, size: bigint) => (bits >> (BigInt(at) * size)) & ((1n << size) - 1n);
  const address = isIpv4
    ? [3, 2, 1, 0].map((at) => word(at, 8n)).join(".")
    : new URL(
        `http://[${[7, 6, 5, 4, 3, 2, 1, 0].map((at) => word(at, 16n).toString(16)).join(":")}]`,
      ).hostname.slice(1, -1);
  return prefix === allBits ? address : `${address}/${isIpv4 ? prefix - allBits + ipv4Bits : prefix}`;
}

function invalid(why: string): { kind: "invalid"; why: string } {
  return { kind: "invalid", why };
}
