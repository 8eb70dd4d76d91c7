// The record's server dies and does not come back for a while. Doors that answer say no; the others spool.
import type { Story } from "../story.ts";

export const natsDown: Story = {
  name: "nats-down",
  title: "nats-server is killed again and again for some seconds: nobody can record anything",
  mayBeLate: "everybody",
  shards: 4,
  culpritPauseMs: 50,
  async play(stage) {
    const broken: string[] = [];
    await stage.calmBefore(3000);
    stage.tell("nats-server", "is killed, and killed again whenever it is back");
    let away = true;
    const killing = (async () => {
      while (away) {
        try {
          process.kill(stage.system.pid("nats-server"), "SIGKILL");
        } catch {
          // It is not back yet.
        }
        await stage.calm(200);
      }
    })();
    let noes = 0;
    await stage.until("a no while nothing can be recorded", async () => {
      const response = await stage.system.sink(stage.culprit.keys.writeKey, "drill.unrecorded 1");
      await response.arrayBuffer();
      noes += response.status === 503 ? 1 : 0;
      return noes > 0;
    });
    stage.tell("http", "answers 503: a clear no");
    await stage.calm(8000);
    away = false;
    await killing;
    stage.tell("nats-server", "is left alone");
    await stage.until("a yes again", async () => {
      const response = await stage.system.sink(stage.culprit.keys.writeKey, "drill.again 1");
      await response.arrayBuffer();
      return response.status === 202;
    });
    const { shards } = await stage.system.nodeHealth();
    const failed = shards.filter(({ state }) => state === "failed");
    if (failed.length > 0)
      broken.push(`P7: waiting for NATS failed shards ${failed.map((each) => each.shard).join(", ")}`);
    stage.tell("doors", "say yes again");
    return broken;
  },
};
