// Series that show several names. A StatsD timer is stored once, with a sketch, and read as `stats.timers.x.mean`,
// `.upper_90` and so on: the names etsy's statsd gives them with `legacyNamespace: false`.
//
//   stored                     read as
//   stats.counters.x.\u0001c   stats.counters.x.count  .rate
//   stats.timers.x.\u0001t     stats.timers.x.count  .mean  .upper_90 ...
//   stats.sets.x.\u0001s       stats.sets.x.count
//   stats.gauges.x             itself
//
// With tags the stored name is `stats.timers.x.\u0001t;k=v`, and the read one `stats.timers.x.mean;k=v`.
//
// O1. The last node of a stored name begins with a control character, which no sender's name may have: a stored name
//     is never one that somebody sent as plaintext.
// O2. What is listed is a closed list; any percentile from 0.1 to 99.9 can be asked for by its name.

export const counterNode = "\u0001c";
export const timerNode = "\u0001t";
export const setNode = "\u0001s";

/** What stored names begin with, by what StatsD sent. */
export const counterPrefix = "stats.counters.";
export const timerPrefix = "stats.timers.";
export const setPrefix = "stats.sets.";
export const gaugePrefix = "stats.gauges.";

const plainTimer = [
  "count",
  "count_ps",
  "lower",
  "mean",
  "median",
  "std",
  "sum",
  "sum_squares",
  "upper",
] as const;
/** Of the values up to a percentile. */
const ofPercentile = ["count", "mean", "sum", "sum_squares", "upper"] as const;
const listedPercentiles = ["90", "95", "99"] as const;

const timerOutputs: readonly string[] = [
  ...plainTimer,
  ...listedPercentiles.flatMap((percentile) => ofPercentile.map((name) => `${name}_${percentile}`)),
].toSorted();
const outputsByNode: ReadonlyMap<string, readonly string[]> = new Map([
  [counterNode, ["count", "rate"]],
  [setNode, ["count"]],
  [timerNode, timerOutputs],
]);

/** The nodes of stored names that have outputs. */
export const outputNodes: readonly string[] = [...outputsByNode.keys()];

/** The names that a stored last node is listed under; undefined: it is an ordinary node. */
export function listedOutputs(node: string): readonly string[] | undefined {
  return outputsByNode.get(node);
}

const percentileName = /^(?:count|mean|sum|sum_squares|upper)_(\d{1,2}(?:_\d)?)$/;

/** Whether a stored last node can be read under this name. */
export function hasOutput(node: string, output: string): boolean {
  const listed = outputsByNode.get(node);
  if (listed === undefined) return false;
  return listed.includes(output) || (node === timerNode && percentileOf(output) !== undefined);
}

/** `upper_90` is 90, `mean_99_9` is 99.9; undefined for other outputs. */
export function percentileOf(output: string): number | undefined {
  const digits = percentileName.exec(output)?.[1];
  const percentile = Number(digits?.replace("_", "."));
  return percentile > 0 && percentile < 100 ? percentile : undefined;
}

export interface StoredOutput {
  /** The name's last node, which begins with \u0001. */
  node: string;
  /** The stored name, whose last node is replaced by an output: `read("mean")`. */
  read(output: string): string;
}

/** undefined: an ordinary name. */
export function storedOutput(name: string): StoredOutput | undefined {
  const semicolon = name.indexOf(";");
  const end = semicolon < 0 ? name.length : semicolon;
  const start = name.lastIndexOf(".", end - 1) + 1;
  const node = name.slice(start, end);
  if (!outputsByNode.has(node)) return undefined;
  return { node, read: (output) => name.slice(0, start) + output + name.slice(end) };
}

const nodeOfPrefix = [
  [counterPrefix, counterNode],
  [timerPrefix, timerNode],
  [setPrefix, setNode],
] as const;

/** The stored name of the series that is read as `name`, whose last node is `output`; undefined: none of ours. */
export function storedNameOf(name: string, output: string): string | undefined {
  const node = nodeOfPrefix.find(([prefix]) => name.startsWith(prefix))?.[1];
  const semicolon = name.indexOf(";");
  const end = semicolon < 0 ? name.length : semicolon;
  const start = end - output.length;
  if (node === undefined || name[start - 1] !== "." || name.slice(start, end) !== output) return undefined;
  return name.slice(0, start) + node + name.slice(end);
}
