// A gateway with open doors on the memory bus, and ways to dial them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { readSettings } from "../../src/config/settings.ts";
import { openGateway, type Gateway } from "../../src/gateway/gateway.ts";
import { eventually } from "../harness/system.ts";
import { anyPorts, withGateway, type GatewayWorld } from "./world.ts";

export interface Doors extends GatewayWorld {
  gateway: Gateway;
  dial(): Promise<Socket>;
  post(
    key: string,
    body: string,
    headers?: Record<string, string>,
  ): Promise<[number, Record<string, unknown>]>;
}

export async function withDoors(
  env: Record<string, string>,
  body: (doors: Doors) => Promise<void>,
): Promise<void> {
  await withGateway(async (world) => {
    const settings = readSettings({
      MILLRACE_HOME: world.folder,
      ...anyPorts,
      MILLRACE_SHARDS: "2",
      ...env,
    });
    const { own, directory, counters } = world;
    const gateway = await openGateway({
      settings,
      bus: own,
      directory,
      clock: systemClock,
      random: seededRandom(2),
      counters,
      log: world.heard.log,
    });
    const sockets: Socket[] = [];
    const dial = async () => {
      const socket = connect(gateway.addresses["tcp"]?.port ?? 0, "127.0.0.1");
      socket.on("error", () => {});
      sockets.push(socket);
      await once(socket, "connect");
      return socket;
    };
    const post = async (key: string, text: string, headers: Record<string, string> = {}) => {
      const response = await fetch(`http://127.0.0.1:${gateway.addresses["http"]?.port}/api/v1/sink`, {
        method: "POST",
        headers: { Authorization: `Bearer ${key}`, ...headers },
        body: text,
      });
      return [response.status, await response.json()] as [number, Record<string, unknown>];
    };
    try {
      await body(Object.assign(world, { gateway, dial, post }));
      const { writeKey, readKey } = world.members[0];
      assert.doesNotMatch(world.heard.text.join("") + counters.text(), new RegExp(`${writeKey}|${readKey}`));
    } finally {
      for (const socket of sockets) socket.destroy();
      own.reconnect();
      assert.equal(await gateway.close(3000), 0);
    }
  });
}

/** Settles when shard 0 has exactly these lines. */
export function has(doors: Doors, lines: readonly string[]): Promise<void> {
  return eventually(`the lines ${lines.slice(0, 5).join(", ")}`, async () => {
    const found = await doors.lines(0);
    return found.length === lines.length && found.every((line, i) => line === lines[i]);
  });
}
