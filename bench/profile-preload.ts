// Loaded into every process and thread of a system under a bench that profiles (profile.ts): takes a CPU profile of its
// thread between two SIGUSR2 of its process, so that start and stop of the system are not in it.
//
// A thread says by `NAME.started` that there will be a `NAME.cpuprofile`. NAME is pid, thread and what it runs.
import { writeFileSync, renameSync } from "node:fs";
import { Session, type Profiler } from "node:inspector";
import { basename, join } from "node:path";
import { isMainThread, threadId } from "node:worker_threads";

const folder = process.env["BENCH_PROFILE_FOLDER"];
const intervalUs = 500;
const [, program = "", word = ""] = process.argv;

if (folder !== undefined && word !== "up") {
  const session = new Session();
  session.connect();
  const what = isMainThread ? "main" : basename(program, ".js").replace(/[^a-z-]/g, "");
  const name = join(folder, `${process.pid}.${threadId}.${what === "" ? "thread" : what}`);
  const channel = new BroadcastChannel("bench-profile");
  let running = false;
  const turn = () => {
    running = !running;
    if (running) {
      session.post("Profiler.enable");
      session.post("Profiler.setSamplingInterval", { interval: intervalUs });
      session.post("Profiler.start");
      writeFileSync(`${name}.started`, "");
    } else
      session.post("Profiler.stop", (error: Error | null, { profile }: Profiler.StopReturnType) => {
        if (error !== null) throw error;
        writeFileSync(`${name}.part`, JSON.stringify(profile));
        renameSync(`${name}.part`, `${name}.cpuprofile`);
      });
  };
  if (isMainThread)
    process.on("SIGUSR2", () => {
      channel.postMessage("turn");
      turn();
    });
  else channel.addEventListener("message", turn);
  channel.unref();
}
