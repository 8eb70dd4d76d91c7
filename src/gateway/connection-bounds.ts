// How many connections there may be: in all, over every door that has some, and of one tenant.
//
// B1. A connection belongs to the tenant of its first line with a known key, until it is gone. One too many is
//     turned away; those that are there stay.

export class ConnectionBounds {
  readonly #most: number;
  readonly #mostOfTenant: number;
  readonly #ofTenant = new Map<string, number>();
  #open = 0;

  constructor(most: number, mostOfTenant: number) {
    this.#most = most;
    this.#mostOfTenant = mostOfTenant;
  }

  /** One more; false: there is no room. */
  take(): boolean {
    if (this.#open >= this.#most) return false;
    this.#open++;
    return true;
  }

  give(): void {
    this.#open--;
  }

  /** B1. */
  takeFor(tenant: string): boolean {
    const open = this.#ofTenant.get(tenant) ?? 0;
    if (open >= this.#mostOfTenant) return false;
    this.#ofTenant.set(tenant, open + 1);
    return true;
  }

  giveFor(tenant: string): void {
    const open = this.#ofTenant.get(tenant) ?? 0;
    if (open <= 1) this.#ofTenant.delete(tenant);
    else this.#ofTenant.set(tenant, open - 1);
  }
}
