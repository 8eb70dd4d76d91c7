import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { findRoot } from "../../bin/setup/root.mjs";
import { Counters } from "../../src/base/counters.ts";
import { systemClock } from "../../src/base/clock.ts";
import { isOutage } from "../../src/base/errors.ts";
import { ConnectionBounds } from "../../src/gateway/connection-bounds.ts";
import { openStreamDoor } from "../../src/gateway/connections.ts";
import { TlsFiles } from "../../src/gateway/tls-files.ts";
import { silentLog } from "../harness/log.ts";
import { eventually } from "../harness/system.ts";
import { has, withDoors, type Doors } from "./open-doors.ts";

const fixtures = join(findRoot(import.meta.url) ?? "", "test", "fixtures", "tls");
const fixture = (name: string) => join(fixtures, name);
const pem = (name: string) => readFileSync(fixture(name));
const first = { MILLRACE_TLS_CERT: fixture("first.pem"), MILLRACE_TLS_KEY: fixture("first.key.pem") };
const tls = { MILLRACE_TLS_LISTEN: "127.0.0.1:0" };
const fails: (error: Error) => void = () => {};

/** However it ends. */
function gone(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}

async function dial(doors: Doors, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const port = doors.gateway.addresses["tls"]?.port ?? 0;
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  socket.on("error", fails);
  await once(socket, "secureConnect");
  return socket;
}

function counts(doors: Doors, what: RegExp): Promise<void> {
  return eventually(String(what), () => Promise.resolve(what.test(doors.counters.text())), 10_000);
}

test("TLS: lines in pieces, a last one without line end; the certificate is the file's", async () => {
  await withDoors({ ...tls, ...first }, async (doors) => {
    const { writeKey } = doors.members[0];
    const socket = await dial(doors, {
      ca: pem("first.pem"),
      rejectUnauthorized: true,
      servername: "localhost",
    });
    for (const piece of [writeKey.slice(0, 5), `${writeKey.slice(5)}.a 1\n${writeKey}.b`])
      socket.write(piece);
    socket.end(" 2");
    await has(doors, ["a 1", "b 2"]);
    await counts(doors, /gateway_connections\{door="tls"\} 0\n/);
  });
});

test("T5: garbage, half handshakes and plain lines at the TLS port cost their connection and are counted", async () => {
  await withDoors({ ...tls, ...first }, async (doors) => {
    const { writeKey } = doors.members[0];
    const port = doors.gateway.addresses["tls"]?.port ?? 0;
    const good = await dial(doors);
    const hello = Buffer.from("16030100f8010000f40303", "hex");
    for (const bytes of [
      Buffer.alloc(100_000, 7),
      Buffer.from(`${writeKey}.plain 1\n`),
      hello,
      Buffer.alloc(0),
    ]) {
      const bad = connectTcp(port, "127.0.0.1");
      bad.on("error", fails);
      await once(bad, "connect");
      bad.end(bytes);
      bad.resume();
      await gone(bad);
    }
    await counts(doors, /gateway_connections_refused_total\{door="tls",reason="handshake"\} 4\n/);
    good.end(`${writeKey}.good 1\n`);
    await has(doors, ["good 1"]);
    await counts(doors, /gateway_connections\{door="tls"\} 0\n/);
  });
});

test("T5: a handshake that takes too long ends, and leaves its place to another", async () => {
  const counters = new Counters();
  const paths = { cert: fixture("first.pem"), key: fixture("first.key.pem"), clientCa: "" };
  const door = await openStreamDoor({
    name: "tls",
    listen: { host: "127.0.0.1", port: 0 },
    setting: "MILLRACE_TLS_LISTEN",
    secure: await TlsFiles.open(paths, systemClock, silentLog),
    bounds: new ConnectionBounds(1, 1),
    idleMsMax: 10_000,
    handshakeMsMax: 100,
    counters,
    clock: systemClock,
    newSink: () => ({ take: () => undefined, end: () => undefined }),
  });
  try {
    const slow = connectTcp(door.address.port, "127.0.0.1");
    slow.on("error", fails);
    slow.write("\x16");
    await gone(slow);
    const next = connect({ port: door.address.port, host: "127.0.0.1", rejectUnauthorized: false });
    next.on("error", fails);
    await once(next, "secureConnect");
    // Open for longer than a handshake may take: it is no handshake any more.
    await systemClock.sleep(150);
    assert.equal(next.destroyed, false);
    next.destroy();
    assert.match(counters.text(), /refused_total\{door="tls",reason="handshake-slow"\} 1\n/);
  } finally {
    await door.close();
  }
});

test("F1, F2: changed files hold for new connections, broken ones for none", async () => {
  await withDoors({}, async ({ folder }) => {
    const dir = join(folder, "tls");
    await mkdir(dir);
    const put = async (name: string) => {
      await copyFile(fixture(`${name}.pem`), join(dir, "cert.pem"));
      await copyFile(fixture(`${name}.key.pem`), join(dir, "key.pem"));
    };
    await put("first");
    const env = { MILLRACE_TLS_CERT: join(dir, "cert.pem"), MILLRACE_TLS_KEY: join(dir, "key.pem") };
    await withDoors({ ...tls, ...env }, async (doors) => {
      const { writeKey } = doors.members[0];
      const nameNow = async () => {
        const socket = await dial(doors);
        const { CN } = socket.getPeerCertificate().subject;
        socket.destroy();
        return String(CN);
      };
      const old = await dial(doors);
      assert.equal(await nameNow(), "first.millrace.test");
      await writeFile(join(dir, "cert.pem"), "rubbish");
      await eventually("it is said", () =>
        Promise.resolve(doors.heard.messages().some((said) => /those before stay/.test(said))),
      );
      assert.equal(await nameNow(), "first.millrace.test");
      await put("second");
      await eventually("the second certificate", async () => (await nameNow()) === "second.millrace.test");
      old.end(`${writeKey}.old 1\n`);
      await has(doors, ["old 1"]);
    });
  });
});

test("TLS: with MILLRACE_TLS_CLIENT_CA only clients with a certificate of its authorities may send", async () => {
  const env = { ...tls, ...first, MILLRACE_TLS_CLIENT_CA: fixture("authority.pem") };
  await withDoors(env, async (doors) => {
    const { writeKey } = doors.members[0];
    const refused = async (options: ConnectionOptions) => {
      // TLS 1.3 tells a client that it is refused only after it may send.
      const socket = await dial(doors, options);
      socket.write(`${writeKey}.stranger 1\n`);
      socket.resume();
      await gone(socket);
    };
    await refused({});
    await refused({ cert: pem("second.pem"), key: pem("second.key.pem") });
    await counts(doors, /refused_total\{door="tls",reason="handshake"\} 2\n/);
    const socket = await dial(doors, { cert: pem("client.pem"), key: pem("client.key.pem") });
    socket.end(`${writeKey}.known 1\n`);
    await has(doors, ["known 1"]);
  });
});

test("F1: a start without files that can be used ends with a sentence", async () => {
  const f = (env: Record<string, string>, sentence: RegExp) =>
    assert.rejects(
      withDoors({ ...tls, ...env }, () => Promise.resolve()),
      (error) => isOutage(error, "settings-invalid") && sentence.test(error.message),
    );
  await f({}, /MILLRACE_TLS_LISTEN is set, but MILLRACE_TLS_CERT names no file/);
  await f({ ...first, MILLRACE_TLS_KEY: "" }, /MILLRACE_TLS_KEY names no file/);
  await f(
    { ...first, MILLRACE_TLS_CERT: "/nowhere.pem" },
    /\/nowhere\.pem \(MILLRACE_TLS_CERT\) can't be read/,
  );
  await f({ ...first, MILLRACE_TLS_KEY: fixture("second.key.pem") }, /can't be used together/);
  await f({ ...first, MILLRACE_TLS_CLIENT_CA: fixture("README.md") }, /holds no certificate/);
});

test("pickle over TLS: the same messages behind a handshake, and one too many connections of a tenant", async () => {
  const env = { MILLRACE_PICKLE_TLS_LISTEN: "127.0.0.1:0", MILLRACE_TENANT_CONNECTIONS: "1", ...first };
  await withDoors(env, async (doors) => {
    const { writeKey } = doors.members[0];
    const open = async () => {
      const port = doors.gateway.addresses["pickleTls"]?.port ?? 0;
      const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
      socket.on("error", fails);
      await once(socket, "secureConnect");
      return socket;
    };
    // Protocol 0, as old clients write it: a list of (path, (time stamp, value)).
    const message = (name: string) => {
      const bytes = Buffer.from(`0000(l(S'${writeKey}.${name}'\n(I-1\nF7.5\ntta.`, "latin1");
      bytes.writeUInt32BE(bytes.length - 4);
      return bytes;
    };
    const socket = await open();
    for (const byte of message("a")) socket.write(Buffer.of(byte));
    socket.write(message("b"));
    await has(doors, ["a 7.5 -1", "b 7.5 -1"]);
    const other = await open();
    other.write(message("c"));
    await gone(other);
    await counts(
      doors,
      /gateway_connections_refused_total\{door="pickleTls",reason="tenant-connections"\} 1\n/,
    );
    socket.end(message("d"));
    await has(doors, ["a 7.5 -1", "b 7.5 -1", "d 7.5 -1"]);
  });
});
