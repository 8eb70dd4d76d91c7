// What the HTTP door says before it has read a body. How many bytes of bodies it holds: body.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openDoor } from "./http-door.ts";

const bodyBytesMax = 400_000;

test("S1: a stranger is turned away before his body is read", async (t) => {
  const { post, counters, readKey } = await openDoor(t, bodyBytesMax);
  const f = async (key: string, expected: string) => {
    const { socket, answer } = post(key, bodyBytesMax);
    assert.equal(await answer, expected);
    socket.destroy();
  };
  await f("nobody", "HTTP/1.1 401 Unauthorized");
  await f("nobody", "HTTP/1.1 401 Unauthorized");
  await f(readKey, "HTTP/1.1 403 Forbidden");
  assert.match(counters.text(), /gateway_http_answers_total\{status="401"\} 2\n/);
  assert.match(counters.text(), /gateway_http_answers_total\{status="403"\} 1\n/);
});
