// One question to whichever node runs a shard.
import {
  asksActor,
  decodeAnswer,
  type ControlAnswer,
  type ControlQuestion,
} from "../cluster/control-messages.ts";
import { encodeJson } from "../cluster/shard-map.ts";
import { isOutage } from "../src/base/errors.ts";
import type { Bus } from "../src/bus/bus.ts";
import { shardControlSubject } from "../src/bus/subjects.ts";

/** A bit longer than the node takes at most. */
const readWaitMs = 10_000;
/** Of what an actor has to do. */
const actorWaitMs = 40_000;

/** Never rejects for an outage: `none` says why there is no answer. */
export async function askShard(
  bus: Bus,
  question: ControlQuestion,
  waitMs = asksActor(question) ? actorWaitMs : readWaitMs,
): Promise<Exclude<ControlAnswer, { kind: "not-here" | "invalid" }>> {
  let answers: Uint8Array[];
  try {
    const isAnswer = (payload: Uint8Array) => decodeAnswer(payload)?.kind !== "not-here";
    answers = await bus.ask(shardControlSubject, encodeJson(question), waitMs, isAnswer);
  } catch (error) {
    if (!isOutage(error)) throw error;
    return { kind: "none", why: `${error.code}: ${error.message}` };
  }
  if (answers.length === 0) return { kind: "none", why: "no node answers" };
  const others: string[] = [];
  for (const answer of answers.map(decodeAnswer)) {
    if (answer === undefined || answer.kind === "invalid")
      return { kind: "none", why: "its node is of another version and does not understand the question" };
    if (answer.kind !== "not-here") return answer;
    others.push(answer.node);
  }
  return { kind: "none", why: `no node runs it (${others.join(", ")} does not)` };
}
