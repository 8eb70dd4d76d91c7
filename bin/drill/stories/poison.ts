// Lines that kill whoever reads them. Each must cost itself alone; a tenant that goes on sending them, itself alone.
import type { Stage } from "../stage.ts";
import type { Story } from "../story.ts";
import { balances } from "../verdict.ts";
import { openLetters, shardWell } from "./look.ts";
import { countText } from "../../words.ts";

export const poison: Story = {
  name: "poison",
  title: "one tenant's lines kill the actor that reads them: by a throw, by hanging, by ending its thread",
  mayBeLate: "shard",
  shards: 4,
  env: { MILLRACE_STALL_MS: "1000" },
  culpritPauseMs: 100,
  async play(stage) {
    const { name } = stage.culprit.keys;
    const shard = stage.culprit.shards[0] as number;
    const broken: string[] = [];
    await stage.calmBefore(2000);
    let sent = 0;
    for (const way of ["throw", "loop"]) {
      await strike(stage, way);
      sent++;
      await stage.until(
        "the line is a dead letter",
        async () => (await openLetters(stage, name)).length >= sent,
      );
      await stage.until(`shard ${shard} is well`, () => shardWell(stage, shard));
    }
    await stage
      .until("the good lines beside them", async () =>
        (await goodLines(stage)).every((count) => count >= sent),
      )
      .catch(() => broken.push(`P3: good lines beside ${sent} deadly ones are missing`));
    await strike(stage, "exit");
    await stage.until("the tenant is quarantined", async () =>
      (await openLetters(stage, name)).some(({ reason }) => reason === "quarantined"),
    );
    stage.tell(name, "is quarantined: all it sends is kept as dead letters");
    for (const each of stage.culprit.senders) each.sent ??= await each.sender.stop();
    await stage.onCall("dead", "list", "--tenant", name);
    for (const { id, reason } of await openLetters(stage, name))
      if (reason === "poison") await stage.onCall("dead", "drop", id, "--yes");
    await stage.onCall("dead", "retry", "--tenant", name, "--yes");
    for (const { door, sender, sent: must = 0 } of stage.culprit.senders) {
      if (door === "udp" || door === "statsd") continue;
      await stage
        .until(`what ${name} sent over ${door}`, async () => {
          const counts = await stage.counts(stage.culprit, sender.target);
          return counts.reduce((sum, count) => sum + count, 0) === must;
        })
        .catch(() =>
          broken.push(`P2: ${name} sent ${countText(must, "point")} over ${door}, and not as many are there`),
        );
    }
    stage.tell(name, "is back: what was kept is in its graphs, once");
    if (!(await balances(stage, name))) broken.push(`P5: the books of ${name} don't balance`);
    return broken;
  },
};

async function strike(stage: Stage, way: string): Promise<void> {
  await stage.culpritSays("drill.before 1", `millrace-fault.${way}.drill 1`, "drill.after 1");
  const how = { throw: "throw", loop: "hang", exit: "end" }[way] ?? way;
  stage.tell(stage.culprit.keys.name, `sends a line that makes its reader ${how}`);
}

async function goodLines(stage: Stage): Promise<number[]> {
  const counts = ["drill.before", "drill.after"].map((line) => stage.counts(stage.culprit, `${line}:count`));
  return (await Promise.all(counts)).map(([count = 0]) => count);
}
