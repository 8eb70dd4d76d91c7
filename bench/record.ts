// What recording and reading cost by themselves: frames published into file streams, fsynced each, and read again, with
// nothing above the bus. By size of frame, and by transport.
//
//   npm run bench -- record [--mb 500] [--frames 256,512,1024] [--transports own,library] [--json]
//
// `publish` and `read` one after the other, then `live`: both at once. CPU seconds are per GB (1e9 bytes).
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { systemClock } from "../src/base/clock.ts";
import { systemRandom } from "../src/base/random.ts";
import { connectNats } from "../src/bus/nats.ts";
import { type NatsServer, startNatsServer } from "../test/harness/nats-server.ts";
import { middle, round } from "./figures.ts";
import type { FromPart, PartTask, ToPart } from "./record-part.ts";
import { machine } from "./store-place.ts";
import { cpuSecondsOf } from "./usage.ts";

const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."));
const partFile = fileURLToPath(new URL(`./record-part${extension}`, import.meta.url));

interface Figures {
  mbPerSecond: number;
  cpuSecondsPerGb: Record<string, number>;
}

interface Row {
  transport: string;
  frameKb: number;
  inFlight: number;
  publish: Figures;
  read: Figures;
  live: Figures;
}

type Setting = Omit<PartTask, "role" | "url">;

export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: {
      mb: { type: "string", default: "500" },
      frames: { type: "string", default: "256,512,1024" },
      transports: { type: "string", default: "own,library" },
      "in-flight-mb": { type: "string", default: "8" },
      shards: { type: "string", default: "4" },
      rounds: { type: "string", default: "3" },
      json: { type: "boolean", default: false },
    },
  });
  const settings: Setting[] = [];
  const shards = Number(values.shards);
  for (const kb of values.frames.split(",").map(Number))
    for (const mb of values["in-flight-mb"].split(",").map(Number))
      for (const transport of values.transports.split(",")) {
        if (transport !== "own" && transport !== "library") throw new Error(`no transport "${transport}"`);
        const frameBytes = kb << 10;
        const frames = Math.ceil((Number(values.mb) * 1e6) / shards / frameBytes);
        const inFlight = Math.max(1, Math.round((mb << 20) / frameBytes));
        settings.push({ transport, frameBytes, frames, inFlight, shards });
      }
  const rounds: Row[][] = settings.map(() => []);
  // Round by round, so that all settings meet the same moods of the machine.
  for (let i = 0; i < Number(values.rounds); i++)
    for (const [at, setting] of settings.entries()) {
      const row = await measure(setting);
      rounds[at]?.push(row);
      process.stderr.write(`${JSON.stringify(row)}\n`);
    }
  const rows = rounds.map(middleOf);
  process.stderr.write(`${table(rows)}\n`);
  const result = { bench: "record", rows, shards, rounds: Number(values.rounds), machine: machine() };
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
}

async function measure(setting: Setting): Promise<Row> {
  const [publish, read] = (await record(setting, [["publish"], ["read"]])) as [Figures, Figures];
  const [live] = (await record(setting, [["publish", "read"]])) as [Figures];
  const { transport, frameBytes, inFlight } = setting;
  return { transport, frameKb: frameBytes >> 10, inFlight, publish, read, live };
}

/** The steps one after the other, on a server of their own. */
async function record(setting: Setting, steps: readonly PartTask["role"][][]): Promise<Figures[]> {
  const bytesMax = 2 * setting.frames * (setting.frameBytes + 1024);
  const server = await startNatsServer({ maxFileStore: 2 * setting.shards * bytesMax });
  try {
    return await takeSteps(server, setting, bytesMax, steps);
  } finally {
    await server.close();
  }
}

async function takeSteps(
  server: NatsServer,
  setting: Setting,
  bytesMax: number,
  steps: readonly PartTask["role"][][],
): Promise<Figures[]> {
  const bus = await connectNats({
    url: server.url,
    name: "bench",
    clock: systemClock,
    random: systemRandom,
  });
  for (let shard = 0; shard < setting.shards; shard++)
    await bus.ensureStream(shard, { bytesMax, duplicateWindowMs: 120_000 });
  const figures: Figures[] = [];
  for (const roles of steps) {
    const parts = await Promise.all(
      roles.map((role) => Part.start(role, { role, url: server.url, ...setting })),
    );
    const before = cpuSecondsOf(server.pid);
    const done = await Promise.all(parts.map((part) => part.go()));
    const gigabytes = (setting.shards * setting.frames * setting.frameBytes) / 1e9;
    const cpu = Object.fromEntries(parts.map(({ name }, i) => [name, done[i]?.cpuSeconds ?? Number.NaN]));
    cpu["nats-server"] = cpuSecondsOf(server.pid) - before;
    figures.push({
      mbPerSecond: Math.round((gigabytes * 1000) / Math.max(...done.map(({ seconds }) => seconds))),
      cpuSecondsPerGb: Object.fromEntries(
        Object.entries(cpu).map(([name, seconds]) => [name, round(seconds / gigabytes, 2)]),
      ),
    });
    for (const part of parts) await part.end();
  }
  await bus.close();
  return figures;
}

class Part {
  readonly name: string;
  readonly #child: ChildProcess;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
  }

  /** Settles when it is connected. */
  static async start(name: string, task: PartTask): Promise<Part> {
    const part = new Part(name, fork(partFile, { stdio: "inherit" }));
    await part.#ask({ kind: "prepare", task });
    return part;
  }

  async go(): Promise<Extract<FromPart, { kind: "done" }>> {
    const answer = await this.#ask({ kind: "go" });
    if (answer.kind !== "done") throw new Error(`${this.name} answered ${answer.kind}`);
    return answer;
  }

  async end(): Promise<void> {
    const gone = once(this.#child, "exit");
    this.#child.send({ kind: "end" } satisfies ToPart);
    await gone;
  }

  #ask(message: ToPart): Promise<FromPart> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null) => reject(new Error(`${this.name} ended with ${code}`));
      this.#child.once("exit", onExit);
      this.#child.once("message", (answer: FromPart) => {
        this.#child.off("exit", onExit);
        resolve(answer);
      });
      this.#child.send(message);
    });
  }
}

function middleOf(rows: readonly Row[]): Row {
  const first = rows[0] as Row;
  const figures = (pick: (row: Row) => Figures): Figures => ({
    mbPerSecond: middle(rows.map((row) => pick(row).mbPerSecond)),
    cpuSecondsPerGb: Object.fromEntries(
      Object.keys(pick(first).cpuSecondsPerGb).map((name) => [
        name,
        middle(rows.map((row) => pick(row).cpuSecondsPerGb[name] ?? Number.NaN)),
      ]),
    ),
  });
  return {
    ...first,
    publish: figures((row) => row.publish),
    read: figures((row) => row.read),
    live: figures((row) => row.live),
  };
}

function table(rows: readonly Row[]): string {
  const cell = ({ mbPerSecond, cpuSecondsPerGb }: Figures) =>
    `${mbPerSecond} (${Object.entries(cpuSecondsPerGb)
      .map(([name, seconds]) => `${name} ${seconds}`)
      .join(", ")})`;
  const head = ["transport", "frame KB x in flight", "publish MB/s (CPU s/GB)", "read", "live"];
  const lines = rows.map((row) => [
    row.transport,
    `${row.frameKb} x ${row.inFlight}`,
    cell(row.publish),
    cell(row.read),
    cell(row.live),
  ]);
  return [head, head.map(() => "---"), ...lines].map((row) => `| ${row.join(" | ")} |`).join("\n");
}
