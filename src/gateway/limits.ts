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
    return this.#bucketNow().take() ? 0 : reasonCode["rate-limit"];
  }

  judgeName(bytes: Buffer, from: number, to: number, kind: Kind = "plaintext"): number {
    const { nameBytes, tags } = this.#limits;
    if (nameBytes >= nameBytesMax && tags === Infinity) return 0;
    const nameTo = kind === "statsd" ? until(bytes, from, to, colon) : until(bytes, from, to, blank);
    if (nameTo - from > nameBytes) return reasonCode["name-too-long"];
    if (tags === Infinity) return 0;
    const count = tagsOf(bytes, from, nameTo) + (kind === "statsd" ? dogTags(bytes, nameTo, to) : 0);
    return count > tags ? reasonCode["tags-limit"] : 0;
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

/** DogStatsD's `|#a:1,b:2`. */
function dogTags(bytes: Buffer, from: number, to: number): number {
  for (let at = from; at + 2 < to; at++)
    if (bytes[at] === pipe && bytes[at + 1] === hash) {
      const end = until(bytes, at + 2, to, pipe);
      return 1 + countOf(bytes, at + 2, end, comma);
    }
  return 0;
}

function countOf(bytes: Buffer, from: number, to: number, wanted: number): number {
  let count = 0;
  for (let at = from; at < to; at++) if (bytes[at] === wanted) count++;
  return count;
}
