// /metrics/find, /metrics/expand and /metrics/index.json: names, as graphite-web shows them.
//
// F1. One entry for a name that is leaf and branch at once: a branch. Branches come before leaves.
// F2. `id` keeps the pattern of the parent nodes, so that a click goes on with the same pattern.
import type { FoundNode } from "../store/store.ts";
import { longestOf } from "../metric/ladder-rules.ts";
import type { Body, Query, Refused } from "./answer.ts";
import { jsonBytes } from "./json.ts";
import type { ExpandRequest, FindRequest } from "./messages.ts";

export async function answerFind(query: Query, request: FindRequest): Promise<Body> {
  const pattern = request.format === "completer" ? completion(request.query) : request.query;
  const found = await findNodes(query, pattern, query.job.limits.nodes);
  if ("kind" in found) return found;
  const nodes = request.leavesOnly ? found.filter((node) => node.leaf) : found;
  const value =
    request.format === "treejson"
      ? treeJson(nodes, parentOf(request.query), request.wildcards)
      : request.format === "json"
        ? nodesJson(nodes, query)
        : completerJson(nodes, request.wildcards);
  return { kind: "body", body: jsonBytes(value) };
}

export async function answerExpand(query: Query, request: ExpandRequest): Promise<Body> {
  const { limits } = query.job;
  if (request.queries.length > limits.targets)
    return refused("target", `${request.queries.length} queries; the limit is ${limits.targets} a request`);
  const groups = new Map<string, string[]>();
  let room = limits.nodes;
  for (const pattern of request.queries) {
    if (groups.has(pattern)) continue;
    const found = await findNodes(query, pattern, room);
    if ("kind" in found) return found;
    const paths = found.filter((node) => node.leaf || !request.leavesOnly).map((node) => node.path);
    groups.set(pattern, paths);
    room -= paths.length;
  }
  const results = request.groupByExpr
    ? Object.fromEntries(groups)
    : [...new Set([...groups.values()].flat())].sort(compare);
  return { kind: "body", body: jsonBytes({ results }) };
}

/** Level by level, because a pattern has as many nodes as the names it matches. */
export async function answerIndex(query: Query): Promise<Body> {
  const { limits } = query.job;
  const names: string[] = [];
  for (let pattern = "*", deeper = true; deeper; pattern += ".*") {
    const found = await findNodes(query, pattern, limits.names, "names");
    if ("kind" in found) return found;
    for (const node of found) if (node.leaf) names.push(node.path);
    if (names.length > limits.names) return tooMany("names", limits.names);
    deeper = found.some((node) => node.branch);
  }
  return { kind: "body", body: jsonBytes(names.sort(compare)) };
}

/** Nodes of all homes, one per path, sorted by path. */
async function findNodes(
  query: Query,
  pattern: string,
  most: number,
  reason: "nodes" | "names" = "nodes",
): Promise<FoundNode[] | Refused> {
  const { targetChars } = query.job.limits;
  if (reason === "nodes" && pattern.length > targetChars)
    return refused("target", `a query is longer than ${targetChars} characters`);
  const nodes = new Map<string, FoundNode>();
  for (const home of query.homes) {
    const stopped = query.stop();
    if (stopped !== undefined) return stopped;
    for (const node of await home.snapshot.findNodes(query.job.tenant, pattern, most + 1)) {
      const known = nodes.get(node.path);
      nodes.set(node.path, {
        path: node.path,
        leaf: node.leaf || known?.leaf === true,
        branch: node.branch || known?.branch === true,
      });
    }
    if (nodes.size > most) return tooMany(reason, most);
  }
  return [...nodes.values()].sort((a, b) => compare(a.path, b.path));
}

const branchFlags = { allowChildren: 1, expandable: 1, leaf: 0 };
const leafFlags = { allowChildren: 0, expandable: 0, leaf: 1 };

function treeJson(nodes: readonly FoundNode[], parent: string, wildcards: boolean): unknown[] {
  const byText = new Map<string, boolean>();
  for (const node of nodes) {
    const text = textOf(node.path);
    byText.set(text, node.branch || byText.get(text) === true);
  }
  const entries = [...byText].sort(([a], [b]) => compare(a, b));
  const shown = [...entries.filter(([, branch]) => branch), ...entries.filter(([, branch]) => !branch)];
  if (wildcards && shown.length > 1) shown.unshift(["*", shown.some(([, branch]) => branch)]);
  return shown.map(([text, branch]) => ({
    text,
    id: parent + text,
    ...(branch ? branchFlags : leafFlags),
  }));
}

function nodesJson(nodes: readonly FoundNode[], { job }: Query): unknown[] {
  const intervals = [
    {
      start: Math.max(0, job.nowSeconds - longestOf(job.ladder, job.rules?.schemas ?? [])),
      end: job.nowSeconds,
    },
  ];
  return nodes.map((node) =>
    node.leaf ? { path: node.path, is_leaf: true, intervals } : { path: node.path, is_leaf: false },
  );
}

function completerJson(nodes: readonly FoundNode[], wildcards: boolean): unknown {
  const metrics: object[] = nodes.map((node) => ({
    path: node.branch ? `${node.path}.` : node.path,
    name: textOf(node.path),
    is_leaf: node.branch ? "0" : "1",
  }));
  if (wildcards && metrics.length > 1) metrics.push({ name: "*" });
  return { metrics };
}

/** What is typed so far, as a pattern. */
function completion(query: string): string {
  const pattern = query.replaceAll("..", "*.");
  return pattern.endsWith("*") ? pattern : `${pattern}*`;
}

function parentOf(query: string): string {
  return query.slice(0, query.lastIndexOf(".") + 1);
}

/** The last node; dots of a tag's value are no nodes. */
function textOf(path: string): string {
  const tags = path.indexOf(";");
  return path.slice(path.lastIndexOf(".", tags < 0 ? path.length : tags) + 1);
}

function tooMany(reason: "nodes" | "names", most: number): Refused {
  return refused(reason, `more than ${most} names; ask for fewer in one request`);
}

function refused(reason: Refused["reason"], why: string): Refused {
  return { kind: "refused", reason, why };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
