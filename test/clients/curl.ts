// curl: lines as the body of a request.
import assert from "node:assert/strict";
import { run, type Client } from "./client.ts";

export const curl: Client = {
  name: "curl",
  from: "machine",
  expected: { "curl.body": 5 },
  async send({ system, keys }, arrived) {
    const url = `http://127.0.0.1:${system.httpPort}/api/v1/sink`;
    const header = `Authorization: Bearer ${keys.writeKey}`;
    const said = await run("curl", ["-sS", "-H", header, "--data-binary", "@-", url], "curl.body 5\n");
    assert.match(said, /"accepted":1/);
    await arrived();
  },
};
