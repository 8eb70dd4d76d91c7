// Disks that fail on purpose: small file systems in memory that can be filled, and folders that turn read-only.
//
// Both need the right to mount. Where a machine does not give it, `smallDisk` and `readOnly` answer undefined, having
// said so loudly in the test's output: whoever reads the result knows what was not seen. What they mount goes at the
// end of the test, in the order of `t.after`: register what runs on it before.
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { messageOf } from "../../src/base/errors.ts";

export interface SmallDisk {
  /** Takes every byte that is left. */
  fill(): void;
  /** Gives them back. */
  free(): void;
}

/** A file system of `megabytes` over the folder `path`, until the end of the test. */
export function smallDisk(t: TestContext, path: string, megabytes: number): SmallDisk | undefined {
  mkdirSync(path, { recursive: true });
  if (!mount(t, ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", path])) return undefined;
  t.after(() => unmount(path));
  const ballast = join(path, "ballast");
  return {
    fill() {
      const file = openSync(ballast, "a");
      const block = Buffer.alloc(1 << 20);
      for (let size = block.length; size >= 1; ) {
        try {
          if (writeSync(file, block, 0, size) < size) size >>= 1;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
          size >>= 1;
        }
      }
      closeSync(file);
    },
    free: () => rmSync(ballast),
  };
}

/** Turns a folder read-only for everybody, root too; the answer turns it back, as does the end of the test. */
export function readOnly(t: TestContext, path: string): (() => void) | undefined {
  if (!mount(t, ["--bind", path, path])) return undefined;
  let mounted = true;
  const back = () => {
    if (mounted) unmount(path);
    mounted = false;
  };
  t.after(back);
  if (mount(t, ["-o", "remount,bind,ro", path])) return back;
  back();
  return undefined;
}

function mount(t: TestContext, words: string[]): boolean {
  try {
    execFileSync("mount", words, { stdio: ["ignore", "ignore", "pipe"] });
    return true;
  } catch (error) {
    t.diagnostic(`NOT SEEN: this machine can't mount (${messageOf(error).trim()}); needs the rights of root`);
    return false;
  }
}

/** Lazily, if somebody still holds a file: the mount must not outlive the test. */
function unmount(path: string): void {
  try {
    execFileSync("umount", [path], { stdio: "ignore" });
  } catch {
    execFileSync("umount", ["-l", path], { stdio: "ignore" });
  }
}
