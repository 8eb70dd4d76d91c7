// What senders do in the simulation: raw lines, requests, requests with a key that are tried again until they are
// answered. Each good point has a value of its own, so that the record itself shows whether it is there once.
import type { Tenant } from "../../src/tenant/tenant.ts";
import { poison, type Gateway, type SimWorld } from "./world.ts";

export const tenantIds = ["t1", "t2"] as const;
const seriesCount = 6;

export class Workload {
  /** Points that somebody was told are recorded. */
  readonly acknowledged: number[] = [];
  readonly #world: SimWorld;
  #next = 1;
  #keys = 0;
  #open = 0;

  constructor(world: SimWorld) {
    this.#world = world;
  }

  /** Requests that have no answer yet. */
  get open(): number {
    return this.#open;
  }

  /** Raw lines, some of them bad, and some refusals. */
  raw(gateway: Gateway): void {
    const { random } = this.#world;
    const tenant = tenantIds[random.below(2)] ?? "t1";
    for (let left = random.below(12); left > 0; left--) {
      const bad = random.next() < 0.05;
      const value = this.#next++;
      const line = Buffer.from(bad ? `junk${value}` : this.#line(value));
      if (!gateway.batcher.hasRoom(line.length + 1, "tcp")) return;
      gateway.batcher.frame("tcp");
      gateway.batcher.append(tenant, "tcp", "plaintext", line, 0, line.length);
      if (!bad) gateway.taken.push(value);
    }
    if (random.next() < 0.3) gateway.batcher.refuse(tenant, "tcp", "too-new", 1 + random.below(5));
    if (random.next() < 0.2) gateway.batcher.flush();
  }

  /** A request that is sent once. */
  request(gateway: Gateway): void {
    const { body, values } = this.#body();
    let isOpen = true;
    this.#open++;
    const close = () => {
      if (isOpen) this.#open--;
      isOpen = false;
    };
    gateway.acceptor
      .accept(this.#tenant(), gateway.batcher, body)
      .then((verdict) => {
        if (verdict.kind === "recorded") this.acknowledged.push(...values);
        close();
      })
      .catch((error: unknown) => this.#world.complaints.push(`a request threw ${String(error)}`));
    // A dead gateway answers nobody.
    this.#world.clock.after(60_000, () => {
      if (gateway.mortal.dead) close();
    });
  }

  /** A request with a key, sent to one gateway after the other until one says that it is recorded. */
  keyed(): void {
    const { body, values } = this.#body();
    const key = `key-${this.#keys++}`;
    this.#open++;
    this.#untilRecorded(this.#tenant(), body, key)
      .then(() => {
        this.acknowledged.push(...values);
        this.#open--;
      })
      .catch((error: unknown) => this.#world.complaints.push(`a keyed request threw ${String(error)}`));
  }

  async #untilRecorded(tenant: Tenant, body: Buffer, key: string): Promise<void> {
    const { clock, random } = this.#world;
    for (;;) {
      const living = this.#world.living(this.#world.gateways);
      const gateway = living[random.below(living.length)];
      if (gateway !== undefined) {
        const answer = gateway.acceptor.acceptKeyed(tenant, gateway.batcher, body, key);
        const impatient = clock.sleep(500 + random.below(12_000)).then(() => undefined);
        const verdict = await Promise.race([answer, impatient]);
        if (verdict?.kind === "recorded") {
          // Now and then the answer does not reach the sender, who tries again.
          if (!this.#world.faults.on || random.next() > 0.2) return;
        }
      }
      await clock.sleep(random.below(500));
    }
  }

  #tenant(): Tenant {
    const id = tenantIds[this.#world.random.below(2)] ?? "t1";
    return { id, name: id, state: "active", createdMs: 0, keys: [], homes: [] };
  }

  /** Now and then over the size of a frame, so that it is cut. */
  #body(): { body: Buffer; values: number[] } {
    const { random } = this.#world;
    const large = random.next() < 0.02;
    const values = Array.from({ length: large ? 320 : 1 + random.below(8) }, () => this.#next++);
    const padding = large ? `.${"x".repeat(950)}` : "";
    const text = values.map((value) => `${this.#line(value, padding)}\n`).join("");
    return { body: Buffer.from(text), values };
  }

  #line(value: number, padding = ""): string {
    if (this.#world.poison > 0 && this.#world.random.next() < this.#world.poison) return `${poison}${value}`;
    return `s${this.#world.random.below(seriesCount)}${padding} ${value}`;
  }
}
