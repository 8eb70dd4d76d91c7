// How many connections there may be: in all, over every door that has some, and of one tenant.
//
// B1. A connection belongs to the tenant of its first line with a known key, until it is gone. One too many is
//     turned away; those that are there stay.
// B2. A stranger is one that belongs to nobody yet. Strangers can't keep others out: where there is no room, the one
//     that has been one for longest makes some. To hold a place for good costs a key.

/** A connection among all. */
export interface Place {
  /** Ends it: B2. */
  close: () => void;
}

/** So many may be on their way out while others have their places already. */
const leavingMost = 16;

export class ConnectionBounds {
  readonly #most: number;
  readonly #mostOfTenant: number;
  readonly #ofTenant = new Map<string, number>();
  /** The one that came first is the first. */
  readonly #strangers = new Set<Place>();
  readonly #leaving = new Set<Place>();
  #open = 0;

  constructor(most: number, mostOfTenant: number) {
    this.#most = most;
    this.#mostOfTenant = mostOfTenant;
  }

  /** One more, a stranger; undefined: there is no room. */
  take(close: () => void): Place | undefined {
    if (this.#open - this.#leaving.size >= this.#most && !this.#makeRoom()) return undefined;
    this.#open++;
    const place = { close };
    this.#strangers.add(place);
    return place;
  }

  give(place: Place): void {
    this.#open--;
    this.#strangers.delete(place);
    this.#leaving.delete(place);
  }

  /** B1. */
  takeFor(tenant: string, place: Place): boolean {
    const open = this.#ofTenant.get(tenant) ?? 0;
    if (open >= this.#mostOfTenant) return false;
    this.#ofTenant.set(tenant, open + 1);
    this.#strangers.delete(place);
    return true;
  }

  giveFor(tenant: string): void {
    const open = this.#ofTenant.get(tenant) ?? 0;
    if (open <= 1) this.#ofTenant.delete(tenant);
    else this.#ofTenant.set(tenant, open - 1);
  }

  /** B2. */
  #makeRoom(): boolean {
    const [oldest] = this.#strangers;
    if (oldest === undefined || this.#leaving.size >= leavingMost) return false;
    this.#strangers.delete(oldest);
    this.#leaving.add(oldest);
    oldest.close();
    return true;
  }
}
