// Senders that npm has, for tests: fetched and unpacked below .cache, no dependency of ours. What they depend on for what
// is not tried here (sockets of other kinds, relays) is left out.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { findRoot } from "../../bin/setup/root.mjs";

const execute = promisify(execFile);
const packages = ["statsd@0.9.0", "generic-pool@2.2.0", "hot-shots@17.1.1"];
const downloadMsMost = 60_000;

/** The folder that holds their node_modules; undefined, said aloud, where they can't be had. */
export async function npmClients(): Promise<string | undefined> {
  const cache = join(findRoot(import.meta.url) ?? "", ".cache");
  const folder = join(cache, "npm-clients");
  if (existsSync(folder)) return folder;
  const aside = join(cache, `npm-clients.${process.pid}`);
  try {
    for (const named of packages) {
      const name = named.slice(0, named.lastIndexOf("@"));
      const into = join(aside, "node_modules", name);
      mkdirSync(into, { recursive: true });
      const packed = await execute("npm", ["pack", "--silent", "--pack-destination", aside, named], {
        timeout: downloadMsMost,
      });
      await execute("tar", ["-xzf", join(aside, packed.stdout.trim()), "-C", into, "--strip-components=1"]);
    }
    if (!existsSync(folder)) renameSync(aside, folder);
    return folder;
  } catch (error) {
    const words = error instanceof Error ? (error.message.split("\n")[1] ?? error.message) : String(error);
    console.error(`\n*** NOT TRIED WITH NPM'S SENDERS, which could not be fetched: ${words} ***\n`);
    return undefined;
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}
