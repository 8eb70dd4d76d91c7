// `millrace drill NAME`: plays a story on a private system, prints what on-call would have seen, and ends with a verdict.
//
// L1. Exit code 0: every promise was kept. 1: one was broken, or the story could not be played.
import { messageOf } from "../../src/base/errors.ts";
import { Stage } from "./stage.ts";
import type { Story } from "./story.ts";
import { stories } from "./stories/index.ts";
import type { Moment } from "./timeline.ts";
import { verdictOf, type Verdict } from "./verdict.ts";

export interface DrillOptions {
  json: boolean;
  /** Shorter waits. */
  short: boolean;
}

export interface DrillReport {
  drill: string;
  title: string;
  ok: boolean;
  seconds: number;
  timeline: Moment[];
  verdict: Verdict;
}

const shortPace = 0.4;

export async function drillCommand(name: string, options: DrillOptions): Promise<void> {
  const story = stories.find((each) => each.name === name);
  if (story === undefined) {
    process.stderr.write(
      `millrace: there is no drill ${name}: ${stories.map((each) => each.name).join(", ")}\n`,
    );
    process.exit(1);
  }
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  try {
    const report = await play(story, options, say);
    process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : verdictText(report));
    process.exit(report.ok ? 0 : 1);
  } catch (error) {
    process.stderr.write(`millrace: the drill could not be played: ${messageOf(error)}\n`);
    process.exit(1);
  }
}

export async function play(
  story: Story,
  { short }: { short: boolean },
  say: (line: string) => void,
): Promise<DrillReport> {
  say(`${story.name}: ${story.title}`);
  const stage = await Stage.open({
    shards: story.shards,
    env: story.env ?? {},
    pace: short ? shortPace : 1,
    say,
  });
  try {
    await stage.send(story.culpritPauseMs);
    const seen = await story.play(stage);
    stage.tell("drill", "senders stop; what they sent is counted");
    const verdict = await verdictOf(stage, story.mayBeLate);
    const broken = [...seen, ...verdict.broken];
    return {
      drill: story.name,
      title: story.title,
      ok: broken.length === 0,
      seconds: Math.round(stage.timeline.elapsedMs / 1000),
      timeline: stage.timeline.moments,
      verdict: { ...verdict, broken },
    };
  } finally {
    await stage.close();
  }
}

function verdictText({ drill, seconds, ok, verdict }: DrillReport): string {
  const rows = verdict.tenants.map(
    ({ tenant, shards, sent, lost, doubled, lateMs, noticedSeconds }) =>
      `  ${tenant.padEnd(8)} shard ${shards.join(",").padEnd(4)} ${String(sent).padStart(9)} sent  ${lost} lost  ` +
      `${doubled} doubled  ${lateMs.median} ms late at the median, ${lateMs.most} ms at most  ` +
      `noticed for ${noticedSeconds.toFixed(1)} s`,
  );
  return [
    "",
    `${drill}: ${seconds} s, ${ok ? "every promise kept" : "BROKEN"}`,
    ...rows,
    `  lost ${verdict.lost}, doubled ${verdict.doubled}, minutes that anybody else noticed ${verdict.noticedMinutes}`,
    ...verdict.broken.map((sentence) => `  BROKEN  ${sentence}`),
    "",
  ].join("\n");
}
