// Parameters to requests: every judgement that needs no store. A request that is wrong is a sentence for its sender.
import { parseRange } from "../graphite/range.ts";
import {
  type ExpandRequest,
  findFormats,
  type FindRequest,
  type IndexRequest,
  type QueryLimits,
  type RenderRequest,
} from "./messages.ts";
import { isSet, lastOf, type Params } from "./params.ts";

export type Judged<T> = { kind: "request"; request: T } | { kind: "invalid"; why: string };

export function renderRequest(
  params: Params,
  nowSeconds: number,
  limits: QueryLimits,
): Judged<RenderRequest> {
  const format = lastOf(params, "format") ?? "json";
  if (format !== "json") return invalid(`format "${clip(format)}" is not served; json is`);
  const targets = [...(params.get("target") ?? []), ...(params.get("target[]") ?? [])];
  if (targets.length > limits.targets)
    return invalid(`${targets.length} targets; the limit is ${limits.targets} a request`);
  const range = parseRange(
    {
      from: lastOf(params, "from"),
      until: lastOf(params, "until"),
      now: lastOf(params, "now"),
      tz: lastOf(params, "tz"),
    },
    nowSeconds,
  );
  if (range.kind === "invalid") return invalid(clip(range.why, 200));
  const xFilesFactor = Number(lastOf(params, "xFilesFactor") ?? "0");
  if (!(xFilesFactor >= 0 && xFilesFactor <= 1)) return invalid("xFilesFactor is a number from 0 to 1");
  return {
    kind: "request",
    request: {
      kind: "render",
      targets,
      ...range.range,
      maxDataPoints: pointsOf(lastOf(params, "maxDataPoints")),
      noNullPoints: isSet(params, "noNullPoints"),
      xFilesFactor,
    },
  };
}

/** As in Graphite, what is not a whole number is as good as nothing; so is 0. */
function pointsOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,15}$/.test(text)) return undefined;
  const points = Number(text);
  return points === 0 ? undefined : points;
}

export function findRequest(params: Params): Judged<FindRequest> {
  const query = lastOf(params, "query");
  if (query === undefined || query === "") return invalid("the parameter query is missing");
  const said = lastOf(params, "format") ?? "treejson";
  const format = findFormats.find((each) => each === said);
  if (format === undefined)
    return invalid(`format "${clip(said)}" is not served; ${findFormats.join(", ")} are`);
  return {
    kind: "request",
    request: {
      kind: "find",
      query,
      format,
      leavesOnly: isSet(params, "leavesOnly"),
      wildcards: isSet(params, "wildcards"),
    },
  };
}

export function expandRequest(params: Params): Judged<ExpandRequest> {
  return {
    kind: "request",
    request: {
      kind: "expand",
      queries: (params.get("query") ?? []).filter((query) => query !== ""),
      leavesOnly: isSet(params, "leavesOnly"),
      groupByExpr: isSet(params, "groupByExpr"),
    },
  };
}

export function indexRequest(): Judged<IndexRequest> {
  return { kind: "request", request: { kind: "index" } };
}

function invalid(why: string): { kind: "invalid"; why: string } {
  return { kind: "invalid", why };
}

function clip(text: string, chars = 40): string {
  return text.length <= chars ? text : `${text.slice(0, chars)}…`;
}
