// StatsD lines, `KEY.` in front of each name, over TCP and UDP on one port.
import { openStreamDoor } from "./connections.ts";
import type { DoorOpener } from "./door.ts";
import { openUdpDoor } from "./udp.ts";

const setting = "MILLRACE_STATSD_LISTEN";

export const statsdDoor: DoorOpener = async (context) => {
  const { settings, bounds, counters, log, clock } = context;
  if (settings.statsdListen === "off") return undefined;
  const tcp = await openStreamDoor({
    name: "statsd",
    listen: settings.statsdListen,
    setting,
    bounds,
    idleMsMax: settings.tcpIdle,
    counters,
    clock,
    newSink: context.sinks("statsd", "statsd"),
  });
  try {
    const udp = await openUdpDoor({
      name: "statsd",
      // Where any port would do, both have the same.
      listen: tcp.address,
      setting,
      receiveBufferBytes: settings.udpReceiveBuffer,
      sockets: settings.udpSockets,
      onDatagram: context.datagrams("statsd", "statsd"),
      counters,
      log,
      clock,
    });
    return {
      addresses: { statsd: tcp.address },
      async close() {
        await Promise.all([tcp.close(), udp.close()]);
      },
    };
  } catch (error) {
    await tcp.close();
    throw error;
  }
};
