// What operators ask of all gateways: JSON, one object each way.
import type { Bus } from "../bus/bus.ts";
import { gatewayControlSubject } from "../bus/subjects.ts";
import type { RefusedLine, RefusedLines } from "./refused-lines.ts";
import type { UnwantedSender, UnwantedSenders } from "./unwanted-senders.ts";

export type GatewayQuestion =
  /** By id. */
  { kind: "refused-lines"; tenant: string } | { kind: "unwanted-senders" };

export type GatewayAnswer =
  | { kind: "refused-lines"; gateway: string; lines: RefusedLine[] }
  | { kind: "unwanted-senders"; gateway: string; senders: UnwantedSender[] }
  | { kind: "invalid"; gateway: string };

/** Of one answer: a message of some hundred KB. */
const sendersMost = 1000;

export async function serveQuestions(
  bus: Bus,
  gateway: string,
  lines: RefusedLines,
  senders: UnwantedSenders,
): Promise<() => void> {
  const answerTo = (payload: Uint8Array): GatewayAnswer => {
    const question: Partial<GatewayQuestion> | undefined = decodeJson(payload);
    if (question?.kind === "refused-lines" && typeof question.tenant === "string")
      return { kind: question.kind, gateway, lines: lines.of(question.tenant) };
    if (question?.kind === "unwanted-senders")
      return { kind: question.kind, gateway, senders: senders.list().slice(0, sendersMost) };
    return { kind: "invalid", gateway };
  };
  return await bus.serve(gatewayControlSubject, (payload) => Buffer.from(JSON.stringify(answerTo(payload))));
}

/** Of whatever version: what can't be read is undefined. */
export function decodeGatewayAnswer(payload: Uint8Array): GatewayAnswer | undefined {
  const answer: Partial<GatewayAnswer> | undefined = decodeJson(payload);
  return typeof answer?.kind === "string" ? (answer as GatewayAnswer) : undefined;
}

function decodeJson(payload: Uint8Array): object | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString());
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
