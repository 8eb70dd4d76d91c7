// Where the checkout is: what runs from a build lies in `.build/<hash>/`, at another depth than its source.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The nearest folder above that has the lock file; undefined when there is none. @param {string} url import.meta.url */
export function findRoot(url) {
  for (let folder = dirname(fileURLToPath(url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package-lock.json"))) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}
