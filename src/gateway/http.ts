// The HTTP door: POST /api/v1/sink. Lines in the body, the key as Basic user or Bearer.
//
//   202 { accepted, refused: [{ line, reason, text }] }   every good line is recorded
//   400 the same body: no line was good      401 unknown key      403 may not write      410 the tenant was deleted
//   413 the body is too large                415 the body is compressed in a way that we can't undo
//   429 + Retry-After { error: rate-limit }: more than the tenant may send, nothing of it was taken
//   503 + Retry-After { error, recorded: none | part | unknown }
//   Where a body ends badly behind lines that were recorded, the answer says so: { error, recorded, accepted, refused }.
//
// S1. Who sends is known before a byte of the body is read: a stranger costs no memory.
// S2. A body may come for minutes: that its sender may send it holds for what is read until it no longer does.
// S3. Bodies are bounded in memory (body.ts), requests in time, connections in number. Answers are counted by status.
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import Fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { unreachable } from "../base/assert.ts";
import type { Counters } from "../base/counters.ts";
import type { Log } from "../base/log.ts";
import { listenApp } from "../config/listen.ts";
import type { Address } from "../config/settings.ts";
import { keyOfHeader } from "../tenant/keys.ts";
import { type Answer, answerOf, answerOfRoute, cutShort, later } from "./answers.ts";
import { Bodies, type PiecesEnd } from "./body.ts";
import { type Coding, codingOf, decode, type Decoded } from "./coding.ts";
import type { DoorOpener } from "./door.ts";
import { cutterOf, type Piece, pieceBytes, type Reading } from "./pieces.ts";
import { idempotencyKeyWish, isIdempotencyKey, type RequestAcceptor, type Verdict } from "./request.ts";
import type { Refusals } from "./refusals.ts";
import type { Route, Routes } from "./routes.ts";

export interface HttpDoorOptions {
  listen: Address;
  bodyBytesMax: number;
  routes: Routes;
  acceptor: RequestAcceptor;
  /** Remembers senders that nobody wants. */
  refusals?: Refusals;
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
const sweepMs = 50;
const jsonLinesTypes = new Set([
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/x-jsonlines",
]);

/** What the requests of one door share. */
interface Door {
  options: HttpDoorOptions;
  bodies: Bodies;
  /** Content types, which fastify does not get to see. */
  types: WeakMap<IncomingMessage, string>;
  /** By connection: the body that is being read. */
  reading: WeakMap<Socket, Decoded>;
  /** Connections that the parser gave up while a body was read: they end with its answer. */
  unreadable: WeakSet<Socket>;
}

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
    refusals: context.refusals,
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
  const door: Door = {
    options,
    bodies,
    types: new WeakMap(),
    reading: new WeakMap(),
    unreadable: new WeakSet(),
  };
  const app = Fastify({
    clientErrorHandler: (error, socket) => clientError(door, error, socket),
    logger: false,
    requestTimeout: requestMsMax,
    forceCloseConnections: "idle",
    routerOptions: { ignoreTrailingSlash: true },
  });
  app.server.maxConnections = connectionsMax;
  // Whatever its type says, even if that is no type at all, a body is JSON or lines. The route reads it itself (S1).
  app.addHook("onRequest", (request, _reply, done) => {
    const type = request.raw.headers["content-type"];
    if (type !== undefined) door.types.set(request.raw, type);
    delete request.raw.headers["content-type"];
    done();
  });
  app.addHook("onResponse", async (request, reply) => {
    const { socket } = request.raw;
    if (door.unreadable.has(socket)) socket.destroySoon();
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
  app.post(path, (request, reply) => sink(door, request, reply));
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
  return {
    address: await listenApp(app, options.listen, "MILLRACE_HTTP_LISTEN"),
    async close() {
      // A connection whose refused body is still coming is not idle yet when this begins, and nobody looks again.
      const sweep = setInterval(() => app.server.closeIdleConnections(), sweepMs);
      await app.close();
      clearInterval(sweep);
    },
  };
}

async function sink(door: Door, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { options } = door;
  const { headers } = request;
  const key = keyOfHeader(headers.authorization);
  if (key === undefined) return unauthorized(reply, "send the write key as Basic user or Bearer token");
  const route = options.routes.of(key);
  if (route.kind !== "tenant") {
    options.refusals?.ofSender(key, route, request.ip, "http");
    if (route.kind === "refused" && route.reason === "unknown-key") return unauthorized(reply, "unknown key");
    return send(reply, answerOfRoute(route));
  }
  const found = codingOf(headers["content-encoding"], headers["transfer-encoding"]);
  if (found.kind === "unknown") {
    reply.header("Accept-Encoding", "gzip, deflate, zstd, identity");
    return reply.code(415).send({ error: `the body is encoded as ${found.word}: send gzip, deflate, zstd` });
  }
  const idempotencyKey = headers["idempotency-key"];
  if (idempotencyKey !== undefined && !isIdempotencyKey(idempotencyKey))
    return reply.code(400).send({ error: idempotencyKeyWish });

  const { coding } = found;
  const declared = headers["content-length"] === undefined ? undefined : Number(headers["content-length"]);
  if (coding === "identity" && declared !== undefined && declared > options.bodyBytesMax) {
    request.raw.resume(); // B2 of body.ts
    return send(reply, cutShort(tooLarge(options), nothing));
  }
  const what: Incoming = { key, route, coding, reading: readingOf(door.types.get(request.raw)) };
  if (idempotencyKey !== undefined) return send(reply, await keyed(door, request, what, idempotencyKey));
  // The small body that is sent most is the shortest way.
  if (coding === "identity" && what.reading === "lines" && declared !== undefined && declared <= pieceBytes)
    return send(reply, await small(door, request, what, declared));
  return send(reply, await inPieces(door, request, what));
}

/** A body whose sender may send it. */
interface Incoming {
  key: string;
  route: Route & { kind: "tenant" };
  coding: Coding;
  reading: Reading;
}

/** S2. Why its sender may not send any more. */
function revoked({ options }: Door, request: FastifyRequest, { key, route }: Incoming): Answer | undefined {
  const now = options.routes.of(key);
  if (now === route || now.kind !== "refused") return undefined;
  options.refusals?.ofSender(key, now, request.ip, "http");
  return answerOfRoute(now);
}

/** What its type says, where that is more than "lines". */
function readingOf(type: string | undefined): Reading {
  const name = type?.split(";")[0]?.trim().toLowerCase();
  if (name === "application/json") return "json";
  return name !== undefined && jsonLinesTypes.has(name) ? "json-lines" : "lines";
}

async function small(door: Door, request: FastifyRequest, what: Incoming, declared: number): Promise<Answer> {
  const { options, bodies } = door;
  const { route } = what;
  const { tenant } = route;
  const body = await bodies.read(request.raw, declared, tenant.id);
  if (body.kind !== "body") return cutShort(endOf(options, body), nothing);
  try {
    const no = revoked(door, request, what);
    if (no !== undefined) return cutShort(no, nothing);
    return answerOf(await options.acceptor.accept(tenant, route.batcher, body.bytes, [], request.ip));
  } finally {
    bodies.release(tenant.id, body.bytes.length);
  }
}

/** A keyed request is whole or nothing (R3 of request.ts). */
async function keyed(door: Door, request: FastifyRequest, what: Incoming, key: string): Promise<Answer> {
  const { options, bodies } = door;
  const { route, coding, reading } = what;
  const { tenant } = route;
  const body = await bodies.whole(follow(door, request, coding), tenant.id);
  if (body.kind !== "body") return cutShort(endOf(options, body), nothing);
  try {
    const no = revoked(door, request, what);
    if (no !== undefined) return cutShort(no, nothing);
    const { lines, bad } = linesOf(body.bytes, reading);
    return answerOf(
      await options.acceptor.acceptKeyed(tenant, options.routes.keyed(tenant), lines, key, bad, request.ip),
    );
  } finally {
    bodies.release(tenant.id, body.bytes.length);
  }
}

function linesOf(bytes: Buffer, reading: Reading): Piece {
  if (reading === "lines") return { lines: bytes, bad: [] };
  const cutter = cutterOf(reading);
  cutter.push(bytes);
  return cutter.cut(true) ?? { lines: Buffer.alloc(0), bad: [] };
}

/** Piece by piece, each recorded as it comes: what the record has of a body that ends badly is said. */
async function inPieces(door: Door, request: FastifyRequest, what: Incoming): Promise<Answer> {
  const { options, bodies } = door;
  const { route, coding, reading } = what;
  const { tenant, batcher } = route;
  const lines = options.acceptor.begin(tenant, batcher, request.ip);
  const cutter = cutterOf(reading);
  let stopped: Answer | undefined;
  let pieces = 0;
  const end = await bodies.pieces(follow(door, request, coding), cutter, tenant.id, async (piece) => {
    // Of what can't even begin nothing is waited for: that is said at once (R2 of request.ts).
    if (pieces++ > 0) await lines.room(piece.lines.length);
    stopped = revoked(door, request, what);
    if (stopped !== undefined) return false;
    const refusal = lines.take(piece.lines, piece.bad);
    if (refusal !== undefined) stopped = answerOf(refusal);
    return stopped === undefined;
  });
  const before = await lines.finish();
  if (end.kind === "end") return answerOf(before);
  return cutShort(end.kind === "stopped" && stopped !== undefined ? stopped : endOf(options, end), before);
}

/** Decodes the body, and hears when the connection's parser gives it up (a malformed chunk). */
function follow(door: Door, request: FastifyRequest, coding: Coding): Decoded {
  const { socket } = request.raw;
  const body = decode(request.raw, coding);
  door.reading.set(socket, body);
  return {
    ...body,
    stop() {
      door.reading.delete(socket);
      body.stop();
    },
  };
}

const nothing: Verdict = { kind: "none-good", refused: [], refusedCount: 0 };

function endOf(options: HttpDoorOptions, end: PiecesEnd): Answer {
  switch (end.kind) {
    case "too-large":
      return tooLarge(options);
    case "broken":
      return { status: 400, body: { error: end.why } };
    case "no-room":
    case "stopped":
    case "end":
      return later("too many bodies are being read", "none");
    default:
      return unreachable(end);
  }
}

function tooLarge(options: HttpDoorOptions): Answer {
  return { status: 413, body: { error: `the body is over ${options.bodyBytesMax} bytes` } };
}

/** The one place where requests are answered. */
function send(reply: FastifyReply, { status, body, retryAfterMs }: Answer): unknown {
  if (retryAfterMs !== undefined) reply.header("Retry-After", String(Math.ceil(retryAfterMs / 1000)));
  return reply.code(status).send(body);
}

function unauthorized(reply: FastifyReply, error: string): unknown {
  return reply.code(401).header("WWW-Authenticate", 'Basic realm="millrace"').send({ error });
}

/**
 * What the connection's parser can't read. A body on its way ends there, and its request is answered as any other; the
 * connection is of no more use.
 */
function clientError(door: Door, error: Error & { code?: string }, socket: Socket): void {
  const body = door.reading.get(socket);
  if (body !== undefined && socket.writable && error.code !== "ECONNRESET") {
    door.unreadable.add(socket);
    return body.fail(`the body can't be read: ${error.message}`);
  }
  if (socket.writable && error.code !== "ECONNRESET") {
    const status =
      error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "408 Request Timeout"
        : error.code === "HPE_HEADER_OVERFLOW"
          ? "431 Request Header Fields Too Large"
          : "400 Bad Request";
    socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
  }
  socket.destroy();
}
