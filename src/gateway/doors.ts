// All doors, in the order in which they open.
import type { DoorOpener } from "./door.ts";
import { httpDoor } from "./http.ts";
import { natsDoor } from "./nats.ts";
import { pickleDoor } from "./pickle.ts";
import { statsdDoor } from "./statsd.ts";
import { tcpDoor } from "./tcp.ts";
import { tlsDoor } from "./tls.ts";
import { udpDoor } from "./udp.ts";

export const doors: readonly DoorOpener[] = [
  tcpDoor,
  tlsDoor,
  udpDoor,
  pickleDoor,
  statsdDoor,
  httpDoor,
  natsDoor,
];
