// The store or the bus of an actor, with a mark before each call and the mark of before after it: whoever looks knows
// that the actor waits for another part, and for which one.
import type { ActorCell } from "../src/base/actor-cell.ts";

/** `methods`: only these; default: all. */
export function marked<T extends object>(
  target: T,
  cell: ActorCell,
  part: "store" | "bus",
  methods?: readonly (keyof T)[],
): T {
  return new Proxy(target, {
    get(_target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== "function") return value;
      const isMarked = methods === undefined || methods.includes(property as keyof T);
      if (!isMarked) return value.bind(target) as unknown;
      return (...given: unknown[]): unknown => {
        const over = cell.waits(part);
        const answer: unknown = value.apply(target, given);
        if (answer instanceof Promise) return answer.finally(over);
        over();
        return answer;
      };
    },
  });
}
