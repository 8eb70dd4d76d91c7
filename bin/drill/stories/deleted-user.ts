// 12 March 2014: a user who was still sending deleted their account. Thirteen aggregation services failed to look that
// user up, queues filled, and nobody's data was written for half an hour.
import type { Story } from "../story.ts";
import { balances } from "../verdict.ts";
import { countText } from "../../words.ts";

export const deletedUser: Story = {
  name: "deleted-user",
  title: "a tenant deletes its account and goes on sending, at full speed, on every door",
  mayBeLate: "nobody",
  shards: 4,
  culpritPauseMs: 2,
  async play(stage) {
    const broken: string[] = [];
    const { name, id, writeKey } = stage.culprit.keys;
    await stage.calmBefore(4000);
    await stage.onCall("tenant", "delete", name, "--yes");
    stage.tell(name, "its senders don't know that yet");
    let status = 0;
    await stage.until("410 for the deleted tenant", async () => {
      const response = await stage.system.sink(writeKey, "after.delete 1");
      await response.arrayBuffer();
      status = response.status;
      return status === 410;
    });
    stage.tell(name, `HTTP answers ${status}`);
    await stage.calm(8000);
    let listed: string[] = [];
    await stage.untilTold("the sender is listed", async () => {
      const senders = JSON.parse(await stage.system.millrace("senders", "--deleted", "--json")) as unknown;
      listed = JSON.stringify(senders).includes(id) ? [id] : [];
      return listed.length > 0;
    });
    await stage.onCall("senders", "--deleted");
    await stage.onCall("tenant", "undelete", id);
    stage.tell(name, "has its account back");
    const yes = ["http", "nats"];
    for (const { door, sender } of stage.culprit.senders) {
      const must = await sender.stop();
      if (!yes.includes(door)) continue;
      await stage
        .until(`what ${name} was told yes to over ${door}`, async () => {
          const counts = await stage.counts(stage.culprit, sender.target);
          return counts.reduce((sum, count) => sum + count, 0) === must;
        })
        .catch(() =>
          broken.push(
            `P1: ${name} was told yes to ${countText(must, "point")} over ${door}, and not as many are there`,
          ),
        );
    }
    stage.culprit.senders = [];
    if (!(await balances(stage, name))) broken.push(`P5: the books of ${name} don't balance`);
    return broken;
  },
};
