// Who asks: the key of a request, and what it may see.
//
// U1. A key is looked for in three places: the path prefix /t/<key>/, `Authorization: Bearer`, and the user of
//     `Authorization: Basic`. The prefix wins: what stands before us may put in an Authorization of its own.
// U2. The key leaves this file only as a tenant. It is in no sentence, no counter and no log line.
// U3. `unavailable` is not `unknown`: nobody is turned away for good because the directory can't be read.
import type { Tenant, TenantLookup } from "../tenant/tenant.ts";

/** Longer than any key of ours: such a text is no key, and is not looked up. */
const keyCharsMax = 256;

export type Access = { kind: "tenant"; tenant: Tenant } | Denied;

export interface Denied {
  kind: "denied";
  status: 401 | 403 | 410 | 503;
  reason: "no-key" | "unknown-key" | "key-not-for-reading" | "suspended" | "deleted" | "unavailable";
  why: string;
}

/** The path without its prefix, and the prefix's key. A prefix without a rest is the root. */
export function splitPrefix(url: string): { key: string | undefined; url: string } {
  const match = /^\/t\/([^/?#]*)(.*)$/s.exec(url);
  if (match === null) return { key: undefined, url };
  const rest = match[2] ?? "";
  return { key: decoded(match[1] ?? ""), url: rest.startsWith("/") ? rest : `/${rest}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function judge(key: string | undefined, lookup: (key: string) => TenantLookup): Access {
  if (key === undefined || key === "")
    return denied(
      401,
      "no-key",
      "a read key is needed: as Bearer token, as Basic user, or as /t/<key>/ in front",
    );
  if (key.length > keyCharsMax) return denied(401, "unknown-key", "this key is not known");
  const found = lookup(key);
  switch (found.kind) {
    case "unknown":
      return denied(401, "unknown-key", "this key is not known");
    case "unavailable":
      return denied(503, "unavailable", "keys can't be looked up at the moment");
    case "known":
      break;
  }
  const { tenant } = found;
  switch (tenant.state) {
    case "deleted":
    case "purging":
      return denied(410, "deleted", "this account is deleted");
    case "suspended":
      return denied(403, "suspended", "this account is suspended");
    case "active":
      break;
  }
  if (found.key !== "read")
    return denied(403, "key-not-for-reading", "this key may write but not read: use a read key");
  return { kind: "tenant", tenant };
}

function denied(status: Denied["status"], reason: Denied["reason"], why: string): Denied {
  return { kind: "denied", status, reason, why };
}
