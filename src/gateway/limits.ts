// What a tenant's own limits say at the doors: its points a second (rates.ts), the length of names, the number of tags.
//
// A tenant without limits has no gate, and its lines cost nothing here. All keys of a tenant share one bucket.
import { nameBytesMax } from "../metric/line.ts";
import type { Kind } from "../metric/frame.ts";
import { parseTagged } from "../metric/name.ts";
import { reasonCode } from "../metric/reason.ts";
import { limitsOf, type Limits, type StandardLimits } from "../tenant/limits.ts";
import type { Tenant } from "../tenant/tenant.ts";
import type { Bucket, Rates } from "./rates.ts";
import type { LineGate } from "./routes.ts";

export class Gates {
  readonly #rates: Rates;
  readonly #standard: StandardLimits;
  /** By record, which never changes: a changed tenant is another object. */
  readonly #gates = new WeakMap<Tenant, Gate | "none">();

  constructor(rates: Rates, standard: StandardLimits) {
    this.#rates = rates;
    this.#standard = standard;
  }

  of(tenant: Tenant): LineGate | undefined {
    let gate = this.#gates.get(tenant);
    if (gate === undefined) {
      const limits = limitsOf(tenant, this.#standard);
      gate = isFree(limits) ? "none" : new Gate(this.#rates, tenant.id, limits);
      this.#gates.set(tenant, gate);
    }
    return gate === "none" ? undefined : gate;
  }
}

function isFree({ pointsPerSecond, nameBytes, tags }: Limits): boolean {
  return pointsPerSecond === Infinity && nameBytes >= nameBytesMax && tags === Infinity;
}

class Gate implements LineGate {
  readonly #rates: Rates;
  readonly #tenant: string;
  readonly #limits: Limits;
  #bucket: Bucket | undefined;

  constructor(rates: Rates, tenant: string, limits: Limits) {
    this.#rates = rates;
    this.#tenant = tenant;
    this.#limits = limits;
  }

  judge(bytes: Buffer, from: number, to: number, kind: Kind = "plaintext"): number {
    const code = this.judgeName(bytes, from, to, kind);
    if (code !== 0 || this.#limits.pointsPerSecond === Infinity) return code;
    const points = kind === "statsd" ? valuesOf(bytes, until(bytes, from, to, colon), to) : 1;
    return this.#bucketNow().take(points) ? 0 : reasonCode["rate-limit"];
  }

  judgeName(bytes: Buffer, from: number, to: number, kind: Kind = "plaintext"): number {
    const { nameBytes, tags } = this.#limits;
    if (nameBytes >= nameBytesMax && tags === Infinity) return 0;
    const nameTo = kind === "statsd" ? until(bytes, from, to, colon) : until(bytes, from, to, blank);
    // StatsD's tags become part of the name, wherever they stand.
    const tagsFrom = kind === "statsd" ? dogTagsFrom(bytes, nameTo, to) : to;
    const tagsTo = until(bytes, tagsFrom, to, pipe);
    const tagBytes = tagsTo === tagsFrom ? 0 : 1 + tagsTo - tagsFrom;
    if (nameTo - from + tagBytes > nameBytes) return reasonCode["name-too-long"];
    if (tags === Infinity) return 0;
    const dogTags = tagBytes === 0 ? 0 : 1 + countOf(bytes, tagsFrom, tagsTo, comma);
    return tagsOf(bytes, from, nameTo) + dogTags > tags ? reasonCode["tags-limit"] : 0;
  }

  passRun(lines: number, longestNameBytes: number): boolean {
    if (!this.passNames(longestNameBytes)) return false;
    return this.#limits.pointsPerSecond === Infinity || this.#bucketNow().takeAtOnce(lines);
  }

  passNames(longestNameBytes: number): boolean {
    const { nameBytes, tags } = this.#limits;
    return longestNameBytes <= nameBytes && tags === Infinity;
  }

  waitMs(): number {
    return this.#limits.pointsPerSecond === Infinity ? 0 : this.#bucketNow().waitMs();
  }

  took(lines: number): void {
    if (this.#limits.pointsPerSecond !== Infinity) this.#bucketNow().takeWhole(lines);
  }

  refused(lines: number): void {
    if (this.#limits.pointsPerSecond !== Infinity) this.#bucketNow().offered += lines;
  }

  #bucketNow(): Bucket {
    if (this.#bucket === undefined || this.#bucket.gone)
      this.#bucket = this.#rates.bucket(this.#tenant, this.#limits.pointsPerSecond);
    return this.#bucket;
  }
}

const blank = 0x20;
const colon = 0x3a;
const semicolon = 0x3b;
const comma = 0x2c;
const pipe = 0x7c;
const hash = 0x23;
const quote = 0x22;
const closing = 0x7d;
const setLetter = 0x73;
const rateSign = 0x40;

/** Where the name ends: before `stop`, or before anything that separates words where that is the blank. */
function until(bytes: Buffer, from: number, to: number, stop: number): number {
  let at = from;
  for (; at < to; at++) {
    const byte = bytes[at] as number;
    if (byte === stop || (stop === blank && byte < blank)) break;
  }
  return at;
}

/** `name;a=1;b=2` or `name{a="1",b="2"}`, as it is written. */
function tagsOf(bytes: Buffer, from: number, to: number): number {
  if (bytes[to - 1] === closing && bytes[to - 2] === quote) {
    const tags = parseTagged(bytes.toString("utf8", from, to))?.tags.size;
    if (tags !== undefined) return tags;
  }
  return countOf(bytes, from, to, semicolon);
}

/** Where the tags of DogStatsD's `|#a:1,b:2` begin; of several such fields the last one holds (metric/statsd.ts). */
function dogTagsFrom(bytes: Buffer, from: number, to: number): number {
  for (let at = to - 2; at >= from; at--) if (bytes[at] === pipe && bytes[at + 1] === hash) return at + 2;
  return to;
}

/** Of a good StatsD line: each of its values is a point. bytes[from] is the colon before the first. */
function valuesOf(bytes: Buffer, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; ) {
    const typeFrom = until(bytes, at, to, pipe) + 1;
    const type = text(bytes, typeFrom, to);
    // What is in a set may hold colons.
    count += bytes[type] === setLetter ? 1 : countOf(bytes, at, typeFrom, colon);
    at = either(bytes, typeFrom, to);
    while (at < to && bytes[at] === pipe)
      at = bytes[at + 1] === rateSign ? either(bytes, at + 1, to) : until(bytes, at + 1, to, pipe);
  }
  return count;
}

/** The next bar or colon. */
function either(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && bytes[at] !== pipe && bytes[at] !== colon) at++;
  return at;
}

/** The next byte that is no blank. */
function text(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && (bytes[at] as number) <= blank) at++;
  return at;
}

function countOf(bytes: Buffer, from: number, to: number, wanted: number): number {
  let count = 0;
  for (let at = from; at < to; at++) if (bytes[at] === wanted) count++;
  return count;
}
