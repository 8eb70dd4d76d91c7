// A shard hangs and a backlog grows behind it. On-call skips to live, and the backlog drains behind.
import type { Story } from "../story.ts";
import { shardWell } from "./look.ts";

const liveWithinMs = 5000;

export const stalledShard: Story = {
  name: "stalled-shard",
  title: "a shard hangs, its backlog grows; on-call skips it to live, and the backlog drains behind",
  mayBeLate: "shard",
  shards: 4,
  env: { MILLRACE_STALL_MS: "1500" },
  culpritPauseMs: 10,
  async play(stage) {
    const broken: string[] = [];
    const shard = String(stage.culprit.shards[0]);
    await stage.calmBefore(2000);
    await stage.culpritSays("drill.before 1", "millrace-fault.loop.drill 1", "drill.after 1");
    stage.tell(stage.culprit.keys.name, "sends a line that hangs its reader");
    await stage.calm(6000);
    await stage.onCall("shard", "skip", shard, "--dry-run");
    const { tookMs } = (await stage.asked("shard", "skip", shard, "--yes")) as { tookMs: number };
    stage.tell(`shard ${shard}`, `live again after ${(tookMs / 1000).toFixed(1)} s`);
    if (tookMs > liveWithinMs) broken.push(`skip took ${Math.round(tookMs)} ms, more than ${liveWithinMs}`);
    await stage.until(`shard ${shard} is well`, () => shardWell(stage, Number(shard)));
    await stage.onCall("backfill", "list");
    await stage.untilTold(
      "the backlog has drained",
      async () => ((await stage.quietly("backfill", "list")) as unknown[]).length === 0,
    );
    stage.tell(`shard ${shard}`, "its backlog has drained");
    return broken;
  },
};
