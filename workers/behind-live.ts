// A thread that works behind live data gives way to it (P6): the system's scheduler is asked to.
import { readlinkSync } from "node:fs";
import { setPriority } from "node:os";

/** Of 19, where higher is less: it still gets on where nobody else wants to. */
const niceness = 10;

/** false: the system has no such thing for a thread, and it competes like others. */
export function giveWay(): boolean {
  try {
    // Linux: "PID/task/TID"; a thread has a priority of its own there.
    setPriority(Number(readlinkSync("/proc/thread-self").split("/").at(-1)), niceness);
    return true;
  } catch {
    return false;
  }
}
