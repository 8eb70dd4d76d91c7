// What every bus must do with messages that nobody keeps: broadcasts, and what senders publish.
import assert from "node:assert/strict";
import type { ReceivedMessage } from "../../src/bus/bus.ts";
import { Heard, bytes, connectedAgain, text } from "../bus/listen.ts";
import { cases, type BusWorld } from "./bus-world.ts";

export function talkContract(name: string, makeWorld: () => Promise<BusWorld>): void {
  const f = cases(name, makeWorld);

  f("a broadcast is heard by all who listen, the speaker too, until they stop", async (world, bus) => {
    const other = await world.another();
    const heard = new Heard();
    const said: string[] = [];
    const on = (who: string) => (payload: Uint8Array) => {
      said.push(`${who} ${text(payload)}`);
      heard.changed();
    };
    const stop = await bus.listen("talk.a", on("own"));
    await other.listen("talk.a", on("other"));
    await other.listen("talk.b", on("elsewhere"));
    bus.broadcast("talk.a", bytes("1"));
    await heard.until(() => said.length === 2);
    stop();
    other.broadcast("talk.a", bytes("2"));
    await heard.until(() => said.length === 3);
    assert.deepEqual(said.toSorted(), ["other 1", "other 2", "own 1"]);
    await other.close();
  });

  f(
    "members of a queue share what comes, each message taken once, subjects by pattern",
    async (world, bus) => {
      const other = await world.another();
      const heard = new Heard();
      const taken: string[] = [];
      const on = (message: ReceivedMessage) => {
        const { subject, data, reply } = message;
        taken.push(`${subject} ${text(data)} ${String(reply)} ${String(message.header("Some"))}`);
        heard.changed();
      };
      const stops = [await bus.receive("send.>", "q", on), await other.receive("send.>", "q", on)];
      for (let i = 0; i < 20; i++) other.broadcast(i % 2 === 0 ? "send.a" : "send.a.b", bytes(String(i)));
      other.broadcast("send", bytes("no"));
      await heard.until(() => taken.length >= 20);
      // What was taken twice has come when something that was sent later has.
      const after = new Heard();
      let over = false;
      await bus.listen("after", () => {
        over = true;
        after.changed();
      });
      other.broadcast("after", bytes("end"));
      await after.until(() => over);
      assert.equal(taken.length, 20);
      assert.equal(new Set(taken).size, 20);
      assert.ok(taken.includes("send.a.b 1 undefined undefined"), taken.join());
      for (const stop of stops) stop();
      await other.close();
    },
  );

  f(
    "listening goes on after a lost connection; without one nothing is heard and nothing fails",
    async (world, bus) => {
      const heard = new Heard();
      const said: string[] = [];
      await bus.listen("talk", (payload) => {
        said.push(text(payload));
        heard.changed();
      });
      await world.crash();
      bus.broadcast("talk", bytes("lost"));
      await world.recover();
      await connectedAgain(bus);
      bus.broadcast("talk", bytes("back"));
      await heard.until(() => said.includes("back"));
      assert.deepEqual(said, ["back"]);
    },
  );
}
