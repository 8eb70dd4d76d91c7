// Drills with short waits, as tests: lost, doubled, late and unbalanced are what they judge by themselves.
import assert from "node:assert/strict";
import { test } from "node:test";
import { play } from "../../bin/drill/drill.ts";
import { stories } from "../../bin/drill/stories/index.ts";
import type { Story } from "../../bin/drill/story.ts";

/** A test for each, one after the other. */
export function played(...names: Story["name"][]): void {
  for (const story of stories.filter(({ name }) => names.includes(name)))
    test(`drill ${story.name}: ${story.title}`, { timeout: 200_000 }, async () => {
      const said: string[] = [];
      const report = await play(story, { short: true }, (line) => void said.push(line));
      assert.deepEqual(report.verdict.broken, [], said.join("\n"));
      assert.equal(report.ok, true);
      const sent = report.verdict.tenants.map((each) => each.sent);
      assert.ok(
        sent.length === 3 && sent.every((points) => points > 1000),
        `the bystanders sent: ${sent.join(", ")}`,
      );
    });
}
