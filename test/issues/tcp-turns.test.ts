// One connection that floods handed in up to 2 MB before any other socket was looked at: with lines that are dear to
// refuse, every other sender waited half a second per flooding connection.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { Counters } from "../../src/base/counters.ts";
import { ConnectionBounds } from "../../src/gateway/connection-bounds.ts";
import { openStreamDoor } from "../../src/gateway/connections.ts";

const floodBytes = 8 << 20;
/** A turn ends with the chunk that passes 64 KB, and a chunk has at most that. */
const turnBytesMost = 128 << 10;

test("T4: a connection that floods hands in no more than its turn, and all of it in the end", async () => {
  let taken = 0;
  let inTurn = 0;
  let most = 0;
  let settle = () => {};
  const all = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const door = await openStreamDoor({
    name: "tcp",
    listen: { host: "127.0.0.1", port: 0 },
    setting: "MILLRACE_TCP_LISTEN",
    bounds: new ConnectionBounds(10, 10),
    idleMsMax: 10_000,
    counters: new Counters(),
    clock: systemClock,
    newSink: () => ({
      take(chunk) {
        if (inTurn === 0) setImmediate(() => (inTurn = 0));
        inTurn += chunk.length;
        most = Math.max(most, inTurn);
        taken += chunk.length;
        return undefined;
      },
      end() {
        settle();
        return undefined;
      },
    }),
  });
  const socket = connect(door.address.port, "127.0.0.1");
  socket.end(Buffer.alloc(floodBytes, "x\n"));
  await all;
  await door.close();
  assert.equal(taken, floodBytes);
  assert(most <= turnBytesMost, `${most} bytes in one turn`);
});
