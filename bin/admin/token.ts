// The admin token: made at the first start, in a file for the owner alone; or named by a setting, which wins.
//
// T1. Two that start at once get the same: the file is there whole or not at all, and the first one is kept.
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { messageOf, Outage } from "../../src/base/errors.ts";
import { makeFolder } from "../../src/base/folder.ts";
import { systemRandom } from "../../src/base/random.ts";
import { adminTokenFile } from "../../src/config/places.ts";
import type { Settings } from "../../src/config/settings.ts";

type At = Pick<Settings, "home" | "adminToken">;

/** Makes the file where there is none. */
export function ensureToken(settings: At): string {
  if (settings.adminToken !== "") return settings.adminToken;
  const path = adminTokenFile(settings);
  return readTokenFile(path) ?? makeTokenFile(settings.home, path);
}

/** undefined: there is none yet. */
export function readToken(settings: At): string | undefined {
  return settings.adminToken === "" ? readTokenFile(adminTokenFile(settings)) : settings.adminToken;
}

function makeTokenFile(home: string, path: string): string {
  const token = Buffer.from(systemRandom.bytes(24)).toString("base64url");
  const mine = `${path}.${process.pid}`;
  try {
    makeFolder(home);
    writeFileSync(mine, `${token}\n`, { mode: 0o600 });
    try {
      linkSync(mine, path); // T1
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    } finally {
      rmSync(mine, { force: true });
    }
  } catch (error) {
    throw new Outage("settings-invalid", `${path} can't be written: ${messageOf(error)}.`);
  }
  return readTokenFile(path) ?? token;
}

function readTokenFile(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Outage(
      "settings-invalid",
      `${path}, with the admin token, can't be read: ${messageOf(error)}.`,
    );
  }
  if (text.length >= 16) return text;
  throw new Outage(
    "settings-invalid",
    `${path} does not hold an admin token: delete it, and the next start makes a new one.`,
  );
}
