// Entry of an actor's own process: starts the actor's thread as a node does, and passes on what it says.
//
// It ends with its actor, and at once when its node is gone: the record and the store are made for that. Signals that a
// terminal sends to all are the node's to answer.
import { startThread, type Hosted } from "./hosted.ts";
import type { FromProcess, ToProcess } from "./hosted-process.ts";

const readingEveryMs = 100;

let hosted: Hosted | undefined;
const tell = (message: FromProcess, sent: () => void = () => {}): void => {
  if (process.connected) process.send?.(message, sent);
};

process.on("message", (message: ToProcess) => {
  if (message.kind === "message") {
    hosted?.post(message.message);
    return;
  }
  const actor = startThread(message.task, (said) => tell({ kind: "message", message: said }));
  hosted = actor;
  setInterval(() => {
    tell({ kind: "reading", reading: actor.reading(), residentBytes: actor.residentBytes() });
  }, readingEveryMs);
  void actor.exited.then((death) => tell({ kind: "died", death }, () => process.exit(0)));
});
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
