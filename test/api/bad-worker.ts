// A query thread that misbehaves on demand: the tenant's id says how.
import { move, transferableSymbol, valueSymbol } from "piscina";
import type { QueryAnswer, QueryJob } from "../../src/api/messages.ts";

let queries = 0;
const hoard: unknown[] = [];

export default async function answer(job: QueryJob): Promise<unknown> {
  queries += 1;
  switch (job.tenant) {
    case "loop":
      for (;;);
    case "hang":
      return new Promise(() => {});
    case "throw":
      throw new TypeError("a bug");
    case "exit":
      return process.exit(3);
    case "heap":
      for (;;) hoard.push(Array.from({ length: 10_000 }, (_, i) => ({ i })));
    default: {
      const body = new TextEncoder().encode(String(queries));
      const ok: QueryAnswer = { kind: "ok", body, homes: [], missing: [] };
      return move({ [transferableSymbol]: [body.buffer], [valueSymbol]: ok });
    }
  }
}
