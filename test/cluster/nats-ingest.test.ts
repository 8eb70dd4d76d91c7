// Points over NATS on the real system: the page's own example, then a server with users, each for its own subject.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "nats";
import { findRoot } from "../../bin/setup/root.mjs";
import { natsServerProgram } from "../harness/nats-server.ts";
import { eventually, freePorts, System, systemPorts, type Keys } from "../harness/system.ts";

const root = findRoot(import.meta.url) ?? "";

function sum(system: System, tenant: Keys, name: string): Promise<number | undefined> {
  return system.sums(tenant.readKey, `${name}:sum`).then((sums) => sums.get(`${name}:sum`));
}

test("points over NATS: the page's example; with users of a server each tenant has its own subject only", {
  timeout: 180_000,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-nats-config-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const system = await System.start();
  t.after(() => system.close());
  const page = readFileSync(join(root, "docs", "sending", "nats.md"), "utf8");
  const example = /```ts\n(.*?)```/s.exec(page)?.[1] ?? "";
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "example.mjs"), example);
  const said = execFileSync(process.execPath, [join(folder, "example.mjs")], {
    env: {
      ...process.env,
      NATS_URL: `nats://127.0.0.1:${system.natsPort}`,
      WRITE_KEY: system.demo.writeKey,
    },
    encoding: "utf8",
  });
  assert.equal(said, '{"accepted":2,"refused":[]}\n');
  assert.ok(page.includes(said.trim()), "the page shows what it prints");
  await eventually("its points", async () => (await sum(system, system.demo, "web.requests")) === 17);

  const one = await system.addTenant("one.and.only");
  const two = await system.addTenant("two");
  await system.addTenant("millrace");
  await system.addTenant("no..subject");
  const dir = join(folder, "users");
  const first = await system.millrace("nats-config", dir);
  assert.match(first, /4 tenants\n.*passwords, 5 of them new/s);
  assert.match(await system.millrace("nats-config", dir), /passwords, 0 of them new/);
  const secrets = join(dir, "nats-secrets.conf");
  assert.equal(statSync(secrets).mode & 0o777, 0o600);
  const passwords = new Map(
    [...readFileSync(secrets, "utf8").matchAll(/^PASSWORD_(\w+): "(\w+)"$/gm)].map(([, user, word]) => [
      user,
      word,
    ]),
  );
  const config = readFileSync(join(dir, "nats.conf"), "utf8");
  for (const word of passwords.values())
    assert.ok(!config.includes(String(word)), "no secret in the configuration");

  await system.stop();
  const server = spawn(natsServerProgram(), ["-c", join(dir, "nats.conf")], { stdio: "ignore" });
  t.after(async () => {
    server.kill();
    if (server.exitCode === null && server.signalCode === null) await once(server, "exit");
  });
  const at = `127.0.0.1:${system.natsPort}`;
  const again = new System(
    {
      home: system.home,
      env: {
        MILLRACE_NATS_URL: `nats://millrace:${passwords.get("millrace")}@${at}`,
        MILLRACE_NATS_INGEST: "subject",
      },
    },
    await freePorts(systemPorts),
  );
  t.after(() => again.close());
  await again.up();

  const refusals: string[] = [];
  const client = async ({ id }: Keys): Promise<NatsConnection> => {
    const nats = await connect({
      servers: at,
      user: id,
      pass: passwords.get(id) ?? "",
      inboxPrefix: `_INBOX_${id}`,
    });
    void (async () => {
      for await (const status of nats.status())
        if (status.type === "error") refusals.push(String(status.error));
    })();
    return nats;
  };
  const nats = await client(one);
  t.after(() => nats.close());
  const answer = await nats.request("millrace.ingest.one.and.only", "users.own 5\n", { timeout: 15_000 });
  assert.deepEqual(answer.json(), { accepted: 1, refused: [] });
  await eventually("its point", async () => (await sum(again, one, "users.own")) === 5);

  for (const subject of ["millrace.ingest.two", "millrace.in.0", "millrace.control.shard", "$JS.API.INFO"]) {
    const before = refusals.length;
    nats.publish(subject, "users.own 7\n");
    await eventually(`no for ${subject}`, async () => refusals.length > before);
  }
  const before = refusals.length;
  nats.subscribe("millrace.>", { callback: () => {} });
  nats.subscribe(`_INBOX_${two.id}.>`, { callback: () => {} });
  await eventually("no for what is not its own to hear", async () => refusals.length >= before + 2);
  assert.ok(
    refusals.every((why) => /permission/i.test(why)),
    refusals.join("\n"),
  );
  await assert.rejects(
    jetstreamManager(nats, { timeout: 1000 }).then((manager) => manager.streams.info("MR_IN_0")),
  );

  // A request whose answer would go into the record: it is taken, and not answered there.
  nats.publish("millrace.ingest.one.and.only", "users.own 1\n", { reply: "millrace.in.0" });
  await eventually("the point of it", async () => (await sum(again, one, "users.own")) === 6);
  assert.equal(await sum(again, two, "users.own"), undefined);
  const metrics = await (await fetch(`http://127.0.0.1:${again.apiPort}/metrics`)).text();
  assert.doesNotMatch(metrics, /shard_dead_total\{shard="\d+"\} [1-9]/);
});
