// A world in which lines kill: frames of several tenants, lives that die at a line or throw at it, one after the other
// until the record is worked off.
import assert from "node:assert/strict";
import type { Aggregator } from "../../src/kernel/kernel.ts";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import { encodeFrame, type FrameIdentity, type Section } from "../../src/metric/frame.ts";
import { Mortal } from "../sim/mortal.ts";
import { withFaults } from "../../workers/faults.ts";
import type { ShardActorOptions } from "../../workers/shard-actor.ts";
import { bootA, type Running, World } from "./world.ts";

const noFaults = {
  on: false,
  dies: 0,
  busFails: 0,
  answerLost: 0,
  commitLost: 0,
  commitLate: 0,
  diskFails: 0,
  delayMsMost: 1,
};

export interface SectionInput {
  tenant?: string;
  kind?: Section["kind"];
  door?: Section["door"];
  /** Default: as many as there are. */
  lineCount?: number;
  lines: readonly string[];
}

/** Kills whoever ingests it. */
export const bad = "millrace-fault.throw.x 1";

export class PoisonWorld extends World {
  /** Lives that ended before the record was worked off. */
  deaths = 0;

  static override async start(): Promise<PoisonWorld> {
    const world = new PoisonWorld();
    await world.ensure();
    return world;
  }

  sections(
    sections: readonly SectionInput[],
    identity: FrameIdentity | number,
    receivedAtMs = this.clock.nowMs(),
  ): Buffer {
    return encodeFrame({
      identity: typeof identity === "number" ? { kind: "boot", boot: bootA, n: identity } : identity,
      receivedAtMs,
      sections: sections.map(({ tenant = "t1", kind = "plaintext", door = "tcp", lineCount, lines }) => ({
        tenant,
        door,
        kind,
        lineCount: lineCount ?? lines.length,
        lines: Buffer.from(lines.map((line) => `${line}\n`).join("")),
      })),
      refusals: [],
    });
  }

  /**
   * Starts lives one after the other until one has committed all there is. `dies`: what a bad line does, when it is
   * ingested: ends the life as a crash would, or throws.
   */
  async survive(dies: () => boolean, options: Partial<ShardActorOptions> = {}): Promise<Running> {
    let lastDeath = "";
    for (let lives = 0; lives < 1000; lives++) {
      const mortal = new Mortal(`life-${lives}`, this.clock, this.random, noFaults);
      const running = this.run({
        openStore: async () => mortal.store(await this.engine.openShard(0)),
        newAggregator: () => this.#killing(mortal, dies, options.newAggregator),
        lastDeath,
        ...without(options, "newAggregator"),
      });
      let thrown: unknown;
      running.ended.catch((error: unknown) => (thrown = error));
      if (await this.#untilOver(running, () => mortal.dead || thrown !== undefined)) {
        running.actor.stop();
        await running.ended;
        return running;
      }
      this.deaths++;
      lastDeath = mortal.dead ? "it crashed" : String(thrown);
    }
    throw new assert.AssertionError({ message: "it does not get over the record" });
  }

  /** Dead letters as `sequence/part reason text`. */
  places(): Promise<string[]> {
    return this.snapshot(async (snapshot) =>
      (await snapshot.dead(10_000)).map(
        ({ sequence, part, reason, bytes }) =>
          `${sequence}/${part} ${reason} ${Buffer.from(bytes).toString().trimEnd()}`,
      ),
    );
  }

  #killing(
    mortal: Mortal,
    dies: () => boolean,
    make = () => createPlainAggregator({ stepSeconds: 1, seed: this.random.bytes(8) }),
  ): Aggregator {
    const faulty = withFaults(make());
    return new Proxy(faulty, {
      get: (of, property) => {
        const value: unknown = Reflect.get(of, property, of);
        if (typeof value !== "function") return value;
        return (...asked: unknown[]): unknown => {
          try {
            return (value as (...asked: unknown[]) => unknown).apply(of, asked);
          } catch (error) {
            if (dies()) mortal.kill();
            throw error;
          }
        };
      },
    });
  }

  /** False: it died, or ended. */
  async #untilOver(running: Running, isDead: () => boolean): Promise<boolean> {
    for (let waited = 0; waited < 120; waited++) {
      await this.clock.pass(500);
      if (isDead()) return false;
      const result = running.result();
      if (result !== undefined) return true;
      const { lastSequence } = await this.bus.streamState(0);
      if (lastSequence > 0 && (await this.state()).offset === lastSequence) return true;
    }
    throw new assert.AssertionError({ message: "a life hangs" });
  }
}

function without<T extends object, K extends keyof T>(all: T, name: K): Omit<T, K> {
  const { [name]: _, ...rest } = all;
  return rest;
}
