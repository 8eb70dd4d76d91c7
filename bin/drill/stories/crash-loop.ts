// An actor that dies as often as it starts, whatever it reads: its shard is failed for a person, and the others run on.
import { connect } from "nats";
import { faultSubject } from "../../../src/bus/subjects.ts";
import type { Story } from "../story.ts";
import { shardState, shardWell } from "./look.ts";

export const crashLoop: Story = {
  name: "crash-loop",
  title: "an actor is killed as often as it starts, until its shard is failed; on-call restarts it",
  mayBeLate: "shard",
  shards: 4,
  // Commits too seldom for an actor that lives for a moment: no progress.
  env: { MILLRACE_COMMIT_MS: "500" },
  culpritPauseMs: 50,
  async play(stage) {
    const shard = stage.culprit.shards[0] as number;
    await stage.calmBefore(2000);
    stage.tell(`shard ${shard}`, "its actor is killed as often as it starts");
    const nats = await connect({ servers: `nats://127.0.0.1:${stage.system.natsPort}` });
    try {
      await stage.until(`shard ${shard} is failed`, async () => {
        await nats.request(faultSubject, String(shard), { timeout: 2000 }).catch(() => undefined);
        return (await shardState(stage, shard)) === "failed";
      });
    } finally {
      await nats.close();
    }
    stage.tell(`shard ${shard}`, "is failed: a person has to look");
    await stage.onCall("shard", "show", String(shard));
    await stage.calm(3000);
    await stage.onCall("shard", "restart", String(shard));
    await stage.until(`shard ${shard} is well`, () => shardWell(stage, shard));
    stage.tell(`shard ${shard}`, "runs");
    return [];
  },
};
