// What the contract suites of the bus share.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isOutage, messageOf, type OutageCode } from "../../src/base/errors.ts";
import type { Bus } from "../../src/bus/bus.ts";

export interface BusWorld {
  bus: Bus;
  /** A further connection to the same broker. */
  another(): Promise<Bus>;
  /** The broker is gone as by a power cut: connections are lost, what it acknowledged is not. */
  crash(): Promise<void>;
  /** It is back; connections come back by themselves. */
  recover(): Promise<void>;
  /** Somebody deletes the shard's stream. */
  deleteStream(shard: number): Promise<void>;
  passMs(ms: number): Promise<void>;
  close(): Promise<void>;
}

export const caps = { bytesMax: 16 * 1024 * 1024, duplicateWindowMs: 60_000 };

type Case = (what: string, body: (world: BusWorld, bus: Bus) => Promise<void>) => void;

/** Declares tests, each in a world of its own. What never comes ends the test after a minute. */
export function cases(name: string, makeWorld: () => Promise<BusWorld>): Case {
  return (what, body) => {
    test(`${name}: ${what}`, { timeout: 60_000 }, async () => {
      const world = await makeWorld();
      try {
        await body(world, world.bus);
      } finally {
        await world.close();
      }
    });
  };
}

/** The action fails with an Outage of this code. */
export async function outage(code: OutageCode, action: Promise<unknown>): Promise<void> {
  const result = await action.then(
    () => "it settled",
    (error: unknown) => (isOutage(error) ? error.code : messageOf(error)),
  );
  assert.equal(result, code);
}
