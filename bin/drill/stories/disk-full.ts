// One tenant fills the store of its shard. That shard says no, the others go on; with room it goes on where it stopped.
import type { Story } from "../story.ts";

export const diskFull: Story = {
  name: "disk-full",
  title: "one tenant fills its shard's share of the disk; on-call gives the system more room",
  mayBeLate: "everybody",
  shards: 4,
  env: { MILLRACE_DISK_BUDGET: "160MB", MILLRACE_TENANT_SERIES: "off" },
  culpritPauseMs: 200,
  async play(stage) {
    const { name, writeKey } = stage.culprit.keys;
    const shard = stage.culprit.shards[0] as number;
    await stage.calmBefore(2000);
    stage.tell(name, "sends ever new series");
    let made = 0;
    await stage.until(`the store of shard ${shard} is full`, async () => {
      const lines = Array.from({ length: 5000 }, () => `fill.${made++}.${"x".repeat(80)} 1\n`).join("");
      const response = await stage.system.sink(writeKey, lines).catch(() => undefined);
      await response?.arrayBuffer();
      const health = await stage.system.nodeHealth();
      return health.shards.some((each) => each.shard === shard && each.why.includes("store-full"));
    });
    stage.tell(`shard ${shard}`, "its store is full: it waits, and the record keeps what comes");
    await stage.calm(3000);
    await stage.onCall("shard", "show", String(shard));
    await stage.endSenders();
    stage.tell("on-call", "restarts the system with MILLRACE_DISK_BUDGET=640MB");
    await stage.system.stop();
    stage.system.env["MILLRACE_DISK_BUDGET"] = "640MB";
    await stage.system.up();
    await stage.until("all shards run", async () => (await stage.system.nodeHealth()).ok);
    stage.tell("doors", "say yes to everybody again");
    return [];
  },
};
