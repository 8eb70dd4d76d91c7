// A thread that was started ahead of its need: it has read its code and waits for its task.
import { receiveMessageOnPort, workerData, type MessagePort } from "node:worker_threads";
import { assert } from "../src/base/assert.ts";
import { createKernelAggregator } from "../src/kernel/kernel-aggregator.ts";
import type { ShardThreadData, SpareThreadData } from "./messages.ts";

/** The thread's task: at once, or when the spare thread is needed. What comes behind it stays on the port. */
export function awaitTask(port: MessagePort): ShardThreadData {
  const data = workerData as ShardThreadData | SpareThreadData;
  if (!("spare" in data)) return data;
  // The kernel is compiled once a thread.
  createKernelAggregator({ stepSeconds: 1, seed: new Uint8Array(8) });
  Atomics.wait(data.spare, 0, 0);
  const told = receiveMessageOnPort(port);
  assert(told !== undefined, "the task is there when the thread is woken");
  return told.message as ShardThreadData;
}
