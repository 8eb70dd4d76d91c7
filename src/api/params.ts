// Parameters of a request, from the query string and the body, as Graphite takes them: a name may come several times,
// and of a parameter that counts once the last one wins, the body's after the query string's.
//
// Bytes of any kind give parameters or a sentence; nothing throws. Bad percent-encodings are taken as they are.

/** A Map, so that no parameter can be called like something every object has. */
export type Params = ReadonlyMap<string, readonly string[]>;

export type ParsedParams =
  | { kind: "params"; params: Params }
  | { kind: "invalid"; status: 400 | 415; why: string };

/** More than any request of ours can use: parsing them would only cost time. */
const pairsMax = 20_000;

/** `body` is undefined where the request has none. */
export function parseParams(
  queryText: string,
  contentType: string | undefined,
  body: string | undefined,
): ParsedParams {
  const params = new Map<string, string[]>();
  if (!addForm(params, queryText)) return tooMany;
  if (body === undefined || body === "") return { kind: "params", params };
  const type = contentType?.split(";")[0]?.trim().toLowerCase();
  switch (type) {
    case "application/json": {
      const why = addJson(params, body);
      return why === undefined ? { kind: "params", params } : { kind: "invalid", status: 400, why };
    }
    case undefined:
    case "":
    case "application/x-www-form-urlencoded":
      return addForm(params, body) ? { kind: "params", params } : tooMany;
    default:
      return {
        kind: "invalid",
        status: 415,
        why: "send parameters as application/x-www-form-urlencoded or application/json",
      };
  }
}

const tooMany: ParsedParams = { kind: "invalid", status: 400, why: `more than ${pairsMax} parameters` };

function addForm(params: Map<string, string[]>, text: string): boolean {
  let pairs = 1;
  for (let at = text.indexOf("&"); at >= 0; at = text.indexOf("&", at + 1)) {
    pairs += 1;
    if (pairs > pairsMax) return false;
  }
  for (const [name, value] of new URLSearchParams(text)) add(params, name, value);
  return true;
}

/** An object of texts, numbers, booleans and lists of them. Answers what is wrong, if anything is. */
function addJson(params: Map<string, string[]>, text: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "the body is not JSON";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return "the body must be a JSON object";
  let pairs = 0;
  for (const [name, entry] of Object.entries(value)) {
    for (const item of Array.isArray(entry) ? (entry as unknown[]) : [entry as unknown]) {
      pairs += 1;
      if (pairs > pairsMax) return `more than ${pairsMax} parameters`;
      if (item === null) continue;
      if (typeof item !== "string" && typeof item !== "number" && typeof item !== "boolean")
        return `"${name.slice(0, 50)}" must be a text, a number or a list of them`;
      add(params, name, String(item));
    }
  }
  return undefined;
}

function add(params: Map<string, string[]>, name: string, value: string): void {
  const values = params.get(name);
  if (values === undefined) params.set(name, [value]);
  else values.push(value);
}

export function lastOf(params: Params, name: string): string | undefined {
  return params.get(name)?.at(-1);
}

/** `1`, `true` and the like; what is absent, empty, `0` or `false` is not set. */
export function isSet(params: Params, name: string): boolean {
  const value = lastOf(params, name)?.toLowerCase();
  return value !== undefined && value !== "" && value !== "0" && value !== "false";
}
