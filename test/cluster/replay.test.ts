// A replay in the whole system, beside live data, upkeep and the death of its node: readers see what was sent, each point
// once, whichever generation it is of.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import { streamName } from "../../src/bus/subjects.ts";
import { eventually, System } from "../harness/system.ts";

const step = 10;
const series = 200;

test("P2: a replay goes on through the death of its node, and each point is there once", {
  timeout: 120_000,
}, async (t) => {
  const system = await System.start({ shards: 1, env: { MILLRACE_COMMIT_MS: "50" } });
  t.after(() => system.close());
  const start = Math.floor(Date.now() / 1000 / step) * step - 3600;
  const expected = new Map<string, number>();
  const send = async (from: number, buckets: number) => {
    for (let i = from; i < from + buckets; i++) {
      let body = "";
      for (let s = 0; s < series; s++) {
        const name = `again.s${s}`;
        expected.set(`${name}:sum`, (expected.get(`${name}:sum`) ?? 0) + s + i);
        body += `${name} ${s + i} ${start + i * step}\n`;
      }
      const response = await system.sink(system.demo.writeKey, body);
      assert.equal(response.status, 202, await response.text());
    }
  };
  const seen = async () => {
    const found = await system.render(system.demo.readKey, "again.*:sum", "-2h");
    return new Map(
      found.map((each) => [each.target, each.datapoints.reduce((sum, [value]) => sum + (value ?? 0), 0)]),
    );
  };
  const readsAsSent = async () => {
    let last = new Map<string, number>();
    await eventually("what was sent", async () => {
      last = await seen();
      return [...expected].every(([name, sum]) => last.get(name) === sum);
    }).catch(() => assert.deepEqual(last, expected));
  };

  await send(0, 50);
  await readsAsSent();
  const words = ["--tenant", "demo", "--from", String(start), "--to", String(start + 600), "--json"];
  const would = JSON.parse(await system.millrace("replay", ...words, "--dry-run")) as { frames: number };
  assert.ok(would.frames >= 50, `${would.frames} frames`);
  const swapped = system.nextLog((line) => String(line.msg).startsWith("replay swapped"), "the swap");
  // So slow that it is under way when its node dies.
  await system.millrace("replay", ...words, "--rate", "2000", "--yes");
  const ready = system.nextLog((line) => line.process === "node" && line.msg === "ready", "the next node");
  process.kill(system.pid("node"), "SIGKILL");
  await ready;
  // Late ones of the time that is rebuilt, and live ones.
  await send(20, 40);
  await readsAsSent();
  await swapped;
  await readsAsSent();
  await eventually(
    "its end",
    async () => (await system.millrace("replay", "list", "--json")).trim() === "[]",
  );
  await readsAsSent();

  await t.test(
    "refused, with the earliest possible time, where a single frame of the record is gone",
    async () => {
      const nats = await connect({ servers: `nats://127.0.0.1:${system.natsPort}` });
      const manager = await jetstreamManager(nats);
      const { state } = await manager.streams.info(streamName(0));
      // Not the first: the stream still begins where it began.
      await manager.streams.deleteMessage(streamName(0), state.first_seq + 7);
      await nats.close();
      const refused = await system.millrace("replay", ...words, "--dry-run").then(
        (said) => ({ code: 0, stderr: said }),
        (error: { code: number; stderr: string }) => error,
      );
      assert.equal(refused.code, 1, refused.stderr);
      assert.match(refused.stderr, /does not hold everything .* \d{4}-\d\d-\d\dT/);
      await readsAsSent();
    },
  );
});
