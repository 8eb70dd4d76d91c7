// The HTTP door: POST /api/v1/sink. Lines in the body, the key as Basic user or Bearer.
//
//   202 { accepted, refused: [{ line, reason, text }] }   every good line is recorded
//   400 the same body: no line was good      401 unknown key      403 may not write      410 the tenant was deleted
//   413 the body is too large                415 the body is compressed
//   429 + Retry-After { error: rate-limit }: more than the tenant may send, nothing of it was taken
//   503 + Retry-After { error, recorded: none | part | unknown }
//
// S1. Who sends is known before a byte of the body is read: a stranger costs no memory.
// S2. Bodies are bounded in memory (body.ts), requests in time, connections in number. Answers are counted by status.
import Fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { unreachable } from "../base/assert.ts";
import type { Counters } from "../base/counters.ts";
import type { Log } from "../base/log.ts";
import { listenApp } from "../config/listen.ts";
import type { Address } from "../config/settings.ts";
import { keyOfHeader } from "../tenant/keys.ts";
import type { Tenant } from "../tenant/tenant.ts";
import { Bodies } from "./body.ts";
import type { DoorOpener } from "./door.ts";
import type { RequestAcceptor, Verdict } from "./request.ts";
import type { Route, Routes } from "./routes.ts";

export interface HttpDoorOptions {
  listen: Address;
  bodyBytesMax: number;
  routes: Routes;
  acceptor: RequestAcceptor;
  counters: Counters;
  log: Log;
  /** Bodies in memory at a time, bytes. Default 256 MB, and never less than two of the largest. */
  bodiesBytesMax?: number;
  health(): { ok: boolean; [field: string]: unknown };
}

export interface HttpDoor {
  address: Address;
  close(): Promise<void>;
}

const path = "/api/v1/sink";
const retryAfterSeconds = 1;
const idempotencyKeyCharsMax = 255;

/** A whole body over a slow line passes; a sender that trickles does not hold its place for ever. */
const requestMsMax = 120_000;
const connectionsMax = 10_000;
/** Bodies in memory of all; half of it for one tenant. */
const bodiesBytesMaxDefault = 256e6;

export const httpDoor: DoorOpener = async (context) => {
  const { settings, routes, counters, log } = context;
  const door = await openHttpDoor({
    listen: settings.httpListen,
    bodyBytesMax: settings.httpBodyMb * 1e6,
    routes,
    acceptor: context.acceptor("http"),
    counters,
    log,
    health: () => context.health(),
  });
  return { addresses: { http: door.address }, close: () => door.close() };
};

export async function openHttpDoor(options: HttpDoorOptions): Promise<HttpDoor> {
  const { bodyBytesMax } = options;
  const bytesInAll = options.bodiesBytesMax ?? Math.max(bodiesBytesMaxDefault, 2 * bodyBytesMax);
  const bodies = new Bodies({ bytesMax: bodyBytesMax, bytesInAll, bytesOfTenant: bytesInAll / 2 });
  const app = Fastify({
    logger: false,
    requestTimeout: requestMsMax,
    forceCloseConnections: "idle",
    routerOptions: { ignoreTrailingSlash: true },
  });
  app.server.maxConnections = connectionsMax;
  // Whatever its type says, even if that is no type at all, a body is lines. The route reads it itself (S1).
  app.addHook("onRequest", (request, _reply, done) => {
    delete request.raw.headers["content-type"];
    done();
  });
  app.addHook("onResponse", async (_request, reply) => {
    const status = reply.statusCode;
    options.counters.counter("gateway_http_answers_total", "HTTP answers", { status }).value++;
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) options.log.error({ err: error }, "request failed");
    return reply.code(status).send({ error: status >= 500 ? "internal error" : error.message });
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ error: "not found: POST /api/v1/sink" }),
  );
  app.post(path, (request, reply) => sink(options, bodies, request, reply));
  app.route({
    method: ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"],
    url: path,
    handler: (_request, reply) =>
      reply.code(405).header("Allow", "POST").send({ error: "lines come by POST" }),
  });
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
  bodies: Bodies,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const { headers } = request;
  const key = keyOfHeader(headers.authorization);
  if (key === undefined) return unauthorized(reply, "send the write key as Basic user or Bearer token");
  const route = options.routes.of(key);
  if (route.kind === "unavailable") return later(reply, "the directory of tenants can't be reached", "none");
  if (route.kind === "refused") {
    if (route.reason === "unknown-key") return unauthorized(reply, "unknown key");
    return reply.code(route.reason === "tenant-deleted" ? 410 : 403).send({ error: route.reason });
  }
  const coding = codingOf(headers["content-encoding"], headers["transfer-encoding"]);
  if (coding !== undefined)
    return reply
      .code(415)
      .header("Accept-Encoding", "identity")
      .send({ error: `the body is encoded as ${coding}: send it as it is` });
  const idempotencyKey = headers["idempotency-key"];
  if (
    idempotencyKey !== undefined &&
    (typeof idempotencyKey !== "string" ||
      idempotencyKey.length < 1 ||
      idempotencyKey.length > idempotencyKeyCharsMax)
  )
    return reply
      .code(400)
      .send({ error: `Idempotency-Key must have 1 to ${idempotencyKeyCharsMax} characters` });

  const declared = headers["content-length"];
  const { tenant } = route;
  const body = await bodies.read(
    request.raw,
    declared === undefined ? undefined : Number(declared),
    tenant.id,
  );
  switch (body.kind) {
    case "too-large":
      return reply.code(413).send({ error: `the body is over ${options.bodyBytesMax} bytes` });
    case "no-room":
      return later(reply, "too many bodies are being read", "none");
    case "broken":
      // Nobody is there to read it.
      return reply.code(400).send({ error: "the body ended early" });
    case "body":
      try {
        return answer(reply, await accept(options, route, tenant, body.bytes, idempotencyKey));
      } finally {
        bodies.release(tenant.id, body.bytes.length);
      }
    default:
      return unreachable(body);
  }
}

function accept(
  { acceptor, routes }: HttpDoorOptions,
  route: Route & { kind: "tenant" },
  tenant: Tenant,
  bytes: Buffer,
  idempotencyKey: string | undefined,
): Promise<Verdict> {
  if (idempotencyKey === undefined) return acceptor.accept(tenant, route.batcher, bytes);
  return acceptor.acceptKeyed(tenant, routes.keyed(tenant), bytes, idempotencyKey);
}

/** How the body is wrapped, where that is more than we undo. */
function codingOf(content: string | undefined, transfer: string | undefined): string | undefined {
  const words = (header: string | undefined, plain: string) =>
    (header ?? "")
      .toLowerCase()
      .split(",")
      .map((word) => word.trim())
      .filter((word) => word !== "" && word !== plain);
  return [...words(content, "identity"), ...words(transfer, "chunked")][0]?.slice(0, 40);
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
    case "limited":
      return reply
        .code(429)
        .header("Retry-After", String(Math.ceil(verdict.retryAfterMs / 1000)))
        .send({ error: verdict.reason, retryAfterMs: verdict.retryAfterMs });
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
