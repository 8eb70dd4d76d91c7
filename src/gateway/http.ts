// The HTTP door: POST /api/v1/sink. Lines in the body, the key as Basic user or Bearer.
//
//   202 { accepted, refused: [{ line, reason, text }] }   every good line is recorded
//   400 the same body: no line was good      401 unknown key      403 may not write      410 the tenant was deleted
//   413 the body is too large                503 + Retry-After { error, recorded: none | part | unknown }
import Fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { unreachable } from "../base/assert.ts";
import type { Log } from "../base/log.ts";
import { listenApp } from "../config/listen.ts";
import type { Address } from "../config/settings.ts";
import type { RequestAcceptor, Verdict } from "./request.ts";
import type { Routes } from "./routes.ts";

export interface HttpDoorOptions {
  listen: Address;
  bodyBytesMax: number;
  routes: Routes;
  acceptor: RequestAcceptor;
  log: Log;
  health(): { ok: boolean; [field: string]: unknown };
  metrics(): string;
}

export interface HttpDoor {
  address: Address;
  close(): Promise<void>;
}

const retryAfterSeconds = 1;
const idempotencyKeyCharsMax = 255;

export async function openHttpDoor(options: HttpDoorOptions): Promise<HttpDoor> {
  const app = Fastify({ logger: false, bodyLimit: options.bodyBytesMax, forceCloseConnections: "idle" });
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
  app.post("/api/v1/sink", (request, reply) => sink(options, request, reply));
  app.get("/health", (_request, reply) => {
    const health = options.health();
    return reply.code(health.ok ? 200 : 503).send(health);
  });
  app.get("/metrics", (_request, reply) => reply.type("text/plain; version=0.0.4").send(options.metrics()));
  return { address: await listenApp(app, options.listen, "MILLRACE_HTTP_LISTEN"), close: () => app.close() };
}

async function sink(
  options: HttpDoorOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const key = credential(request.headers.authorization);
  if (key === undefined) return unauthorized(reply, "send the write key as Basic user or Bearer token");
  const route = options.routes.of(key);
  if (route.kind === "unavailable") return later(reply, "the directory of tenants can't be reached", "none");
  if (route.kind === "refused") {
    if (route.reason === "unknown-key") return unauthorized(reply, "unknown key");
    return reply.code(route.reason === "tenant-deleted" ? 410 : 403).send({ error: route.reason });
  }
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

function later(reply: FastifyReply, why: string, recorded: string): unknown {
  return reply.code(503).header("Retry-After", String(retryAfterSeconds)).send({ error: why, recorded });
}

function unauthorized(reply: FastifyReply, error: string): unknown {
  return reply.code(401).header("WWW-Authenticate", 'Basic realm="millrace"').send({ error });
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
