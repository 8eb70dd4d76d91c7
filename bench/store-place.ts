// Where a bench of the store runs: a folder that is gone afterwards, however the bench ends, and what to say of machine
// and file system beside the figures.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { arch, cpus, platform, release, tmpdir, totalmem } from "node:os";
import { join, resolve } from "node:path";

/** Below `parent`, or the system's folder for what is temporary. */
export async function withFolder(
  parent: string | undefined,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  if (parent !== undefined) mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(resolve(parent ?? tmpdir()), "millrace-bench-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      remove();
      process.exit(1);
    });
  try {
    await use(folder);
  } finally {
    remove();
  }
}

export function machine() {
  return {
    cpu: cpus()[0]?.model ?? "",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    os: `${platform()} ${release()} ${arch()}`,
    node: process.version,
  };
}

/** What the folder lies on, as the kernel says it; unknown elsewhere than on Linux. */
export function fileSystemOf(folder: string): string {
  try {
    const mounts = readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .map((line) => line.split(" "))
      .filter(([, at = "/"]) => at === "/" || folder === at || folder.startsWith(`${at}/`))
      .sort(([, a = ""], [, b = ""]) => b.length - a.length);
    return mounts[0]?.[2] ?? "unknown";
  } catch {
    return "unknown";
  }
}
