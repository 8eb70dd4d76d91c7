// The admin API: JSON over HTTP for operators. What there is to do is handed in, a verb each; this file knows who may
// ask, how much, and that every change is written down.
//
// O1. Without the token nothing is answered, not even whether a route exists. It is compared in constant time and never
//     logged.
// O2. Every change leaves an entry: who, from where, what, and what came of it. One that throws something away is written
//     down before it is done, and refused where it can't be; others go on, with a loud line in the log.
// O3. Bodies, connections and time are bounded. An error is a sentence, never a stack trace.
import { createHash, timingSafeEqual } from "node:crypto";
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Clock } from "../base/clock.ts";
import type { Counters } from "../base/counters.ts";
import { isOutage, messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { listenApp } from "../config/listen.ts";
import { type Address, envOf } from "../config/settings.ts";
import { keyOfHeader } from "../tenant/keys.ts";

/** Why something can't be had or done: a sentence for whoever asked. */
export class Refused extends Error {
  readonly status: 400 | 404 | 409 | 503;
  readonly detail: object;
  constructor(status: Refused["status"], why: string, detail: object = {}) {
    super(why);
    this.status = status;
    this.detail = detail;
  }
}

export interface Asked {
  params: Readonly<Record<string, string>>;
  query: Readonly<Record<string, string>>;
  body: Readonly<Record<string, unknown>>;
  dryRun: boolean;
}

export interface Verb {
  method: "GET" | "POST";
  url: string;
  /** discards: what it takes away can't be had again, or only by other verbs. */
  effect: "none" | "changes" | "discards";
  /** A change that is only asked about, as one with `dryRun` is. */
  isQuestion?(asked: Asked): boolean;
  /** Throws Refused, or an Outage: then it is open whether it happened. */
  answer(asked: Asked): Promise<object>;
}

export interface AuditEntry {
  /** The same in both entries of a verb that discards: before it is done, and after. */
  id: string;
  atMs: number;
  /** The token's name. */
  who: string;
  /** Whom the command line ran as, as it says. */
  user: string;
  from: string;
  what: string;
  with: string;
  /** begun, done, refused, or unknown: an outage came between. */
  outcome: "begun" | "done" | "refused" | "unknown";
  why: string;
}

export interface OperateOptions {
  token: string;
  verbs: readonly Verb[];
  /** Rejects with an Outage when it can't be written. */
  audit: (entry: AuditEntry) => Promise<void>;
  newId: () => string;
  clock: Clock;
  counters: Counters;
  log: Log;
}

export interface Operate {
  app: FastifyInstance;
  /** Answers where it listens. Throws Outage("port-taken"). */
  listen(at: Address): Promise<Address>;
  close(): Promise<void>;
}

/** Of edited dead letters, and two files of rules. */
const bodyBytesMax = 3 << 20;
const connectionsMax = 256;
const withCharsMax = 2000;
const userCharsMax = 64;

export function createOperate(options: OperateOptions): Operate {
  const { token, verbs, counters, log } = options;
  const app = fastify({
    logger: false,
    bodyLimit: bodyBytesMax,
    requestTimeout: 30_000,
    connectionTimeout: 120_000,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
  });
  app.server.maxConnections = connectionsMax;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));
  const tokenHash = hashOf(token);

  // O1: before the route is known.
  app.addHook("onRequest", async (request, reply) => {
    const said = keyOfHeader(request.headers.authorization) ?? "";
    if (!timingSafeEqual(hashOf(said), tokenHash))
      return send(reply, 401, { error: "the admin token is missing or another one", reason: "token" });
    return undefined;
  });
  app.setErrorHandler((error, request, reply) => failed(error, request, reply));
  app.setNotFoundHandler((_request, reply) =>
    send(reply, 404, { error: "there is nothing at this address", reason: "route" }),
  );

  function send(reply: FastifyReply, status: number, body: object): FastifyReply {
    counters.counter("admin_answers_total", "Answers of the admin API", { status }).value += 1;
    if (status === 401) reply.header("www-authenticate", "Bearer");
    return reply.code(status).header("cache-control", "no-store").send(body);
  }

  function failed(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    if (error instanceof Refused) return send(reply, error.status, { error: error.message, ...error.detail });
    if (isOutage(error)) return send(reply, 503, { error: error.message, reason: error.code });
    const status = error instanceof Error && "statusCode" in error ? Number(error.statusCode) : 500;
    if (status === 413) return send(reply, 413, { error: `the body is longer than ${bodyBytesMax} bytes` });
    if (status >= 400 && status < 500) return send(reply, status, { error: "the request is malformed" });
    log.error({ err: error, route: request.routeOptions.url ?? "none" }, "a request of an operator failed");
    return send(reply, 500, { error: "internal error", reason: "bug" });
  }

  for (const verb of verbs)
    app.route({
      method: verb.method,
      url: verb.url,
      async handler(request, reply) {
        const asked = askedOf(request);
        const isChange = verb.effect !== "none" && !asked.dryRun && verb.isQuestion?.(asked) !== true;
        const answer = isChange ? await audited(options, verb, asked, request) : await verb.answer(asked);
        return send(reply, 200, answer);
      },
    });

  return {
    app,
    listen: (at) => listenApp(app, at, envOf("adminListen")),
    close: () => app.close(),
  };
}

/** O2. */
async function audited(
  options: OperateOptions,
  verb: Verb,
  asked: Asked,
  request: FastifyRequest,
): Promise<object> {
  const { audit, clock, log, newId } = options;
  const entry = {
    id: newId(),
    who: "admin",
    user: textOf(request.headers["millrace-user"]).slice(0, userCharsMax),
    from: request.ip,
    what: `${verb.method} ${request.url.split("?")[0] ?? ""}`.slice(0, withCharsMax),
    with: JSON.stringify(asked.body).slice(0, withCharsMax),
  };
  const write = (outcome: AuditEntry["outcome"], why = "") =>
    audit({ ...entry, atMs: clock.nowMs(), outcome, why: why.slice(0, withCharsMax) });
  if (verb.effect === "discards")
    await write("begun").catch((error: unknown) => {
      if (!isOutage(error)) throw error;
      throw new Refused(503, `it can't be written down who does this, so it is not done: ${error.message}`, {
        reason: "audit",
      });
    });
  const afterwards = async (outcome: AuditEntry["outcome"], why = "") => {
    try {
      await write(outcome, why);
    } catch (error) {
      if (!isOutage(error)) throw error;
      log.error({ ...entry, outcome, error: error.message, page: true }, "a change is not in the audit log");
    }
  };
  try {
    const answer = await verb.answer(asked);
    await afterwards("done", "done" in answer ? textOf(answer.done) : "");
    log.info({ ...entry, outcome: "done" }, "an operator's change");
    return answer;
  } catch (error) {
    await afterwards(
      error instanceof Refused && error.status !== 503 ? "refused" : "unknown",
      messageOf(error),
    );
    throw error;
  }
}

function askedOf(request: FastifyRequest): Asked {
  const text = typeof request.body === "string" ? request.body.trim() : "";
  const body = text === "" ? {} : parsed(text);
  if (body === undefined) throw new Refused(400, "the body is no JSON object", { reason: "body" });
  const strings = (value: unknown) =>
    Object.fromEntries(
      Object.entries(value ?? {}).filter((pair): pair is [string, string] => typeof pair[1] === "string"),
    );
  const { dryRun = false } = body;
  if (typeof dryRun !== "boolean") throw new Refused(400, "dryRun is true or false", { reason: "body" });
  return { params: strings(request.params), query: strings(request.query), body, dryRun };
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function hashOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
