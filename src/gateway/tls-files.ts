// The certificate, its key and the authorities of clients, from files that may change at any time.
//
// F1. A start without files that can be used ends with a sentence; later a broken file is said, and what was read
//     before it stays.
// F2. What changes holds for new connections; those that are there live on.
import { readFile, stat } from "node:fs/promises";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { messageOf, Outage } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Settings } from "../config/settings.ts";

const lookEveryMs = 2000;

export interface TlsPaths {
  cert: string;
  key: string;
  /** Empty: clients need no certificate. */
  clientCa: string;
}

/** The files that the settings name, for the door that `setting` turns on. Throws settings-invalid. */
export async function openTlsFiles(
  { settings, clock, log }: { settings: Settings; clock: Clock; log: Log },
  setting: string,
): Promise<TlsFiles> {
  for (const [path, env] of [
    [settings.tlsCert, "MILLRACE_TLS_CERT"],
    [settings.tlsKey, "MILLRACE_TLS_KEY"],
  ])
    if (path === "") throw new Outage("settings-invalid", `${setting} is set, but ${env} names no file.`);
  const paths = { cert: settings.tlsCert, key: settings.tlsKey, clientCa: settings.tlsClientCa };
  return await TlsFiles.open(paths, clock, log);
}

export class TlsFiles {
  readonly #paths: TlsPaths;
  readonly #clock: Clock;
  readonly #log: Log;
  #seen: string;
  #options: SecureContextOptions;
  #cancel: () => void = () => {};
  #closed = false;
  /** Called with what new connections are to use. */
  onChange: (options: SecureContextOptions) => void = () => {};

  private constructor(
    paths: TlsPaths,
    clock: Clock,
    log: Log,
    { seen, options }: { seen: string; options: SecureContextOptions },
  ) {
    this.#paths = paths;
    this.#clock = clock;
    this.#log = log;
    this.#seen = seen;
    this.#options = options;
    this.#arm();
  }

  static async open(paths: TlsPaths, clock: Clock, log: Log): Promise<TlsFiles> {
    const seen = await looks(paths);
    try {
      return new TlsFiles(paths, clock, log, { seen, options: await read(paths) });
    } catch (error) {
      throw new Outage("settings-invalid", `TLS can't begin: ${messageOf(error)}.`);
    }
  }

  /** What the next connection uses. */
  get options(): SecureContextOptions {
    return this.#options;
  }

  get clientsNeedCertificate(): boolean {
    return this.#paths.clientCa !== "";
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #arm(): void {
    this.#cancel = this.#clock.after(lookEveryMs, () => {
      void this.#look().then(() => {
        if (!this.#closed) this.#arm();
      });
    });
  }

  async #look(): Promise<void> {
    // Taken before reading: what changes meanwhile is seen at the next look.
    const seen = await looks(this.#paths);
    if (seen === this.#seen) return;
    this.#seen = seen;
    try {
      this.#options = await read(this.#paths);
    } catch (error) {
      // A certificate is there a moment before its key: the next look finds both.
      this.#log.error({ err: messageOf(error) }, "tls: changed files can't be used; those before stay"); // F1
      return;
    }
    if (this.#closed) return;
    this.onChange(this.#options);
    this.#log.info({ cert: this.#paths.cert }, "tls: files changed, new connections use them"); // F2
  }
}

/** Changes when a file may have. */
async function looks({ cert, key, clientCa }: TlsPaths): Promise<string> {
  const files = [cert, key, clientCa].filter((path) => path !== "");
  const stats = await Promise.all(files.map((path) => stat(path).catch(() => undefined)));
  return stats.map((at) => `${at?.ino} ${at?.size} ${at?.mtimeMs} ${at?.ctimeMs}`).join();
}

/** Throws a sentence that names the file, or what doesn't fit. */
async function read(paths: TlsPaths): Promise<SecureContextOptions> {
  const cert = await readNamed(paths.cert, "MILLRACE_TLS_CERT");
  const key = await readNamed(paths.key, "MILLRACE_TLS_KEY");
  const ca = paths.clientCa === "" ? undefined : await readNamed(paths.clientCa, "MILLRACE_TLS_CLIENT_CA");
  const options = { cert, key, ...(ca === undefined ? {} : { ca }) };
  try {
    createSecureContext(options);
  } catch (error) {
    throw new Error(`${paths.cert} and ${paths.key} can't be used together: ${messageOf(error)}`, {
      cause: error,
    });
  }
  // Authorities that hold no certificate would turn everybody away, and nobody would be told why.
  if (ca !== undefined && !ca.includes("-----BEGIN CERTIFICATE-----"))
    throw new Error(`${paths.clientCa} (MILLRACE_TLS_CLIENT_CA) holds no certificate`);
  return options;
}

async function readNamed(path: string, env: string): Promise<string> {
  try {
    return await readFile(path, "latin1");
  } catch (error) {
    throw new Error(`${path} (${env}) can't be read: ${messageOf(error)}`, { cause: error });
  }
}
