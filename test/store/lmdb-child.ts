// The other process (or thread) of test/store/lmdb-faults.test.ts: what it does is its first argument.
//
//   owner FOLDER MAPVERSION   claims shard 0 and commits ranges for ever: one point per commit to the series `s`, whose
//                             value is the offset; says "e EPOCH", and "o OFFSET" after each answer of ok. With a
//                             further word, `pause`, it does nothing after the first until it is continued: a process
//                             that is stopped while it writes would hold LMDB's lock
//   zombie FOLDER EPOCH       goes on committing with an old epoch; says what it is answered
//   host FOLDER FROM UNTIL    runs owners in worker threads, one for each map version, and terminates each at a random
//                             moment; says "t MAPVERSION OFFSET" after each
//   reader FOLDER             opens a snapshot, says "open", and holds it
import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { systemClock } from "../../src/base/clock.ts";
import { createLmdbEngine } from "../../src/store/lmdb.ts";
import { columns, commitOf, key } from "../contract/store-helpers.ts";

const args = isMainThread ? process.argv.slice(2) : (workerData as string[]);
const [role, folder = "", number = "0", last = ""] = args;
const port = parentPort;
const say = (text: string) => {
  if (port === null) process.stdout.write(`${text}\n`);
  // An empty list of transfers tells the linter that this is no window.
  else port.postMessage(text, []);
};
const engine = createLmdbEngine({ folder, mapBytes: 256 << 20, clock: systemClock });

if (role === "owner") {
  const store = await engine.openShard(0);
  const claim = await store.claim({ node: "n", mapVersion: Number(number), instance: "i" });
  if (claim.kind !== "claimed") throw new Error(JSON.stringify(claim));
  const { epoch } = claim.state;
  say(`e ${epoch}`);
  for (let offset = claim.state.offset; ; ) {
    const to = offset + 1 + (offset % 3);
    const commit = commitOf(epoch, offset, to, {
      newSeries: [key("s"), key(`new.${offset}`)],
      deltas: columns([
        { series: 0, fresh: true, bucket: offset * 10, points: to - offset, sum: offset },
        { series: 1, fresh: true, bucket: 0 },
      ]),
      boots: [{ boot: "aa", applied: [[offset + 1, to]], lastAppliedMs: 1 }],
      ledger: [{ tenant: "t1", door: "tcp", minute: 0, fate: "stored", reason: "", count: to - offset }],
      // Of the commit before: there is always one.
      retried: offset > 0 ? [{ sequence: offset, part: 0 }] : [],
      // Pages enough that a kill falls into the writing of them now and then.
      dead: [
        {
          sequence: to,
          part: 0,
          tenant: "t1",
          door: "",
          reason: "",
          detail: "",
          receivedAtMs: 0,
          kind: "plaintext",
          lines: 1,
          bytes: Buffer.alloc(300_000, offset),
        },
      ],
    });
    const result = await store.commit(commit);
    if (result.kind !== "ok") {
      say(`x ${JSON.stringify(result)}`);
      break;
    }
    offset = to;
    const paused = last === "pause" && claim.state.offset === commit.from;
    const continued = paused ? once(process, "SIGCONT") : undefined;
    // A listener for signals does not keep a process alive.
    const alive = paused ? setInterval(() => {}, 1000) : undefined;
    say(`o ${offset}`);
    await continued;
    clearInterval(alive);
  }
} else if (role === "zombie") {
  const store = await engine.openShard(0);
  const epoch = Number(number);
  const reader = await engine.openReader(0);
  for (;;) {
    const snapshot = await reader.snapshot();
    const { offset } = await snapshot.state();
    snapshot.close();
    const result = await store.commit(
      commitOf(epoch, offset, offset + 1, {
        newSeries: [key("s"), key("zombie")],
        deltas: columns([{ series: 0, fresh: true, bucket: offset * 10, sum: -1 }]),
      }),
    );
    say(`z ${result.kind}`);
  }
} else if (role === "host") {
  for (let version = Number(number); version <= Number(last); version++) {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: ["owner", folder, String(version)],
    });
    let offset = 0;
    worker.on("message", (line: string) => {
      if (line.startsWith("o ")) offset = Number(line.slice(2));
    });
    for (let left = 2 + Math.floor(Math.random() * 20); left > 0; left--) await once(worker, "message");
    await worker.terminate();
    say(`t ${version} ${offset}`);
  }
} else {
  const reader = await engine.openReader(0);
  const snapshot = await reader.snapshot();
  say("open");
  setInterval(() => void snapshot.state(), 1000);
}
