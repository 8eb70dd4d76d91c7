// Plaintext lines over TLS: the same as over TCP, behind a handshake.
import { openStreamDoor } from "./connections.ts";
import type { DoorOpener } from "./door.ts";
import { openTlsFiles } from "./tls-files.ts";

export const tlsDoor: DoorOpener = async (context) => {
  const { settings, bounds, counters, clock } = context;
  const setting = "MILLRACE_TLS_LISTEN";
  if (settings.tlsListen === "off") return undefined;
  return await openStreamDoor({
    name: "tls",
    listen: settings.tlsListen,
    setting,
    secure: await openTlsFiles(context, setting),
    bounds,
    idleMsMax: settings.tcpIdle,
    counters,
    clock,
    newSink: context.sinks("tls", "plaintext"),
  });
};
