// Senders that Debian has, for tests: downloaded with what they need, unpacked below .cache/clients, never installed.
//
// C1. Nothing of the system changes: the archives and the unpacked files are the checkout's own.
// C2. A download that broke off leaves nothing: the folder gets its name when it is whole.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { findRoot } from "../../bin/setup/root.mjs";

const execute = promisify(execFile);
const packages = ["collectd-core", "graphite-carbon", "carbon-c-relay", "netcat-openbsd"];
const downloadMsMost = 120_000;

/** The folder that holds their usr/; undefined, said aloud, where they can't be had. */
export async function debianClients(): Promise<string | undefined> {
  const cache = join(findRoot(import.meta.url) ?? "", ".cache");
  const folder = join(cache, "clients");
  if (existsSync(folder)) return folder;
  const aside = join(cache, `clients.${process.pid}`);
  try {
    const archives = join(aside, "cache", "archives");
    mkdirSync(join(archives, "partial"), { recursive: true });
    const own = [
      "-o",
      `Dir::Cache=${join(aside, "cache")}`,
      "-o",
      "Debug::NoLocking=1",
      "-o",
      "APT::Sandbox::User=",
    ];
    const words = ["-q", "-y", ...own, "--download-only", "--no-install-recommends", "install", ...packages];
    await execute("apt-get", words, { env: { ...process.env, LC_ALL: "C" }, timeout: downloadMsMost });
    for (const name of readdirSync(archives).filter((each) => each.endsWith(".deb")))
      await execute("dpkg", ["-x", join(archives, name), join(aside, "unpacked")]);
    if (!existsSync(folder)) renameSync(join(aside, "unpacked"), folder);
    return folder;
  } catch (error) {
    const words = error instanceof Error ? (error.message.split("\n")[1] ?? error.message) : String(error);
    console.error(`\n*** NOT TRIED WITH DEBIAN'S SENDERS, which apt-get could not download: ${words} ***\n`);
    return undefined;
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}
