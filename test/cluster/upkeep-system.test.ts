// Upkeep and the operators' commands in the whole system: what was sent reads the same from commits and from fragments,
// through a node's death as well; series that are deleted are gone, and new when they are sent again.
import { strict as assert } from "node:assert";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { eventually, System } from "../harness/system.ts";

const program = fileURLToPath(new URL("../../bin/millrace.js", import.meta.url));
const step = 10;

/** Of the node's own /metrics; 0 for what it has not counted yet. */
async function metric(system: System, name: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${system.nodePort}/metrics`);
  const lines = (await response.text()).split("\n");
  return Number(
    lines
      .find((line) => line.startsWith(`${name} `))
      ?.split(" ")
      .at(-1) ?? 0,
  );
}

/** Every value that is there, by series. */
async function shown(system: System, target: string): Promise<Map<string, Map<number, number>>> {
  const out = new Map<string, Map<number, number>>();
  for (const { target: name, datapoints } of await system.render(system.demo.readKey, target, "-3h")) {
    const values = new Map<number, number>();
    for (const [value, at] of datapoints) if (value !== null) values.set(at, value);
    out.set(name, values);
  }
  return out;
}

/** What the command line says and how it ends, without a terminal. */
function run(system: System, ...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], { env: system.env }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

/** Asked in a terminal, by script(1), and answered there: what was on the screen, and the exit code. */
async function answered(system: System, words: string[], answer: string): Promise<[string, unknown]> {
  const command = [process.execPath, program, ...words.map((word) => `'${word}'`)].join(" ");
  const terminal = spawn("script", ["-qec", command, "/dev/null"], { env: system.env });
  let screen = "";
  let asked = false;
  terminal.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text;
    if (asked || !screen.includes("[y/N]")) return;
    asked = true;
    terminal.stdin.write(`${answer}\n`);
  });
  const [code] = (await once(terminal, "exit")) as unknown[];
  return [screen, code];
}

interface Sent {
  start: number;
  /** By series and bucket. */
  sums: Map<string, Map<number, number>>;
}

async function send(
  system: System,
  sent: Sent,
  from: number,
  buckets: number,
  series: number,
): Promise<void> {
  for (let i = from; i < from + buckets; i++) {
    const at = sent.start + i * step;
    let body = "";
    for (let s = 0; s < series; s++) {
      const name = `up.g${s % 10}.s${s}`;
      const values = sent.sums.get(`${name}:sum`) ?? new Map<number, number>();
      sent.sums.set(`${name}:sum`, values);
      values.set(at, (values.get(at) ?? 0) + s + i);
      body += `${name} ${s + i} ${at}\n`;
    }
    const response = await system.sink(system.demo.writeKey, body);
    assert.equal(response.status, 202, await response.text());
  }
}

async function readsAsSent(system: System, { sums }: Sent): Promise<void> {
  let last: unknown;
  const same = async () => {
    const seen = await shown(system, "up.*.*:sum");
    try {
      assert.deepEqual(seen, sums);
      return true;
    } catch (error) {
      last = error;
      return false;
    }
  };
  await eventually("what was sent", same).catch(() => {
    throw last;
  });
}

test("what was sent reads the same from commits and from fragments, and deleted series begin anew", {
  timeout: 180_000,
}, async (t) => {
  // A small store: its commits are worth a round soon.
  const env = { MILLRACE_DISK_BUDGET: "12MB", MILLRACE_COMMIT_MS: "50", MILLRACE_UPKEEP_SHARE: "1" };
  const system = await System.start({ shards: 1, env });
  t.after(() => system.close());
  const start = Math.floor(Date.now() / 1000 / step) * step - 7200;
  const sent: Sent = { start, sums: new Map() };
  const fragments = () => metric(system, 'upkeep_steps_total{work="fragments"}');

  await send(system, sent, 0, 10, 100);
  await readsAsSent(system, sent);
  let buckets = 10;
  // Once there are more commits than a round waits for, it comes in its own time.
  while ((await fragments()) === 0 && buckets < 700) {
    await send(system, sent, buckets, 10, 100);
    buckets += 10;
  }
  await eventually("fragments", async () => (await fragments()) > 0);
  await readsAsSent(system, sent);
  // Late ones, of times that lie in fragments by now.
  await send(system, sent, 0, 20, 100);
  await readsAsSent(system, sent);

  const ready = system.nextLog((line) => line.process === "node" && line.msg === "ready", "the next node");
  process.kill(system.pid("node"), "SIGKILL");
  await ready;
  await readsAsSent(system, sent);

  await t.test("tenant show says what is held", async () => {
    const lines = await system.millrace("tenant", "show", "demo");
    assert.match(lines, /^holds 100 series, [\d,]+ points, [\d.]+ [kM]?B$/m);
    const held = JSON.parse(await system.millrace("tenant", "show", "demo", "--json")) as Record<
      string,
      unknown
    >;
    const times = [...sent.sums.values()].flatMap((values) => [...values.keys()]);
    const points = 100 * (buckets + 20);
    assert.deepEqual(
      [held["series"], held["points"], held["newest"], held["unasked"]],
      [100, points, Math.max(...times), []],
    );
    assert.ok(Number(held["bytes"]) > 0 && Number(held["oldest"]) <= start);
  });

  await t.test("series are listed, and deleted only when asked for twice", async () => {
    const names = ["up.g3.s13", "up.g3.s23", "up.g3.s3"];
    const listed = await run(system, "series", "list", "demo", "up.g3.*", "--limit", "3");
    assert.deepEqual(listed, {
      code: 0,
      out: `${names.join("\n")}\n`,
      err: "millrace: there are more than these 3\n",
    });
    const json = await run(system, "series", "list", "demo", "up.g3.s3", "--json");
    assert.deepEqual(JSON.parse(json.out), { series: ["up.g3.s3"], more: false });
    const dry = await run(system, "series", "delete", "demo", "up.g3.*", "--dry-run");
    assert.deepEqual(dry, { code: 0, out: "10 series of demo match up.g3.*\n", err: "" });
    const unasked = await run(system, "series", "delete", "demo", "up.g3.*");
    assert.deepEqual([unasked.code, unasked.out], [1, ""]);
    assert.match(unasked.err, /not at a terminal: look with --dry-run, then say --yes/);
    for (const words of [
      ["list", "nobody", "a"],
      ["list", "demo", "a", "--limit", "0"],
    ])
      assert.equal((await run(system, "series", ...words)).code, 1, words.join(" "));
    await readsAsSent(system, sent);
    const [no, noCode] = await answered(system, ["series", "delete", "demo", "up.g3.*"], "n");
    assert.match(no, /10 series of demo match up\.g3\.\*\. Delete them.*nothing was deleted/s);
    assert.equal(noCode, 1);
    const [yes, yesCode] = await answered(system, ["series", "delete", "demo", "up.g4.s4"], "y");
    assert.match(yes, /1 series of demo match.*deleted 1 series of demo/s);
    assert.equal(yesCode, 0);
    sent.sums.delete("up.g4.s4:sum");
    await readsAsSent(system, sent);
  });

  await t.test("deleted series are gone, and new when they are sent again", async () => {
    const gone = await run(system, "series", "delete", "demo", "up.g3.*", "--yes", "--json");
    assert.deepEqual([gone.code, gone.out], [0, '{"deleted":10}\n'], gone.err);
    for (const name of sent.sums.keys()) if (name.startsWith("up.g3.")) sent.sums.delete(name);
    await readsAsSent(system, sent);
    const again = await run(system, "series", "delete", "demo", "up.g3.*", "--yes");
    assert.deepEqual(again, { code: 0, out: "deleted 0 series of demo\n", err: "" });
    const at = start + 5 * step;
    assert.equal((await system.sink(system.demo.writeKey, `up.g3.s3 7 ${at}\n`)).status, 202);
    sent.sums.set("up.g3.s3:sum", new Map([[at, 7]]));
    await readsAsSent(system, sent);
  });

  await t.test("without its node, the commands say what could not be asked", async () => {
    process.kill(system.pid("node"), "SIGSTOP");
    try {
      const shownThen = await run(system, "tenant", "show", "demo");
      assert.deepEqual(
        [shownThen.code, /^shard 0 could not be asked: no node answers$/m.test(shownThen.out)],
        [0, true],
      );
    } finally {
      process.kill(system.pid("node"), "SIGCONT");
    }
  });
});
