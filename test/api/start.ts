// An api over plain values, ready for `inject`: two tenants, keys of every kind, a clock that stands still.
import { pino } from "pino";
import { type Api, type ApiOptions, createApi } from "../../src/api/server.ts";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { Counters } from "../../src/base/counters.ts";
import type { KeyKind, Tenant, TenantLookup, TenantState } from "../../src/tenant/tenant.ts";
import { snapshotOf } from "./fixture.ts";
import { ladderOf, localRunner } from "./query.ts";

export const now = 1_795_341_600;
export const frozen: Clock = { ...systemClock, nowMs: () => now * 1000 };
export const readKey = "r-0123456789abcdef";
export const writeKey = "w-0123456789abcdef";

export const known = (id: string, key: KeyKind = "read", state: TenantState = "active"): TenantLookup => ({
  kind: "known",
  key,
  tenant: { id, name: id, state, createdMs: 0, keys: [], homes: [] },
});

export const t1: Tenant = { id: "t1", name: "t1", state: "active", createdMs: 0, keys: [], homes: [] };

export const keys: Record<string, TenantLookup> = {
  [readKey]: known("t1"),
  [writeKey]: known("t1", "write"),
  other: known("t2"),
  suspended: known("t3", "read", "suspended"),
  deleted: known("t4", "read", "deleted"),
  purging: known("t5", "write", "purging"),
  outage: { kind: "unavailable" },
  "with space/and%": known("t1"),
};

export const content = {
  t1: { "web.a.cpu": [[now - 60, 1.5]], "web.b.cpu": [], "web.a": [[now - 60, 2]], solo: [[now, 1]] },
  t2: { "web.a.cpu": [[now - 60, 1000]], "secret.x": [] },
} as const;

export interface Started {
  api: Api;
  lines: string[];
  counters: Counters;
  looked: string[];
}

export async function start(options: Partial<ApiOptions> = {}): Promise<Started> {
  const lines: string[] = [];
  const looked: string[] = [];
  const counters = new Counters();
  const api = await createApi({
    ladder: ladderOf("60s:14d"),
    lookup(key) {
      looked.push(key);
      return keys[key] ?? { kind: "unknown" };
    },
    homes: () => [0],
    watermark: (home) => home.frameTimeMs / 1000,
    aside: () => undefined,
    ledger: () => Promise.resolve({}),
    queries: localRunner(new Map([[0, snapshotOf(content, { frameTimeMs: (now - 5) * 1000 })]])),
    health: () => ({ healthy: true, detail: { nats: "connected" } }),
    otherTexts: () => Promise.resolve(["# HELP x y\n# TYPE x counter\nx 2\n"]),
    counters,
    clock: frozen,
    log: pino({ level: "trace" }, { write: (line: string) => void lines.push(line) }),
    ...options,
  });
  return { api, lines, counters, looked };
}

export const bearer = { authorization: `Bearer ${readKey}` };
export const range = `from=${now - 120}&until=${now}`;
