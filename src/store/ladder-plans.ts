// Which ladders a series has, by id: what a round asks for each of them, and the rules would match a name for.
import type { LadderRules, LadderSince } from "../metric/ladder-rules.ts";
import type { View } from "./environment.ts";
import { nameKey } from "./keys.ts";

/** What two bytes can tell apart; names beyond are matched anew each time. */
const plansMost = 0xffff;

/** Ladders by id: a cache over the rules, dropped when they change. */
export class LadderPlans {
  #version = Number.NaN;
  readonly #plans: (readonly LadderSince[])[] = [];
  readonly #places = new Map<readonly LadderSince[], number>();
  /** Index into plans + 1, by id. */
  #byId = new Uint16Array(0);

  of(view: View, rules: LadderRules, tenant: string, series: number): readonly LadderSince[] {
    if (rules.version !== this.#version) {
      this.#version = rules.version;
      this.#plans.length = 0;
      this.#places.clear();
      this.#byId.fill(0);
    }
    if (series < this.#byId.length) {
      const plan = this.#plans[(this.#byId[series] as number) - 1];
      if (plan !== undefined) return plan;
    }
    const name = rules.hasOwn(tenant) ? (view.get(nameKey(series))?.toString() ?? "") : "";
    const plan = rules.laddersOf(tenant, name);
    this.#note(series, plan);
    return plan;
  }

  #note(series: number, plan: readonly LadderSince[]): void {
    let at = this.#places.get(plan);
    if (at === undefined) {
      if (this.#plans.length >= plansMost) return;
      at = this.#plans.push(plan) - 1;
      this.#places.set(plan, at);
    }
    if (series >= this.#byId.length) {
      const larger = new Uint16Array(Math.max(series + 1, this.#byId.length * 2, 1024));
      larger.set(this.#byId);
      this.#byId = larger;
    }
    this.#byId[series] = at + 1;
  }
}
