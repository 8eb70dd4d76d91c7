// A bench's side of the sender (sender.ts): it is started, told what to send, and says what that cost it.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { FromSender, Load, ToSender } from "./sender.ts";

const file = new URL(`./sender${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`, import.meta.url);

export class Sender {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = new Promise((_, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the sender ended with ${code}`)));
    });
    this.#ended.catch(() => {});
  }

  /** Settles when its lines are made and it is connected. */
  static async start(load: Load): Promise<Sender> {
    const sender = new Sender(fork(fileURLToPath(file), { stdio: "inherit" }));
    const ready = sender.#next("ready");
    sender.#tell({ kind: "prepare", load });
    await ready;
    return sender;
  }

  /** Settles when it begins; `done` when the system has taken everything from it. */
  async send(points: number, rate: number): Promise<{ done: Promise<{ cpuSeconds: number }> }> {
    const started = this.#next("started");
    const done = this.#next("done");
    done.catch(() => {});
    this.#tell({ kind: "send", points, rate });
    await started;
    return { done };
  }

  async end(): Promise<void> {
    const gone = once(this.#child, "exit");
    this.#tell({ kind: "end" });
    await gone;
  }

  #tell(message: ToSender): void {
    this.#child.send(message);
  }

  #next<K extends FromSender["kind"]>(kind: K): Promise<Extract<FromSender, { kind: K }>> {
    const told = new Promise<Extract<FromSender, { kind: K }>>((resolve) => {
      const listen = (message: FromSender) => {
        if (message.kind !== kind) return;
        this.#child.off("message", listen);
        resolve(message as Extract<FromSender, { kind: K }>);
      };
      this.#child.on("message", listen);
    });
    return Promise.race([told, this.#ended]);
  }
}
