// How many queries are open at a time: waiting, running, or being sent. One tenant can't take all places, and an
// answer that is read slowly keeps its place, so the memory of answers is bounded too.

export interface AdmissionOptions {
  /** All tenants together. */
  total: number;
  perTenant: number;
}

export type Admission =
  | { kind: "admitted"; release: () => void }
  | { kind: "full"; whose: "tenant" | "everybody" };

export class Admissions {
  readonly #options: AdmissionOptions;
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Queries open now. */
  get open(): number {
    return this.#total;
  }

  /** `release` may be called more than once. */
  admit(tenant: string): Admission {
    const own = this.#open.get(tenant) ?? 0;
    if (own >= this.#options.perTenant) return { kind: "full", whose: "tenant" };
    if (this.#total >= this.#options.total) return { kind: "full", whose: "everybody" };
    this.#open.set(tenant, own + 1);
    this.#total += 1;
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      this.#total -= 1;
      const left = (this.#open.get(tenant) ?? 1) - 1;
      if (left === 0) this.#open.delete(tenant);
      else this.#open.set(tenant, left);
    };
    return { kind: "admitted", release };
  }
}
