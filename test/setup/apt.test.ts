// The private download, with programs that play apt-get and dpkg: which mirror and suite is asked for, that nothing
// outside the temp folder is named, and what is said when it fails. The real ones are run by each fresh machine.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { downloadWithApt } from "../../bin/setup/apt.mjs";
import { createCheckout, serverSaying, type Checkout } from "./checkout.ts";

/** apt-get that keeps what it was told, knows one mirror, and hands out a file that dpkg turns into a server. */
const aptGet = `
while [ $# -gt 0 ]; do case $1 in -q) ;; -c) shift; conf=$1 ;; *) verb="$verb $1" ;; esac; shift; done
cat "$conf" "$(dirname "$conf")/sources/millrace.sources" >> "$LOG"
grep -q good.example.org "$(dirname "$conf")/sources/millrace.sources" || { echo "$TROUBLE"; exit 100; }
case $verb in *update) ;; *download*) echo archive > nats-server_2.deb ;; *) exit 2 ;; esac`;

function createMachine(
  t: TestContext,
  sources: string,
): { checkout: Checkout; target: string; take: () => Promise<void> } {
  const checkout = createCheckout(t);
  checkout.env["LOG"] = join(checkout.root, "log");
  checkout.env["TROUBLE"] = "E: no such host";
  checkout.write("etc/os-release", "ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n");
  checkout.write("etc/apt/sources.list.d/debian.sources", sources);
  checkout.write(
    "etc/apt/sources.list.d/old.sources.disabled",
    "Types: deb\nURIs: http://never.example.org\n",
  );
  checkout.program("apt-get", aptGet);
  checkout.write("server", `#!/bin/sh\n${serverSaying("2.10.27")}\n`);
  const install = `mkdir -p $3/usr/sbin; install -m 755 "${checkout.root}/server" $3/usr/sbin/nats-server`;
  checkout.program("dpkg", `case $1 in --print-architecture) echo amd64 ;; -x) ${install} ;; esac`);
  const target = join(checkout.root, ".cache/nats-server/nats-server");
  const isRight = async (path: string) => existsSync(path);
  const options = { target, isRight, advice: "ADVICE", etc: join(checkout.root, "etc") };
  return { checkout, target, take: () => downloadWithApt(checkout.step, options) };
}

const good = "Types: deb\nURIs: http://good.example.org/debian\nSuites: bookworm\nComponents: main\n";
const bad = "Types: deb\nURIs: http://bad.example.org/debian\nSuites: bookworm\nComponents: main\n";

test("the server comes from the machine's mirror, by private folders", async (t) => {
  const { checkout, target, take } = createMachine(t, good);
  await take();
  assert.match(checkout.read(".cache/nats-server/nats-server"), /v2\.10\.27/);
  assert.ok(existsSync(target));
  const told = checkout.read("log");
  assert.match(told, /URIs: http:\/\/good\.example\.org\/debian\nSuites: trixie\nComponents: main\n/);
  for (const folder of told.matchAll(/^Dir::\S+ "([^"]*)"/gm)) {
    assert.match(folder[1] ?? "", /millrace-apt-|^\/dev\/null$/);
  }
  for (const name of ["State::lists", "State::status", "Cache", "Etc::sourceparts", "Etc::sourcelist"]) {
    assert.ok(told.includes(`Dir::${name} `), name);
  }
  const temporary = /"([^"]*millrace-apt-[^/"]*)/.exec(told)?.[1] ?? "";
  assert.notEqual(temporary, "");
  assert.equal(existsSync(temporary), false);
});

test("a mirror that fails is followed by the next", async (t) => {
  const { checkout, target, take } = createMachine(t, `${bad}\n${good}`);
  await take();
  assert.match(checkout.read("log"), /bad\.example\.org[^]*good\.example\.org/);
  assert.ok(existsSync(target));
});

test("what fails says apt's words and what to do", async (t) => {
  const { checkout, target, take } = createMachine(t, bad);
  await assert.rejects(
    take(),
    /E: no such host\nsetup: .*With a network, run `node bin\/setup\.mjs` again\. Or: ADVICE/,
  );
  checkout.env["TROUBLE"] = "W: GPG error: NO_PUBKEY 6ED0E7B82643E131";
  await assert.rejects(take(), /as root run `apt-get install --only-upgrade debian-archive-keyring`/);
  checkout.program("dpkg", "exit 1");
  await assert.rejects(take(), /There is no nats-server\. ADVICE/);
  assert.equal(existsSync(target), false);
});
