// `millrace doctor`: looks at everything a person would look at night, and says what is wrong, why it matters and what
// helps.
//
// R1. Exit code 0: nothing is wrong now. 1: something is, or could not be looked at.
import { isOutage, messageOf } from "../../src/base/errors.ts";
import { readSettings } from "../../src/config/settings.ts";
import { exitFinal } from "../process.ts";
import type { Flags } from "../directory.ts";
import { say, type Output } from "../say.ts";
import { diagnose } from "./diagnose.ts";
import type { Finding } from "./findings.ts";
import { gather } from "./gather.ts";

export async function doctor(output: Output, flags: Flags): Promise<void> {
  try {
    const facts = await gather(readSettings(process.env, flags));
    const findings = diagnose(facts);
    say(output, { findings, unseen: facts.unseen, facts }, [
      ...findings.flatMap(findingText),
      ...facts.unseen.map((what) => `could not be looked at: ${what}`),
      ...(findings.length === 0 && facts.unseen.length === 0 ? ["All is well."] : []),
    ]);
    const isWrong = findings.some(({ severity }) => severity === "wrong") || facts.unseen.length > 0;
    process.exit(isWrong ? 1 : 0);
  } catch (error) {
    process.stderr.write(`millrace: ${messageOf(error)}\n`);
    process.exit(isOutage(error, "settings-invalid") ? exitFinal : 1);
  }
}

function findingText({ severity, what, why, command, runbook }: Finding): string[] {
  return [
    `${severity.toUpperCase().padEnd(5)}  ${what}`,
    `       ${why}`,
    `       $ ${command}   (${runbook})`,
    "",
  ];
}
