// Which nats-server is taken: the setting, PATH, the cache folder, in this order; old ones are passed over.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findNatsServer, prepareNatsServer } from "../../bin/setup/nats-server.mjs";
import { createCheckout, serverSaying, type Checkout } from "./checkout.ts";

const cached = ".cache/nats-server/nats-server";

function cacheServer(checkout: Checkout, version: string): void {
  checkout.write(cached, `#!/bin/sh\n${serverSaying(version)}\n`);
  chmodSync(join(checkout.root, cached), 0o755);
}

/** PATH without whatever this machine has installed. */
function alone(checkout: Checkout): Checkout {
  checkout.env["PATH"] = `${checkout.programs}:${join(checkout.root, "more")}:/bin`;
  return checkout;
}

test("one on PATH is taken before the cached one", async (t) => {
  const checkout = alone(createCheckout(t));
  cacheServer(checkout, "2.11.0");
  const path = checkout.program("nats-server", serverSaying("2.10.27"));
  assert.deepEqual(await findNatsServer(checkout.step), { path, version: "2.10.27" });
});

test("an old one on PATH is passed over with a word, for the next on PATH or the cached one", async (t) => {
  const checkout = alone(createCheckout(t));
  checkout.program("nats-server", serverSaying("2.9.10"));
  cacheServer(checkout, "2.10.0");
  assert.equal((await findNatsServer(checkout.step)).path, join(checkout.root, cached));
  checkout.write("more/nats-server", `#!/bin/sh\n${serverSaying("2.15.1")}\n`);
  chmodSync(join(checkout.root, "more/nats-server"), 0o755);
  assert.equal((await findNatsServer(checkout.step)).version, "2.15.1");
  await prepareNatsServer({ ...checkout.step, urlStandsIn: true });
  assert.match(checkout.said(), /nats-server 2\.9\.10 at .* is passed over: 2\.10 or newer is needed\n/);
  assert.match(checkout.said(), /nats-server 2\.15\.1 is more\/nats-server\n$/);
});

test("what is on PATH but no server is not taken", async (t) => {
  const checkout = alone(createCheckout(t));
  const f = async (body: string) => {
    checkout.program("nats-server", body);
    await assert.rejects(
      findNatsServer(checkout.step),
      /There is no nats-server yet: run `node bin\/setup\.mjs`/,
    );
  };
  await f("exit 3");
  await f("echo hello");
  await f("echo v2.10.27; exit 1");
});

test("MILLRACE_NATS_SERVER is used, or refused with a sentence that names it", async (t) => {
  const checkout = alone(createCheckout(t));
  const onPath = checkout.program("nats-server", serverSaying("2.10.27"));
  const f = async (chosen: string, expected: RegExp) => {
    const env = { ...checkout.env, MILLRACE_NATS_SERVER: chosen };
    await assert.rejects(findNatsServer({ ...checkout.step, env }), expected, chosen);
  };
  await f(
    "/nowhere/nats-server",
    /^SetupError|MILLRACE_NATS_SERVER is "\/nowhere\/nats-server", which is no/,
  );
  await f(checkout.root, /which is no nats-server that runs/);
  await f(join(checkout.root, "package.json"), /which is no nats-server that runs/);
  await f(
    checkout.program("old", serverSaying("2.9.25")),
    /which is nats-server 2\.9\.25; 2\.10 or newer is needed/,
  );
  const other = checkout.program("other", serverSaying("2.12.1"));
  const env = { ...checkout.env, MILLRACE_NATS_SERVER: other };
  assert.equal((await findNatsServer({ ...checkout.step, env })).path, other);
  checkout.write(".millrace/millrace.json", JSON.stringify({ natsServer: other }));
  assert.equal((await findNatsServer(checkout.step)).path, other);
  checkout.write("elsewhere/millrace.json", "{}");
  const home = { ...checkout.env, MILLRACE_HOME: "elsewhere" };
  assert.equal((await findNatsServer({ ...checkout.step, env: home })).path, onPath);
});

test("MILLRACE_NATS_URL stands in for a server, but not for the tests", async (t) => {
  const checkout = alone(createCheckout(t));
  checkout.program("dpkg", "exit 1");
  const env = { ...checkout.env, MILLRACE_NATS_URL: "nats://127.0.0.1:4222" };
  await prepareNatsServer({ ...checkout.step, env, urlStandsIn: true });
  assert.match(checkout.said(), /none is needed/);
  checkout.program("nats-server", serverSaying("2.10.27"));
  await prepareNatsServer({ ...checkout.step, env, urlStandsIn: false });
  assert.match(checkout.said(), /nats-server 2\.10\.27 is programs\/nats-server\n$/);
});

test("--which-nats-server prints the path alone, or says what to run", (t) => {
  const checkout = alone(createCheckout(t));
  const which = () =>
    spawnSync(process.execPath, [join(checkout.root, "bin/setup.mjs"), "--which-nats-server"], {
      env: checkout.env,
      encoding: "utf8",
    });
  const none = which();
  assert.equal(none.status, 1);
  assert.equal(none.stdout, "");
  assert.match(
    none.stderr,
    /^setup: There is no nats-server yet: run `node bin\/setup\.mjs`\. .*MILLRACE_NATS_SERVER/,
  );
  const path = checkout.program("nats-server", serverSaying("2.10.27"));
  assert.equal(which().stdout, `${path}\n`);
});
