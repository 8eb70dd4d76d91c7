// Making a folder with its parents. Node's own `recursive` loops for ever where a parent answers ENOENT to every
// attempt, as below /proc.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** Throws what mkdir throws, when the folder can't be made. */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    const parent = dirname(path);
    if (code !== "ENOENT" || parent === path) throw error;
    makeFolder(parent);
    mkdirSync(path);
  }
}
