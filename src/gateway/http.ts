// The HTTP door: POST /api/v1/sink. Lines in the body, the key as Basic user or Bearer.
//
//   202 { accepted, refused: [{ line, reason, text }] }   every good line is recorded
//   400 the same body: no line was good      401 unknown key      403 may not write      410 the tenant was deleted
//   413 the body is too large                503 + Retry-After { error, recorded: none | part | unknown }
//
// H1. Whose request it is is known before its body is read: a stranger costs no memory.
// H2. Bodies that are being read or recorded are bounded in all, by what they say of their length; so are connections,
//     and the time that a request may take to arrive. Answers are counted by status.
import Fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { unreachable } from "../base/assert.ts";
import type { Counters } from "../base/counters.ts";
import type { Log } from "../base/log.ts";
import { listenApp } from "../config/listen.ts";
import type { Address } from "../config/settings.ts";
import type { RequestAcceptor, Verdict } from "./request.ts";
import type { Route, Routes } from "./routes.ts";

export interface HttpDoorOptions {
  listen: Address;
  bodyBytesMax: number;
  routes: Routes;
  acceptor: RequestAcceptor;
  counters: Counters;
  log: Log;
  /** Bodies at a time, bytes. Default 256 MB, or as much as one may have. */
  bodiesBytesMax?: number;
  health(): { ok: boolean; [field: string]: unknown };
}

export interface HttpDoor {
  address: Address;
  close(): Promise<void>;
}

const retryAfterSeconds = 1;
const idempotencyKeyCharsMax = 255;
const bodiesBytesMaxDefault = 256e6;
const connectionsMax = 10_000;
const requestMsMax = 60_000;
const idleMsMax = 120_000;

export async function openHttpDoor(options: HttpDoorOptions): Promise<HttpDoor> {
  const app = Fastify({
    logger: false,
    bodyLimit: options.bodyBytesMax,
    forceCloseConnections: "idle",
    requestTimeout: requestMsMax,
    connectionTimeout: idleMsMax,
  });
  app.server.maxConnections = connectionsMax;
  const bodies = new Bodies(options);
  app.addHook("onResponse", async (_request, reply) => {
    const status = reply.statusCode;
    options.counters.counter("gateway_http_answers_total", "HTTP answers", { status }).value++;
  });
  // Whatever its type says, a body is lines.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) options.log.error({ err: error }, "request failed");
    const text = status === 413 ? `the body is over ${options.bodyBytesMax} bytes` : error.message;
    return reply.code(status).send({ error: status >= 500 ? "internal error" : text });
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ error: "not found: POST /api/v1/sink" }),
  );
  app.post(
    "/api/v1/sink",
    {
      onRequest: async (request, reply) => {
        const whose = judge(options.routes, request.headers.authorization);
        if (whose.kind === "denied") return deny(reply, whose);
        if (!bodies.take(request, reply)) return later(reply, "too many requests are being read", "none");
        return undefined;
      },
    },
    (request, reply) => sink(options, request, reply),
  );
  app.get("/health", (_request, reply) => {
    const health = options.health();
    return reply.code(health.ok ? 200 : 503).send(health);
  });
  app.get("/metrics", (_request, reply) =>
    reply.type("text/plain; version=0.0.4").send(options.counters.text()),
  );
  return { address: await listenApp(app, options.listen, "MILLRACE_HTTP_LISTEN"), close: () => app.close() };
}

async function sink(
  options: HttpDoorOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  // Again: the tenant may have changed while the body came.
  const route = judge(options.routes, request.headers.authorization);
  if (route.kind === "denied") return deny(reply, route);
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const idempotencyKey = request.headers["idempotency-key"];
  if (idempotencyKey !== undefined) {
    if (
      typeof idempotencyKey !== "string" ||
      idempotencyKey.length < 1 ||
      idempotencyKey.length > idempotencyKeyCharsMax
    )
      return reply
        .code(400)
        .send({ error: `Idempotency-Key must have 1 to ${idempotencyKeyCharsMax} characters` });
    const batcher = options.routes.keyed(route.tenant);
    return answer(reply, await options.acceptor.acceptKeyed(route.tenant, batcher, body, idempotencyKey));
  }
  return answer(reply, await options.acceptor.accept(route.tenant, route.batcher, body));
}

type Judged = Extract<Route, { kind: "tenant" }> | Denied;
interface Denied {
  kind: "denied";
  status: 401 | 403 | 410 | 503;
  error: string;
}

/** H1. */
function judge(routes: Routes, header: string | undefined): Judged {
  const no = (status: Denied["status"], error: string): Denied => ({ kind: "denied", status, error });
  const key = credential(header);
  if (key === undefined) return no(401, "send the write key as Basic user or Bearer token");
  const route = routes.of(key);
  switch (route.kind) {
    case "tenant":
      return route;
    case "unavailable":
      return no(503, "the directory of tenants can't be reached");
    case "refused":
      if (route.reason === "unknown-key") return no(401, "unknown key");
      return no(route.reason === "tenant-deleted" ? 410 : 403, route.reason);
    default:
      return unreachable(route);
  }
}

function deny(reply: FastifyReply, { status, error }: Denied): FastifyReply {
  if (status === 503) return later(reply, error, "none");
  if (status === 401) reply.header("WWW-Authenticate", 'Basic realm="millrace"');
  return reply.code(status).send({ error });
}

/** H2: the bytes of bodies from the request's head to the end of its answer. */
class Bodies {
  readonly #bodyBytesMax: number;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor({ bodyBytesMax, bodiesBytesMax }: HttpDoorOptions) {
    this.#bodyBytesMax = bodyBytesMax;
    this.#bytesMax = Math.max(bodyBytesMax, bodiesBytesMax ?? bodiesBytesMaxDefault);
  }

  /** False: there is no room. One that doesn't say how long it is counts as the longest; one too long is not read. */
  take(request: FastifyRequest, reply: FastifyReply): boolean {
    const said = Number(request.headers["content-length"] ?? this.#bodyBytesMax);
    const bytes = said <= this.#bodyBytesMax ? said : 0;
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.#bytes += bytes;
    reply.raw.once("close", () => {
      this.#bytes -= bytes;
    });
    return true;
  }
}

function answer(reply: FastifyReply, verdict: Verdict): unknown {
  switch (verdict.kind) {
    case "recorded":
      return reply.code(202).send({ accepted: verdict.accepted, ...refusedFields(verdict) });
    case "none-good":
      return reply.code(400).send({
        accepted: 0,
        ...refusedFields(verdict),
        ...(verdict.refusedCount === 0 && { error: "no lines" }),
      });
    case "not-recorded":
      return later(reply, verdict.why, verdict.recorded);
    default:
      return unreachable(verdict);
  }
}

function refusedFields(verdict: { refused: unknown[]; refusedCount: number }): object {
  const listed = verdict.refused.length === verdict.refusedCount;
  return { refused: verdict.refused, ...(listed ? {} : { refusedCount: verdict.refusedCount }) };
}

function later(reply: FastifyReply, why: string, recorded: string): FastifyReply {
  return reply.code(503).header("Retry-After", String(retryAfterSeconds)).send({ error: why, recorded });
}

/** The key of `Authorization: Bearer KEY` or of Basic's user name. */
export function credential(header: string | undefined): string | undefined {
  const [scheme, value] = (header ?? "").split(/ +/, 2);
  if (value === undefined || value === "") return undefined;
  if (scheme?.toLowerCase() === "bearer") return value;
  if (scheme?.toLowerCase() !== "basic") return undefined;
  const user = Buffer.from(value, "base64").toString("utf8").split(":", 1)[0];
  return user === "" ? undefined : user;
}
