// The fault door: lines that do on purpose what no line should. Only with MILLRACE_FAULTS.
//
//   millrace-fault.throw.<anything> 1    throws               millrace-fault.exit.<anything> 1     ends the thread
//   millrace-fault.loop.<anything> 1     loops without end    millrace-fault.abort.<anything> 1    aborts the process
//   millrace-fault.heap.<anything> 1     allocates without end
import type { Aggregator, Refuse } from "../src/kernel/kernel.ts";

const prefix = Buffer.from("millrace-fault.");
const newline = 0x0a;

const faults = new Map<string, () => void>([
  [
    "throw",
    () => {
      throw new Error("a fault that was asked for");
    },
  ],
  [
    "loop",
    () => {
      for (;;);
    },
  ],
  [
    "heap",
    () => {
      for (const held: number[][] = []; ; ) held.push(Array.from({ length: 100_000 }, (_, i) => i));
    },
  ],
  ["exit", () => process.exit(1)],
  [
    "abort",
    () => {
      // process.abort() is refused in a thread; native code that aborts asks nobody.
      process.kill(process.pid, "SIGABRT");
      for (;;);
    },
  ],
]);

/** The aggregator, but lines of faults do what they say before anything of theirs is ingested. */
export function withFaults(aggregator: Aggregator): Aggregator {
  const ingest =
    (method: "ingest" | "ingestStatsd") =>
    (tenant: number, lines: Uint8Array, receivedAtMs: number, refuse: Refuse): number => {
      fault(lines);
      return aggregator[method](tenant, lines, receivedAtMs, refuse);
    };
  const faulty = { ingest: ingest("ingest"), ingestStatsd: ingest("ingestStatsd") };
  return new Proxy(aggregator, {
    get(target, property) {
      const replaced: unknown = Reflect.get(faulty, property);
      if (replaced !== undefined) return replaced;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

function fault(lines: Uint8Array): void {
  const bytes = Buffer.from(lines.buffer, lines.byteOffset, lines.length);
  for (let at = bytes.indexOf(prefix); at >= 0; at = bytes.indexOf(prefix, at + 1)) {
    if (at > 0 && bytes[at - 1] !== newline) continue;
    const from = at + prefix.length;
    const to = bytes.indexOf(".", from);
    // A line of a name that ends with the fault, or has no other word, is a line like any other.
    const name = to < 0 ? "" : bytes.toString("latin1", from, Math.min(to, from + 16));
    faults.get(name)?.();
  }
}
