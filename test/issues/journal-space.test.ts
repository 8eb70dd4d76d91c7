// The audit log's stream is opened anew by each coordinator, and the server's space may be reserved to the last byte then,
// by this stream too. A skip at night must not be refused because the coordinator was restarted.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startNatsServer } from "../harness/nats-server.ts";
import { open } from "../bus/real.ts";

const bytesMax = 1 << 20;

test("a journal is opened again, larger or smaller too, where the server has no space left to reserve", async () => {
  const server = await startNatsServer({ maxFileStore: bytesMax });
  try {
    for (const bytes of [bytesMax, bytesMax, bytesMax / 2, bytesMax]) {
      const bus = await open(server);
      const journal = await bus.journal("MR_TEST", { bytesMax: bytes, keptMs: 3_600_000 });
      await journal.append(Buffer.from("entry"));
      await bus.close();
    }
    const bus = await open(server);
    const journal = await bus.journal("MR_TEST", { bytesMax, keptMs: 3_600_000 });
    assert.equal((await journal.last(10)).length, 4);
    await bus.close();
  } finally {
    await server.close();
  }
});
