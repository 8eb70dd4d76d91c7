// What commands that do one thing and end have in common: words on the way go to stderr, the result to stdout, and the
// exit code says what kind of end it was.
import { isOutage, messageOf } from "../src/base/errors.ts";
import { exitFinal } from "./process.ts";

/** What the caller asked for can't be: said as it is, exit code 1. */
export class Refusal extends Error {}

export type Say = (line: string) => void;

/** Ends the process. */
export async function runCommand(
  output: { json: boolean },
  action: (say: Say) => Promise<{ json: unknown; lines: string[] }>,
): Promise<never> {
  try {
    const { json, lines } = await action((line) => void process.stderr.write(`${line}\n`));
    const text = output.json ? `${JSON.stringify(json)}\n` : lines.map((line) => `${line}\n`).join("");
    await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
    process.exit(0);
  } catch (error) {
    process.stderr.write(`millrace: ${messageOf(error)}\n`);
    process.exit(isOutage(error, "settings-invalid") || isOutage(error, "home-locked") ? exitFinal : 1);
  }
}
