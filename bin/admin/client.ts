// The command line as a client of the admin API: where it is, the token, and sentences for what goes wrong.
import { userInfo } from "node:os";
import { isOutage, messageOf } from "../../src/base/errors.ts";
import { formatAddress, readSettings, type SettingName, type Settings } from "../../src/config/settings.ts";
import { adminTokenFile } from "../../src/config/places.ts";
import { Refusal } from "../command.ts";
import { exitFinal } from "../process.ts";
import { readToken } from "./token.ts";

export type Flags = Partial<Record<SettingName, string>>;

/** Longer than any verb takes. */
const answerMsMax = 120_000;

export class AdminClient {
  readonly #url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  get<T>(path: string, query: Record<string, string | number | undefined> = {}): Promise<T> {
    const said = Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)] as [string, string]],
    );
    const search = new URLSearchParams(said).toString();
    return this.#ask<T>("GET", search === "" ? path : `${path}?${search}`, undefined);
  }

  post<T>(path: string, body: object): Promise<T> {
    return this.#ask<T>("POST", path, JSON.stringify(body));
  }

  async #ask<T>(method: string, path: string, body: string | undefined): Promise<T> {
    let response: Response;
    try {
      response = await fetch(`${this.#url}${path}`, {
        method,
        headers: {
          Authorization: `Bearer ${this.#token}`,
          "Millrace-User": userName(),
          ...(body !== undefined && { "Content-Type": "application/json" }),
        },
        body: body ?? null,
        signal: AbortSignal.timeout(answerMsMax),
      });
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
      throw new Refusal(
        `the admin API at ${this.#url} does not answer (${messageOf(cause)}): does the system run?`,
      );
    }
    const answer = (await response.json().catch(() => ({}))) as T & { error?: unknown };
    if (response.ok) return answer;
    if (response.status === 401)
      throw new Refusal(`the admin API at ${this.#url} does not take this token: is it another system's?`);
    throw new Refusal(
      typeof answer.error === "string" ? answer.error : `the admin API answered ${response.status}`,
    );
  }
}

export function clientOf(settings: Settings): AdminClient {
  const { adminListen } = settings;
  if (adminListen === "off") throw new Refusal("the admin API is off: MILLRACE_ADMIN_LISTEN says so");
  const token = readToken(settings);
  if (token === undefined)
    throw new Refusal(
      `there is no ${adminTokenFile(settings)} with an admin token: did the system ever run on this ` +
        "MILLRACE_HOME? Elsewhere, set MILLRACE_ADMIN_TOKEN.",
    );
  const { host } = adminListen;
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return new AdminClient(`http://${formatAddress({ ...adminListen, host: reachable })}`, token);
}

/** Ends the process: with the code that `action` answers, 0 for none. */
export async function withAdmin(
  flags: Flags,
  action: (admin: AdminClient, settings: Settings) => Promise<number | void>,
): Promise<void> {
  let code: number;
  try {
    const settings = readSettings(process.env, flags);
    code = (await action(clientOf(settings), settings)) ?? 0;
  } catch (error) {
    process.stderr.write(`millrace: ${messageOf(error)}\n`);
    process.exit(isOutage(error, "settings-invalid") ? exitFinal : 1);
  }
  // A pipe may still have to take what was said.
  process.exitCode = code;
  await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
  process.exit(code);
}

function userName(): string {
  try {
    return userInfo().username.replaceAll(/[^\x20-\x7e]/g, "?");
  } catch {
    return "";
  }
}
