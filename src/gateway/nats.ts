// Points over NATS: senders publish to `millrace.ingest.<tenant's name>`; gateways share the subject by queue group.
//
//   request   { accepted, refused: [{ line, reason, text }] } once every good line is recorded
//             { error, code, ... } else; `code` is the status that HTTP would answer
//   publish   fire and forget: counted in the books the same, and nobody is told
//
// N1. "accepted" is said only when the record has it (P1). Nothing of this door touches the spool.
// N2. Who may: with MILLRACE_NATS_INGEST=key a write key in the header Millrace-Key, of the tenant that the subject
//     names; with =subject whoever NATS lets publish there.
// N3. What is in work is bounded, in messages and bytes, of all and of one tenant. More is answered 503, or counted.
import { unreachable } from "../base/assert.ts";
import type { Cell } from "../base/counters.ts";
import type { ReceivedMessage } from "../bus/bus.ts";
import { ingestPrefix, ingestQueue, ingestSubjects } from "../bus/subjects.ts";
import type { Tenant } from "../tenant/tenant.ts";
import { answerOf, answerOfRoute, later, type Answer } from "./answers.ts";
import { Bodies } from "./body.ts";
import type { DoorContext, DoorOpener } from "./door.ts";
import { looksLikeMsgpack, pointsOfMsgpack } from "./msgpack.ts";
import { cutterOf, type Piece } from "./pieces.ts";
import { PointLines } from "./points.ts";
import { idempotencyKeyWish, isIdempotencyKey, type RequestAcceptor } from "./request.ts";
import type { Route } from "./routes.ts";

const messagesMost = 4096;
const messagesOfTenantMost = 256;
const bytesMost = 64 << 20;
/** Of a message: it is read in one go, and the others wait that long. */
const messageBytesMost = 1 << 20;
/** How a sender is called in samples and lists: NATS does not say where it is. */
const peer = "nats";
/** Of inboxes that bin/nats-config.ts gives to tenants; the id follows. */
const inboxPrefix = "_INBOX_";

export const natsDoor: DoorOpener = async (context) => {
  const { settings, bus } = context;
  if (settings.natsIngest === "off") return undefined;
  const door = new NatsDoor(context, settings.natsIngest);
  const stop = await bus.receive(ingestSubjects, ingestQueue, (message) => door.take(message));
  return {
    addresses: {},
    async close() {
      stop();
      await door.settled();
    },
  };
};

export class NatsDoor {
  readonly #context: DoorContext;
  readonly #mode: "key" | "subject";
  readonly #acceptor: RequestAcceptor;
  readonly #bodies = new Bodies({
    bytesMax: messageBytesMost,
    bytesInAll: bytesMost,
    bytesOfTenant: bytesMost / 2,
  });
  readonly #answers = new Map<number, Cell>();
  readonly #inWork = new Set<Promise<void>>();
  /** By tenant. */
  readonly #working = new Map<string, number>();

  constructor(context: DoorContext, mode: "key" | "subject") {
    this.#context = context;
    this.#mode = mode;
    this.#acceptor = context.acceptor("nats");
  }

  take(message: ReceivedMessage): void {
    const work = this.#work(message).finally(() => this.#inWork.delete(work));
    this.#inWork.add(work);
  }

  async settled(): Promise<void> {
    await Promise.all(this.#inWork);
  }

  async #work(message: ReceivedMessage): Promise<void> {
    let answer: Answer;
    try {
      answer = await this.#answerTo(message);
    } catch (error) {
      // A mistake of ours costs this message.
      this.#context.log.error({ err: error }, "a message over NATS failed");
      answer = { status: 500, body: { error: "internal error" } };
    }
    const { status, body, retryAfterMs } = answer;
    this.#count(status);
    if (message.reply === undefined || !this.#isOwnInbox(message)) return;
    const code = status === 202 ? {} : { code: status };
    const retry = retryAfterMs === undefined ? {} : { retryAfterMs };
    message.reply(Buffer.from(JSON.stringify({ ...body, ...code, ...retry })));
  }

  async #answerTo(message: ReceivedMessage): Promise<Answer> {
    const { routes } = this.#context;
    if (this.#inWork.size >= messagesMost) return later("too many messages are in work", "none"); // N3
    const found = this.#routeOf(message);
    if ("status" in found) return found;
    if (found.kind !== "tenant") return answerOfRoute(found);
    const key = message.header("Idempotency-Key");
    if (key !== undefined && !isIdempotencyKey(key))
      return { status: 400, body: { error: idempotencyKeyWish } };
    const { tenant, batcher } = found;
    const bytes = message.data.length;
    if (bytes > messageBytesMost)
      return { status: 413, body: { error: `the message is over ${messageBytesMost} bytes` } };
    const working = this.#working.get(tenant.id) ?? 0;
    if (working >= messagesOfTenantMost || !this.#bodies.take(tenant.id, bytes))
      return later("too many messages are in work", "none"); // N3
    this.#working.set(tenant.id, working + 1);
    try {
      const { lines, bad } = linesOf(message);
      return answerOf(
        key === undefined
          ? await this.#acceptor.accept(tenant, batcher, lines, bad, peer)
          : await this.#acceptor.acceptKeyed(tenant, routes.keyed(tenant), lines, key, bad, peer),
      );
    } finally {
      this.#bodies.release(tenant.id, bytes);
      const left = (this.#working.get(tenant.id) ?? 1) - 1;
      if (left > 0) this.#working.set(tenant.id, left);
      else this.#working.delete(tenant.id);
    }
  }

  /** An inbox with a tenant's id is that tenant's: nobody else may have answers put into it. */
  #isOwnInbox({ subject, replyTo }: ReceivedMessage): boolean {
    if (replyTo === undefined || !replyTo.startsWith(inboxPrefix)) return true;
    const route = this.#context.routes.ofName(subject.slice(ingestPrefix.length));
    return route.kind !== "unavailable" && replyTo.startsWith(`${inboxPrefix}${route.tenant?.id}.`);
  }

  /** N2. */
  #routeOf(message: ReceivedMessage): Route | Answer {
    const { refusals, routes } = this.#context;
    const name = message.subject.slice(ingestPrefix.length);
    if (this.#mode === "subject") {
      const route = routes.ofName(name);
      refusals.ofSender("", route, peer, "nats");
      return route;
    }
    const key = message.header("Millrace-Key");
    if (key === undefined)
      return { status: 401, body: { error: "send the write key in the header Millrace-Key" } };
    const route = routes.of(key);
    refusals.ofSender(key, route, peer, "nats");
    const owner: Tenant | undefined = route.kind === "unavailable" ? undefined : route.tenant;
    if (owner !== undefined && owner.name !== name)
      return { status: 403, body: { error: "the key is not of the tenant that the subject names" } };
    return route;
  }

  #count(status: number): void {
    let cell = this.#answers.get(status);
    if (cell === undefined) {
      cell = this.#context.counters.counter("gateway_nats_answers_total", "Messages over NATS by answer", {
        status,
      });
      this.#answers.set(status, cell);
    }
    cell.value++;
  }
}

/** Lines, JSON or msgpack: as the header Content-Type says, or by the first byte, which no line begins with. */
function linesOf(message: ReceivedMessage): Piece {
  const bytes = Buffer.from(message.data.buffer, message.data.byteOffset, message.data.length);
  const kind = kindOf(message.header("Content-Type"), bytes);
  switch (kind) {
    case "lines":
      return { lines: bytes, bad: [] };
    case "json": {
      const cutter = cutterOf("json");
      cutter.push(bytes);
      return cutter.cut(true) ?? { lines: Buffer.alloc(0), bad: [] };
    }
    case "msgpack": {
      const points = new PointLines();
      pointsOfMsgpack(bytes, points);
      return points.take();
    }
    default:
      return unreachable(kind);
  }
}

function kindOf(type: string | undefined, bytes: Buffer): "lines" | "json" | "msgpack" {
  const name = type?.split(";")[0]?.trim().toLowerCase();
  if (name === "application/json") return "json";
  if (
    name === "application/msgpack" ||
    name === "application/x-msgpack" ||
    name === "application/vnd.msgpack"
  )
    return "msgpack";
  return name === undefined && looksLikeMsgpack(bytes[0]) ? "msgpack" : "lines";
}
