// Where things lie below MILLRACE_HOME, and where NATS is.
import { join } from "node:path";
import { formatAddress, type Settings } from "./settings.ts";

type At = Pick<Settings, "home">;

export function storeFolder(settings: At): string {
  return join(settings.home, "store");
}

export function natsFolder(settings: At): string {
  return join(settings.home, "nats");
}

/** A gateway's spool, by its name: the next start of that name finds it. */
export function spoolFolder(settings: At & Pick<Settings, "gateway">): string {
  return join(settings.home, "spool", settings.gateway);
}

/** The local copy of the directory, one per process: they write it independently. */
export function directoryFile(settings: At, process: string): string {
  return join(settings.home, "directory", `${process}.json`);
}

/** What the coordinator puts into a new record after a restore. */
export function restoredFile(settings: At): string {
  return join(settings.home, "restored.json");
}

/** There while a restore changes what lies in the home: nothing may start on it. */
export function restoringFile(settings: At): string {
  return join(settings.home, "restoring.json");
}

export function demoFile(settings: At): string {
  return join(settings.home, "demo.json");
}

/** For the owner alone. */
export function adminTokenFile(settings: At): string {
  return join(settings.home, "admin.token");
}

export function lockFile(settings: At): string {
  return join(settings.home, "lock");
}

export function natsUrlOf(settings: Pick<Settings, "natsUrl" | "natsListen">): string {
  return settings.natsUrl === "" ? `nats://${formatAddress(settings.natsListen)}` : settings.natsUrl;
}

/** A URL for the log. */
export function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//");
}
