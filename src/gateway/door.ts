// What every door is opened with, and what it gives back. A new door is a new file and a line in doors.ts.
import type { Clock } from "../base/clock.ts";
import type { Counters } from "../base/counters.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Bus } from "../bus/bus.ts";
import type { Address, Settings } from "../config/settings.ts";
import type { Door, Kind } from "../metric/frame.ts";
import type { ConnectionBounds } from "./connection-bounds.ts";
import type { Refusals } from "./refusals.ts";
import type { RequestAcceptor } from "./request.ts";
import type { Routes } from "./routes.ts";
import type { LineSink, SinkConnection } from "./sink.ts";

export interface DoorContext {
  settings: Settings;
  bus: Bus;
  routes: Routes;
  clock: Clock;
  random: Random;
  counters: Counters;
  log: Log;
  /** Of all doors that have connections. */
  bounds: ConnectionBounds;
  /** A sink for each connection (or sender) of a raw door; it takes bytes as they come, keys in front. */
  sinks(door: Door, kind: Kind): (peer: string, connection?: SinkConnection) => LineSink;
  /** Takes all lines of a datagram at once and never waits: what has no room is refused, and counted. */
  datagrams(door: Door, kind: Kind): (bytes: Buffer, peer: string) => void;
  refusals: Refusals;
  /** For doors that can answer. */
  acceptor(door: Door): RequestAcceptor;
  health(): { ok: boolean; [field: string]: unknown };
}

export interface OpenDoor {
  /** Where it listens, by the name that the greeting and the log use. */
  addresses: Record<string, Address>;
  /** Stops taking connections, gives those there are a moment to finish, takes what has arrived. */
  close(): Promise<void>;
}

/** undefined: the settings say off. */
export type DoorOpener = (context: DoorContext) => Promise<OpenDoor | undefined>;
