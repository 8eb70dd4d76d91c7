// An actor in a process of its own, for a shard that takes whole processes along when it dies. The process runs the same
// thread (shard-process.ts); its main thread does nothing but pass messages on and say what the actor does, so an actor
// that loops for ever is seen from here as well.
import { fork } from "node:child_process";
import { once } from "node:events";
import type { CellReading } from "../src/base/actor-cell.ts";
import { messageOf } from "../src/base/errors.ts";
import type { FromShard, ShardTask, ToShard } from "../workers/messages.ts";
import { entryUrl, type Death, type StartHosted } from "./hosted.ts";

export type ToProcess = { kind: "start"; task: ShardTask } | { kind: "message"; message: ToShard };

export type FromProcess =
  | { kind: "message"; message: FromShard }
  | { kind: "reading"; reading: CellReading; residentBytes: number }
  | { kind: "died"; death: Death };

export const startProcess: StartHosted = (task, onMessage) => {
  const child = fork(entryUrl("./shard-process"), [], {
    serialization: "advanced",
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const send = (message: ToProcess): void => {
    // One that is gone says so by its exit.
    if (child.connected) child.send(message, () => {});
  };
  let death: Death | undefined;
  let said: { reading: CellReading; residentBytes: number } = {
    reading: { doing: "idle", sequence: 0, beats: 0 },
    residentBytes: 0,
  };
  child.on("message", (message: FromProcess) => {
    if (message.kind === "message") onMessage(message.message);
    else if (message.kind === "reading") said = message;
    else death = message.death;
  });
  child.on("error", (error) => {
    death ??= { cause: "error", why: messageOf(error) };
  });
  // What it said last comes before the channel closes, and may come after the exit.
  const exited = Promise.all([once(child, "exit"), once(child, "disconnect")]).then(
    ([[code, signal]]): Death => death ?? deathOf(code as number | null, signal as string | null),
    // No process came to be.
    (error: unknown): Death => ({ cause: "error", why: messageOf(error) }),
  );
  send({ kind: "start", task });
  return {
    kind: "process",
    id: child.pid ?? -1,
    post: (message) => send({ kind: "message", message }),
    reading: () => said.reading,
    residentBytes: () => said.residentBytes,
    end: async () => {
      child.kill("SIGKILL");
      await exited;
    },
    exited,
  };
};

function deathOf(code: number | null, signal: string | null): Death {
  return signal === null
    ? { cause: "exit", why: `its process ended with exit ${code}` }
    : { cause: "signal", why: `its process ended by ${signal}` };
}
