// The system that a soak runs on: several tenants that send under keys, and hands to do things to it.
import { connect, type NatsConnection } from "nats";
import { eventually, PrivateSystem, type Keys, type SystemOptions } from "../../bin/drill/private-system.ts";
import { httpSender, natsSender, senderSeries, type Sender } from "../../bin/drill/senders.ts";
import type { Random } from "../../src/base/random.ts";
import { faultSubject } from "../../src/bus/subjects.ts";

export interface Player {
  keys: Keys;
  senders: Sender[];
}

export const shards = 4;
/** Sends deadly lines beside good ones; its lines may end as dead letters. */
export const poisonerName = "poisoner";
const names = ["one", "two", "three", "coming", poisonerName];

export class SoakWorld {
  readonly system: PrivateSystem;
  readonly random: Random;
  readonly say: (line: string) => void;
  readonly players: Player[] = [];
  /** What was done, and how often. */
  readonly done = new Map<string, number>();
  readonly complaints: string[] = [];
  /** Deadly lines that were acknowledged. */
  deadly = 0;
  readonly #nats: NatsConnection;

  private constructor(
    system: PrivateSystem,
    random: Random,
    nats: NatsConnection,
    say: (line: string) => void,
  ) {
    this.system = system;
    this.random = random;
    this.#nats = nats;
    this.say = say;
  }

  static async open(random: Random, say: (line: string) => void): Promise<SoakWorld> {
    const options: SystemOptions = {
      shards,
      env: {
        MILLRACE_DUPLICATE_WINDOW: "1s",
        MILLRACE_COMMIT_MS: "100",
        MILLRACE_STALL_MS: "1500",
        MILLRACE_DISK_BUDGET: "2GB",
      },
    };
    const system = await PrivateSystem.start(options);
    const servers = `nats://127.0.0.1:${system.natsPort}`;
    const nats = await connect({ servers, maxReconnectAttempts: -1, reconnectTimeWait: 200 });
    const world = new SoakWorld(system, random, nats, say);
    for (const name of names) world.players.push({ keys: await system.addTenant(name), senders: [] });
    return world;
  }

  async send(): Promise<void> {
    for (const { keys, senders } of this.players)
      for (const start of [httpSender, natsSender])
        senders.push(await start(this.system, keys, { pauseMs: 40, refusable: true }));
  }

  player(name: string): Player {
    const found = this.players.find(({ keys }) => keys.name === name);
    if (found === undefined) throw new Error(`no player ${name}`);
    return found;
  }

  /** Runs a command as on-call would, again while the system can't: a minute at most. Answers its JSON. */
  async command(...words: string[]): Promise<unknown> {
    let out = "";
    await eventually(
      `millrace ${words.join(" ")}`,
      async () => {
        out = await this.system.millrace(...words, "--json");
        return true;
      },
      60_000,
    );
    return out.trim() === "" ? undefined : JSON.parse(out);
  }

  async kill(what: string): Promise<void> {
    await eventually(`a kill of ${what}`, async () => process.kill(this.system.pid(what), "SIGKILL"));
  }

  async killActor(shard: number): Promise<void> {
    await eventually(`a kill of actor ${shard}`, async () => {
      const answer = await this.#nats.request(faultSubject, String(shard), { timeout: 1000 });
      return answer.string() === "true";
    });
  }

  /** A line of the poisoner that kills whoever reads it, until it is acknowledged. */
  async poison(way: string): Promise<void> {
    const { writeKey } = this.player(poisonerName).keys;
    const key = `deadly-${this.deadly}-${this.random.below(1e9)}`;
    await eventually("a yes to a deadly line", async () => {
      const headers = { "Idempotency-Key": key };
      const response = await this.system.sink(writeKey, `millrace-fault.${way}.soak 1`, headers);
      await response.arrayBuffer();
      return response.status === 202;
    });
    this.deadly++;
  }

  /** All series of a sender have the points that were acknowledged, and each once: sentences where they have not. */
  async judge(player: Player): Promise<string[]> {
    const wrong: string[] = [];
    for (const sender of player.senders) {
      const must = await sender.stop();
      for (const column of ["count", "sum"]) {
        const target = sender.target.replace(/:count$/, `:${column}`);
        let seen: number[] = [];
        const reached = eventually(
          target,
          async () => {
            seen = [...(await this.system.sums(player.keys.readKey, target, "-3h")).values()];
            return seen.length === senderSeries && seen.every((value) => value >= must / senderSeries);
          },
          120_000,
        );
        await reached.catch(() => undefined);
        if (seen.length !== senderSeries || seen.some((value) => value !== must / senderSeries))
          wrong.push(
            `${player.keys.name} ${target}: ${must} points were acknowledged, in ${senderSeries} series alike, seen ${seen.join(" ")}`,
          );
      }
    }
    return wrong;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.players.flatMap(({ senders }) => senders.map((sender) => sender.stop())));
    await this.#nats.close();
    await this.system.close();
  }
}
