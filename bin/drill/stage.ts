// Where a story is played: a private system, a few tenants that send on all doors, and somebody who watches.
//
// G1. Everything runs for this drill alone, in a folder and on ports of its own, and is gone afterwards.
// G2. The verdict rests on what senders know and on the ledger, never on what the story expected.
import { Canary } from "./canary.ts";
import { eventually, PrivateSystem, type Keys, type LogLine } from "./private-system.ts";
import { allSenders, senderDoors, type Sender } from "./senders.ts";
import { momentText, Timeline, type Moment } from "./timeline.ts";

export interface StageOptions {
  shards: number;
  env: Record<string, string>;
  /** Multiplies the story's waits: below 1 for a short drill, in which everybody sends so much less, too. */
  pace: number;
  say: (line: string) => void;
}

/** A tenant of the story and what it sends. */
export interface Player {
  keys: Keys;
  shards: number[];
  senders: { door: string; sender: Sender; sent?: number }[];
  canary: Canary | undefined;
}

export const culpritName = "acme";
const bystanderNames = ["beta", "gamma", "delta"];
/** A bucket is late when it is to be seen so long after the yes. */
export const lateMsMost = 1000;
/** Between two batches. */
const bystandersPauseMs = 100;
const seenWithinMs = 60_000;
const untilMsMost = 120_000;
const toldEveryMs = 500;

export class Stage {
  readonly system: PrivateSystem;
  readonly timeline: Timeline;
  readonly shards: number;
  readonly #pace: number;
  readonly #say: (line: string) => void;
  culprit!: Player;
  bystanders: Player[] = [];
  #heard = 0;
  #calmLateMs = 0;
  #listening: ReturnType<typeof setInterval>;

  private constructor(system: PrivateSystem, options: StageOptions) {
    this.system = system;
    this.shards = options.shards;
    this.#pace = options.pace;
    this.#say = options.say;
    this.timeline = new Timeline(
      () => performance.now(),
      (moment: Moment) => options.say(momentText(moment)),
    );
    this.#listening = setInterval(() => this.#hear(), 100);
  }

  static async open(options: StageOptions): Promise<Stage> {
    options.say("a private system starts...");
    const env = { MILLRACE_FAULTS: "1", MILLRACE_COMMIT_MS: "100", ...options.env };
    const system = await PrivateSystem.start({ shards: options.shards, env });
    const stage = new Stage(system, options);
    try {
      stage.culprit = await stage.#player(culpritName);
      for (const name of bystanderNames) stage.bystanders.push(await stage.#player(name));
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  /** All tenants send on all doors: the culprit `pauseMs` between batches. */
  async send(pauseMs: number): Promise<void> {
    const start = async (player: Player, options: object) => {
      for (const [i, sender] of allSenders.entries())
        player.senders.push({
          door: senderDoors[i] as string,
          sender: await sender(this.system, player.keys, options),
        });
    };
    await start(this.culprit, { pauseMs: pauseMs / this.#pace, refusable: true });
    for (const player of this.bystanders) {
      await start(player, { pauseMs: bystandersPauseMs / this.#pace });
      const { name } = player.keys;
      let late = false;
      player.canary = new Canary(this.system, player.keys, (lateMs) => {
        if (lateMs > this.lateMsMost === late) return;
        late = !late;
        this.tell(
          name,
          late
            ? `its dashboard is more than ${(this.lateMsMost / 1000).toFixed(1)} s late`
            : "its dashboard is up to date again",
        );
      });
    }
    const tenants = [this.culprit, ...this.bystanders];
    this.tell(
      "senders",
      `${tenants.map(({ keys }) => keys.name).join(", ")} send on ${senderDoors.join(", ")}`,
    );
  }

  /** All senders stop, and what they sent is noted. Before a restart of the whole system: a broken connection loses lines. */
  async endSenders(): Promise<void> {
    for (const { senders } of [this.culprit, ...this.bystanders])
      for (const each of senders) each.sent ??= await each.sender.stop();
  }

  /** What went before was calm: how late dashboards were then is what this machine can do. */
  async calmBefore(ms: number): Promise<void> {
    await this.calm(ms);
    for (const { canary } of this.bystanders)
      for (const { lateMs } of canary?.seen ?? []) this.#calmLateMs = Math.max(this.#calmLateMs, lateMs);
  }

  /** A bucket that is to be seen so long after the yes is late: more than a second, also on a machine that is slow. */
  get lateMsMost(): number {
    return Math.max(lateMsMost, Math.round(3 * this.#calmLateMs));
  }

  tell(who: string, what: string): void {
    this.timeline.say(who, what);
  }

  /** On-call runs a command; it must succeed. */
  async onCall(...words: string[]): Promise<string> {
    this.tell("on-call", `$ millrace ${words.join(" ")}`);
    const out = await this.system.millrace(...words);
    this.#say(out.trimEnd().split("\n").slice(0, 12).join("\n"));
    return out;
  }

  /** The same, its answer as JSON. */
  async asked(...words: string[]): Promise<unknown> {
    this.tell("on-call", `$ millrace ${words.join(" ")}`);
    return await this.quietly(...words);
  }

  /** The same, again and again, without a word of it. */
  async quietly(...words: string[]): Promise<unknown> {
    return JSON.parse(await this.system.millrace(...words, "--json")) as unknown;
  }

  /** The story's own time: what is measured happens meanwhile. */
  calm(ms: number): Promise<void> {
    return new Promise((resolve) => {
      setTimeout(resolve, ms * this.#pace);
    });
  }

  /** Sends lines for the culprit over TCP, as they are. */
  async culpritSays(...lines: string[]): Promise<void> {
    const body = lines.map((line) => `${line}\n`).join("");
    await this.#acknowledged(this.culprit, body);
  }

  /** Settles with the first such line of the log from the drill's beginning on. */
  async logged(what: string, matches: (line: LogLine) => boolean, withinMs = 60_000): Promise<void> {
    await this.system.until(() => this.system.log.some(matches), what, withinMs);
  }

  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    await eventually(what, holds, untilMsMost);
  }

  /** The same for what a command is asked: each look is a process, and senders need the machine, too. */
  async untilTold(what: string, holds: () => Promise<boolean>): Promise<void> {
    await eventually(what, holds, untilMsMost, toldEveryMs);
  }

  async close(): Promise<void> {
    clearInterval(this.#listening);
    for (const { senders, canary } of [this.culprit, ...this.bystanders].filter(
      (player) => player !== undefined,
    )) {
      await canary?.stop(0);
      await Promise.allSettled(senders.map(({ sender }) => sender.stop()));
    }
    await this.system.close();
  }

  /** Stops the canaries, and says how many of a tenant's were not to be seen in time. */
  endCanaries(): Promise<Map<string, number>> {
    return Promise.all(
      this.bystanders.map(
        async ({ keys, canary }) => [keys.name, (await canary?.stop(seenWithinMs)) ?? 0] as const,
      ),
    ).then((entries) => new Map(entries));
  }

  /** Points of each series of a target that are to be seen. */
  async counts(player: Player, target: string): Promise<number[]> {
    return [...(await this.system.sums(player.keys.readKey, target, "-2h")).values()];
  }

  async #player(name: string): Promise<Player> {
    const keys = await this.system.addTenant(name);
    const { shards } = await this.system.admin.get<{ shards: number[] }>(`/v1/tenants/${name}`);
    return { keys, shards, senders: [], canary: undefined };
  }

  async #acknowledged(player: Player, body: string): Promise<void> {
    await eventually("a yes to the culprit's lines", async () => {
      const response = await this.system.sink(player.keys.writeKey, body);
      await response.arrayBuffer();
      return response.status === 202;
    });
  }

  #hear(): void {
    const { log } = this.system;
    for (; this.#heard < log.length; this.#heard++) this.timeline.heard(log[this.#heard] as LogLine);
  }
}
