// A line that kills whoever reads it: it throws, hangs, eats all memory, ends the thread. Each must cost itself alone.
import type { Story } from "../story.ts";
import { openLetters, shardWell } from "./look.ts";

const deadly = ["throw", "heap", "exit", "loop"];

export const poison: Story = {
  name: "poison",
  title:
    "one tenant's lines kill the actor that reads them: by a throw, by hanging, by memory, by ending its thread",
  mayBeLate: "shard",
  shards: 4,
  env: { MILLRACE_STALL_MS: "2000", MILLRACE_HEAP_MB: "128" },
  culpritPauseMs: 50,
  async play(stage) {
    const { name } = stage.culprit.keys;
    const shard = stage.culprit.shards[0] as number;
    await stage.calm(2000);
    for (const way of deadly) {
      await stage.culpritSays("drill.before 1", `millrace-fault.${way}.drill 1`, "drill.after 1");
      stage.tell(name, `sends a line that makes its reader ${way === "throw" ? "throw" : `end by ${way}`}`);
      await stage.calm(1000);
    }
    await stage.until(
      "the deadly lines are dead letters",
      async () => (await openLetters(stage, name)) >= deadly.length,
    );
    await stage.onCall("dead", "list", "--tenant", name);
    await stage.until(`shard ${shard} is well`, () => shardWell(stage, shard));
    const lines = ["drill.before", "drill.after"];
    const broken: string[] = [];
    for (const line of lines) {
      const [count = 0] = await stage.counts(stage.culprit, `${line}:count`);
      if (count < deadly.length - 1)
        broken.push(
          `P3: beside the deadly lines ${deadly.length} good ones were sent, ${count} of ${line} are there`,
        );
    }
    return broken;
  },
};
