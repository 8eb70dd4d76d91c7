// The folder of the project: where package.json, Procfile and bin/setup.mjs lie, seen from any build.
import { existsSync, readFileSync } from "node:fs";
import { Outage } from "../src/base/errors.ts";

export function projectFolder(): URL {
  for (let at = new URL(".", import.meta.url); ; at = new URL("..", at)) {
    if (existsSync(new URL("package.json", at))) return at;
    if (at.pathname === "/")
      throw new Outage("settings-invalid", "the project's folder has no package.json.");
  }
}

export function projectVersion(): string {
  const said = JSON.parse(readFileSync(new URL("package.json", projectFolder()), "utf8")) as {
    version: string;
  };
  return said.version;
}
