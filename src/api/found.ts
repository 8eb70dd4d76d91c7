// A series as a query finds it: what it is called, and what is read of it.
import type { Output } from "../graphite/output.ts";
import { storedNameOf, storedOutput } from "../metric/outputs.ts";
import type { FoundSeries } from "../store/store.ts";

export interface Found {
  /** The stored name: rules choose its ladder by it, and all outputs of a series share it. */
  key: string;
  /** The name it is found under. */
  name: string;
  /** Of a series that has several (src/metric/outputs.ts): which one is read. */
  output: Output | undefined;
}

export function foundSeries({ name, output }: FoundSeries): Found {
  const key = output === undefined ? undefined : storedNameOf(name, output);
  const node = key === undefined ? undefined : storedOutput(key)?.node;
  if (key === undefined || output === undefined || node === undefined)
    return { key: name, name, output: undefined };
  return { key, name, output: { node, output } };
}
