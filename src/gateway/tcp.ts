// Plaintext lines over TCP.
import { openStreamDoor } from "./connections.ts";
import type { DoorOpener } from "./door.ts";

export const tcpDoor: DoorOpener = async (context) => {
  const { settings, bounds, counters, clock } = context;
  return await openStreamDoor({
    name: "tcp",
    listen: settings.tcpListen,
    setting: "MILLRACE_TCP_LISTEN",
    bounds,
    idleMsMax: settings.tcpIdle,
    counters,
    clock,
    newSink: context.sinks("tcp", "plaintext"),
  });
};
