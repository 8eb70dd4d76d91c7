// Placeholders: gone when every engine has them.
import { assert } from "../base/assert.ts";

export function notYet(): never {
  assert(false, "a method that is there");
  throw new Error();
}
