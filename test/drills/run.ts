// All drills, one after the other, with short waits: npm run drills
import { play } from "../../bin/drill/drill.ts";
import { stories } from "../../bin/drill/stories/index.ts";

const say = (line: string) => void process.stdout.write(`${line}\n`);
let broken = 0;
for (const story of stories) {
  const { verdict } = await play(story, { short: true }, say);
  const { lost, doubled, noticedMinutes } = verdict;
  say(`${story.name}: lost ${lost}, doubled ${doubled}, noticed for ${noticedMinutes} minutes`);
  for (const sentence of verdict.broken) say(`BROKEN  ${sentence}`);
  broken += verdict.broken.length;
}
process.exit(broken === 0 ? 0 : 1);
