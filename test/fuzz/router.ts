// The router's rows are the oracle's lines, in one piece and cut at random into packets.
import assert from "node:assert/strict";
import type { Random } from "../../src/base/random.ts";
import { createPlainRouter, unconsumedBytesMax } from "../../src/kernel/plain-router.ts";
import { reasons } from "../../src/metric/reason.ts";
import type { Router } from "../../src/kernel/kernel.ts";
import { fromLatin1, latin1, type Fuzzer } from "./fuzzer.ts";
import { judgeLine } from "./line-oracle.ts";
import { lineText } from "./line-text.ts";

export interface Row {
  reason: string;
  key: string;
  rest: string;
  seconds: number;
}

export function oracleRows(text: string, keyed: boolean): Row[] {
  const lines = text.split("\n").map((line) => judgeLine(line, keyed));
  return lines.flatMap((line) =>
    line === undefined
      ? []
      : [
          {
            reason: line.reason,
            key: line.key,
            rest: line.rest,
            seconds: line.reason === "ok" ? line.seconds : Number.NaN,
          },
        ],
  );
}

/** Feeds packets as a door does, keeping what was not consumed. `look` sees what each call left in the router. */
export function routePackets(
  router: Router,
  packets: readonly Uint8Array[],
  keyed: boolean,
  look?: (rows: readonly Row[]) => void,
): Row[] {
  const rows: Row[] = [];
  let kept = new Uint8Array();
  let skipping = false;
  const route = (bytes: Uint8Array, last: boolean) => {
    let at = 0;
    do {
      router.route(bytes, at, bytes.length, { keyed, last, skipping });
      const { lines } = router;
      const got = routedRows(router, bytes);
      rows.push(...got);
      look?.(got);
      skipping = lines.skipping;
      if (lines.consumed === at) break;
      at = lines.consumed;
    } while (at < bytes.length);
    kept = bytes.slice(at);
    assert.ok(kept.length <= unconsumedBytesMax, `kept ${kept.length} bytes`);
  };
  for (const packet of packets) {
    const bytes = new Uint8Array(kept.length + packet.length);
    bytes.set(kept);
    bytes.set(packet, kept.length);
    route(bytes, false);
  }
  route(kept, true);
  assert.equal(kept.length, 0);
  assert.equal(skipping, false);
  return rows;
}

/** What the last call left. */
export function routedRows(router: Router, bytes: Uint8Array): Row[] {
  return Array.from({ length: router.lines.count }, (_, row) => rowOf(router, bytes, row));
}

function rowOf(router: Router, bytes: Uint8Array, row: number): Row {
  const { lines } = router;
  const reason = reasons[lines.reason[row] ?? 0] ?? "";
  return {
    reason,
    key: latin1(bytes.subarray(lines.keyFrom[row], lines.keyTo[row])),
    rest: latin1(bytes.subarray(lines.from[row], lines.to[row])),
    seconds: reason === "ok" ? (lines.seconds[row] ?? 0) : Number.NaN,
  };
}

export function cutAtRandom(random: Random, bytes: Uint8Array): Uint8Array[] {
  // Not too small for long texts: each packet makes the router read the line anew.
  const most = Math.max(bytes.length / 200, 1 + random.below(random.below(2) === 0 ? 20 : 70_000));
  const packets: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const to = Math.min(bytes.length, at + 1 + random.below(most | 0));
    packets.push(bytes.subarray(at, to));
    at = to;
  }
  return packets;
}

const router = createPlainRouter();

export const routerFuzzer: Fuzzer = {
  name: "router",
  smokeRounds: 40,
  round(random) {
    const keyed = random.below(2) === 0;
    const count = random.below(random.below(20) === 0 ? 1500 : 40);
    let text = "";
    for (let i = 0; i < count; i++) {
      text += (keyed && random.below(10) > 0 ? "KEY." : "") + lineText(random, 1_790_000_000);
      if (random.below(30) === 0) text += "x".repeat(16_384 - 100 + random.below(200));
      if (random.below(50) === 0) text += "y ".repeat(20_000);
      if (i < count - 1 || random.below(2) === 0) text += "\n";
    }
    const bytes = fromLatin1(text);
    const expected = oracleRows(text, keyed);
    assert.deepStrictEqual(routePackets(router, [bytes], keyed), expected);
    assert.deepStrictEqual(routePackets(router, cutAtRandom(random, bytes), keyed), expected);
  },
};
