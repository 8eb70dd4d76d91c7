// What a client's file needs: a running system, and programs that end with the test.
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Keys, System } from "../harness/system.ts";

export interface Sending {
  system: System;
  keys: Keys;
  /** A folder for the client's own files. */
  folder: string;
  /** Debian's senders, unpacked here. */
  debian: string;
  /** npm's, in node_modules below it. */
  npm: string;
}

export interface Client {
  name: string;
  /** debian, npm: fetched for the tests. */
  from: "machine" | "debian" | "npm";
  /** Sends until all of `expected` can be rendered; settles when it has ended. */
  send(sending: Sending, arrived: () => Promise<void>): Promise<void>;
  /** Targets, and the value that each has then; undefined: any. */
  expected: Record<string, number | undefined>;
}

/** Runs a program to its end with this on its standard input; answers what it said. */
export async function run(program: string, words: readonly string[], input = ""): Promise<string> {
  const child = spawn(program, words, { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => (said += data.toString()));
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${said}`);
  return said;
}

/** Runs a program as long as `body` takes; what it said is in the error of a body that fails. */
export async function during(
  program: string,
  words: readonly string[],
  env: Record<string, string>,
  body: () => Promise<void>,
): Promise<void> {
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => (said += data.toString()));
  const ended = once(child, "close");
  try {
    await body();
  } catch (error) {
    throw new Error(`${program} said: ${said}`, { cause: error });
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}
