// The Graphite HTTP API: routes, keys, bounds, and statuses. What an answer says is made on query threads.
//
// H1. A tenant is named by its read key and by nothing else; every query names the tenant it is for.
// H2. An error is a short sentence (or JSON, where asked for) with the right status; never a stack trace, never a key,
//     never the text of an error of ours.
// H3. Everything is bounded: body, targets, series, points, time, queries open at a time. What is refused is counted.
// H4. Answers say how fresh they are: Millrace-Watermark; Millrace-Gaps where frames of a home were set aside, and
//     Millrace-Missing where a home could not be read.
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { unreachable } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { type Counters, sumTexts } from "../base/counters.ts";
import { isOutage } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { listenApp } from "../config/listen.ts";
import { type Address, envOf } from "../config/settings.ts";
import type { Ladder } from "../metric/bucket.ts";
import { keyOfHeader } from "../tenant/keys.ts";
import { rulesOf } from "../tenant/rules.ts";
import type { Grouping } from "../store/books.ts";
import type { Tenant, TenantLookup } from "../tenant/tenant.ts";
import { Admissions } from "./admission.ts";
import { judge, splitPrefix } from "./auth.ts";
import type { HomeState, QueryAnswer, QueryLimits, QueryRequest, QueryRunner } from "./messages.ts";
import { ledgerRequest } from "./ledger.ts";
import type { Aside } from "./watermark.ts";
import { type Params, parseParams } from "./params.ts";
import { QueueFull } from "./pool.ts";
import { expandRequest, findRequest, indexRequest, type Judged, renderRequest } from "./request.ts";

export interface ApiLimits extends QueryLimits {
  bodyBytes: number;
  /** Queries waiting, running or being sent: all tenants, and one. */
  queriesOpen: number;
  queriesOpenPerTenant: number;
  connections: number;
}

export const defaultLimits: ApiLimits = {
  targets: 1000,
  targetChars: 65_536,
  series: 10_000,
  nodes: 100_000,
  cells: 50_000_000,
  points: 2_000_000,
  names: 500_000,
  timeMs: 30_000,
  bodyBytes: 1 << 20,
  queriesOpen: 256,
  queriesOpenPerTenant: 64,
  connections: 10_000,
};

export interface Health {
  healthy: boolean;
  detail: Record<string, unknown>;
}

export interface ApiOptions {
  /** The default one, for series that no rule of their tenant names. */
  ladder: Ladder;
  lookup(key: string): TenantLookup;
  /** Shards that hold the tenant's history, oldest home first; the newest one wins where `last` must choose. */
  homes(tenant: Tenant): number[];
  /** Epoch seconds up to which this home has everything that was recorded (design.md, watermark). */
  watermark(home: HomeState): number;
  /** Frames of this home that are not in its store yet although later ones are. */
  aside(home: HomeState): Aside | undefined;
  /**
   * The tenant's books of whole minutes, both included, as they are sent; see docs/operating/ledger.md. Rejects with an
   * Outage.
   */
  ledger(tenant: Tenant, range: { from: number; until: number }, by: Grouping): Promise<object>;
  /** Made by createQueryPool; createApi's close closes it. */
  queries: QueryRunner;
  health(): Promise<Health> | Health;
  /** Prometheus texts of the other processes. */
  otherTexts(): Promise<string[]>;
  counters: Counters;
  clock: Clock;
  log: Log;
  limits?: Partial<ApiLimits>;
}

export interface Api {
  /** For `inject`, and for whoever adds routes before `listen`. */
  app: FastifyInstance;
  /** Answers the port it listens on. Throws Outage("port-taken"). */
  listen(at: Address): Promise<number>;
  close(): Promise<void>;
}

/** What /version says: a graphite-web that has tags and functions. */
export const graphiteVersion = "1.1.10";

const retryAfterSeconds = 2;
/** A query that does not stop by itself is ended by force this much later than it should have stopped. */
const forceFactor = 2;

export async function createApi(options: ApiOptions): Promise<Api> {
  const limits: ApiLimits = { ...defaultLimits, ...options.limits };
  const { counters, clock, log } = options;
  const admissions = new Admissions({ total: limits.queriesOpen, perTenant: limits.queriesOpenPerTenant });
  /** The key of a path prefix, from the rewriting of the URL to the route. */
  const prefixKeys = new WeakMap<object, string>();

  const app = fastify({
    // A URL may hold a key, so fastify's own lines are off; log lines of ours name routes.
    logger: false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: 30_000,
    connectionTimeout: 120_000,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    // Query strings are parsed by params.ts, which keeps repeats and never throws.
    routerOptions: { querystringParser: () => ({}) },
    rewriteUrl(raw) {
      const { key, url } = splitPrefix(raw.url ?? "/");
      if (key !== undefined) prefixKeys.set(raw, key);
      return url;
    },
    frameworkErrors: (_error, request, reply) => {
      refuse(request, reply, 400, "request", "the address is malformed");
    },
    clientErrorHandler(error, socket) {
      count("refused", "request");
      const [status, text] =
        "code" in error && error.code === "HPE_HEADER_OVERFLOW"
          ? [
              "431 Request Header Fields Too Large",
              "the address or a header is too long: send a form by POST\n",
            ]
          : ["400 Bad Request", "this is not HTTP\n"];
      if (socket.writable)
        socket.end(
          [
            `HTTP/1.1 ${status}`,
            "Content-Type: text/plain; charset=utf-8",
            `Content-Length: ${text.length}`,
            "Connection: close",
            "",
            text,
          ].join("\r\n"),
        );
      else socket.destroy();
    },
  });
  app.server.maxConnections = limits.connections;
  // Bodies stay text: params.ts judges them, so that every mistake gets a sentence of ours.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));

  app.setErrorHandler((error, request, reply) => {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "FST_ERR_CTP_BODY_TOO_LARGE")
      return refuse(request, reply, 413, "body", `the body is longer than ${limits.bodyBytes} bytes`);
    const status = error instanceof Error && "statusCode" in error ? Number(error.statusCode) : 500;
    if (status >= 400 && status < 500)
      return refuse(request, reply, status, "request", "the request is malformed");
    log.error({ err: error, route: request.routeOptions.url ?? "none" }, "a request failed");
    return refuse(request, reply, 500, "bug", "internal error");
  });
  app.setNotFoundHandler((request, reply) =>
    refuse(request, reply, 404, "route", "there is nothing at this address"),
  );

  function count(what: "answered" | "refused", label: string): void {
    const [name, help] =
      what === "answered"
        ? ["api_requests_answered_total", "requests answered, by kind"]
        : ["api_requests_refused_total", "requests refused, by reason"];
    counters.counter(name, help, { [what === "answered" ? "kind" : "reason"]: label }).value += 1;
  }

  function refuse(
    request: FastifyRequest,
    reply: FastifyReply,
    status: number,
    reason: string,
    why: string,
  ): FastifyReply {
    count("refused", reason);
    reply.code(status).header("cache-control", "no-store");
    if (status === 503 || status === 429) reply.header("retry-after", retryAfterSeconds);
    if (status === 401) reply.header("www-authenticate", 'Basic realm="millrace", charset="UTF-8"');
    if (request.headers.accept?.includes("application/json") === true)
      return reply.type("application/json").send(JSON.stringify({ error: why, reason }));
    return reply.type("text/plain; charset=utf-8").send(`${why}\n`);
  }

  /** Everything that a tenant asks goes this way. */
  async function query(
    request: FastifyRequest,
    reply: FastifyReply,
    judgeParams: (params: Params) => Judged<QueryRequest>,
  ): Promise<FastifyReply> {
    const key = prefixKeys.get(request.raw) ?? keyOfHeader(request.headers.authorization);
    const access = judge(key, (each) => options.lookup(each));
    if (access.kind === "denied") return refuse(request, reply, access.status, access.reason, access.why);
    const parsed = parseParams(
      queryTextOf(request),
      request.headers["content-type"],
      typeof request.body === "string" ? request.body : undefined,
    );
    if (parsed.kind === "invalid") return refuse(request, reply, parsed.status, "params", parsed.why);
    const judged = judgeParams(parsed.params);
    if (judged.kind === "invalid") return refuse(request, reply, 400, "params", judged.why);
    const admission = admissions.admit(access.tenant.id);
    if (admission.kind === "full") {
      const own = admission.whose === "tenant";
      const why = own
        ? "too many queries of this account are open: try again in a moment"
        : "too many queries are open: try again in a moment";
      return refuse(request, reply, own ? 429 : 503, `queries-${admission.whose}`, why);
    }
    return run(request, reply, access.tenant, judged.request, admission.release);
  }

  async function run(
    request: FastifyRequest,
    reply: FastifyReply,
    tenant: Tenant,
    asked: QueryRequest,
    release: () => void,
  ): Promise<FastifyReply> {
    const cancelled = new Int32Array(new SharedArrayBuffer(4));
    const force = new AbortController();
    const stopForce = clock.after(limits.timeMs * forceFactor, () => force.abort());
    // Once for a finished answer and for a client that went away; what still runs then stops by itself.
    const over = () => {
      Atomics.store(cancelled, 0, 1);
      release();
    };
    reply.raw.once("close", over);
    reply.raw.once("finish", over);
    const startedMs = clock.monotonicMs();
    let answer: QueryAnswer;
    try {
      answer = await options.queries.run(
        {
          tenant: tenant.id,
          homes: options.homes(tenant),
          ladder: options.ladder,
          rules: tenant.rules === undefined ? undefined : rulesOf(tenant),
          nowSeconds: Math.floor(clock.nowMs() / 1000),
          limits: queryLimits,
          request: asked,
          cancelled,
        },
        force.signal,
      );
    } catch (error) {
      if (error instanceof QueueFull)
        return refuse(request, reply, 503, "queue", "too many queries are waiting: try again in a moment");
      if (isOutage(error)) {
        log.warn({ err: error, kind: asked.kind, tenant: tenant.id }, "a query met an outage");
        return refuse(request, reply, 503, error.code, "the data can't be read at the moment");
      }
      throw error;
    } finally {
      stopForce();
    }
    const ms = counters.counter("api_query_ms_total", "time from request to answer, ms", {
      kind: asked.kind,
    });
    ms.value += Math.round(clock.monotonicMs() - startedMs);
    return send(request, reply, asked, answer);
  }

  function send(
    request: FastifyRequest,
    reply: FastifyReply,
    asked: QueryRequest,
    answer: QueryAnswer,
  ): FastifyReply {
    switch (answer.kind) {
      case "unavailable":
        return refuse(request, reply, 503, "store-unavailable", answer.why);
      case "refused":
        return refuse(request, reply, answer.reason === "time" ? 504 : 400, answer.reason, answer.why);
      case "ok": {
        count("answered", asked.kind);
        const freshness = Math.min(...answer.homes.map((home) => options.watermark(home)));
        reply.header("millrace-watermark", Math.max(0, Math.floor(freshness)));
        const gaps = gapsText(answer.homes.flatMap((home) => options.aside(home) ?? []));
        if (gaps !== undefined) reply.header("millrace-gaps", gaps);
        if (answer.missing.length > 0) {
          reply.header("millrace-missing", answer.missing.join(","));
          counters.counter("api_homes_missing_total", "stores that an answer had to do without").value +=
            answer.missing.length;
        }
        return reply
          .type("application/json")
          .header("cache-control", "private, no-cache")
          .send(Buffer.from(answer.body.buffer, answer.body.byteOffset, answer.body.byteLength));
      }
      default:
        return unreachable(answer);
    }
  }

  const {
    bodyBytes: _1,
    queriesOpen: _2,
    queriesOpenPerTenant: _3,
    connections: _4,
    ...queryLimits
  } = limits;
  const nowSeconds = () => Math.floor(clock.nowMs() / 1000);
  const routes: [urls: string[], judgeParams: (params: Params) => Judged<QueryRequest>][] = [
    [["/render", "/render/"], (params) => renderRequest(params, nowSeconds(), limits)],
    [["/metrics/find", "/metrics/find/", "/metrics/"], findRequest],
    [["/metrics/expand", "/metrics/expand/"], expandRequest],
    [["/metrics/index.json"], indexRequest],
  ];
  for (const [urls, judgeParams] of routes)
    for (const url of urls)
      app.route({
        method: ["GET", "POST"],
        url,
        handler: (request, reply) => query(request, reply, judgeParams),
      });

  app.get("/api/v1/ledger", async (request, reply) => {
    const key = prefixKeys.get(request.raw) ?? keyOfHeader(request.headers.authorization);
    const access = judge(key, (each) => options.lookup(each));
    if (access.kind === "denied") return refuse(request, reply, access.status, access.reason, access.why);
    const parsed = parseParams(queryTextOf(request), undefined, undefined);
    if (parsed.kind === "invalid") return refuse(request, reply, parsed.status, "params", parsed.why);
    const judged = ledgerRequest(parsed.params, nowSeconds());
    if (judged.kind === "invalid") return refuse(request, reply, 400, "params", judged.why);
    const admission = admissions.admit(access.tenant.id);
    if (admission.kind === "full")
      return refuse(
        request,
        reply,
        503,
        `queries-${admission.whose}`,
        "too many queries are open: try again",
      );
    try {
      const { by, ...range } = judged.request;
      const ledger = await options.ledger(access.tenant, range, by);
      count("answered", "ledger");
      return reply.header("cache-control", "private, no-cache").send(ledger);
    } catch (error) {
      if (!isOutage(error)) throw error;
      return refuse(request, reply, 503, error.code, "the books can't be read at the moment");
    } finally {
      admission.release();
    }
  });

  for (const url of ["/version", "/version/"])
    app.get(url, (_request, reply) => reply.type("text/plain; charset=utf-8").send(graphiteVersion));
  // Filled by the issue that brings functions; Grafana takes an empty list.
  for (const url of ["/functions", "/functions/"])
    app.get(url, (_request, reply) => reply.type("application/json").send("{}"));
  app.route({
    method: ["GET", "HEAD"],
    url: "/health",
    async handler(_request, reply) {
      const { healthy, detail } = await options.health();
      return reply
        .code(healthy ? 200 : 503)
        .type("application/json")
        .header("cache-control", "no-store")
        .send(JSON.stringify({ healthy, ...detail }));
    },
  });
  app.get("/metrics", async (_request, reply) => {
    counters.gauge("api_queries_open", "queries waiting, running or being sent").value = admissions.open;
    let texts: string[] = [];
    try {
      texts = await options.otherTexts();
    } catch (error) {
      // Our own numbers are worth more than none.
      log.warn({ err: error }, "the counters of the other processes can't be read");
    }
    return reply.type("text/plain; version=0.0.4; charset=utf-8").send(sumTexts([counters.text(), ...texts]));
  });

  await app.ready();
  return {
    app,
    listen: async (at) => (await listenApp(app, at, envOf("apiListen"))).port,
    async close() {
      await app.close();
      await options.queries.close();
    },
  };
}

/** All homes together: how many frames, and between which times they came as far as that is known. */
function gapsText(asides: readonly Aside[]): string | undefined {
  if (asides.length === 0) return undefined;
  const frames = asides.reduce((sum, aside) => sum + aside.frames, 0);
  const from = Math.min(...asides.map((aside) => aside.from ?? Number.NaN));
  const until = Math.max(...asides.map((aside) => aside.until ?? Number.NaN));
  return [`${frames}`, ...(Number.isNaN(from + until) ? [] : [`from=${from}`, `until=${until}`])].join("; ");
}

function queryTextOf(request: FastifyRequest): string {
  const url = request.raw.url ?? "";
  const at = url.indexOf("?");
  return at < 0 ? "" : (url.slice(at + 1).split("#")[0] ?? "");
}
