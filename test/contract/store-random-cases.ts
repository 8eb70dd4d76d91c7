// Random lives (store-random.ts) as tests: a short one for each engine, and, by npm run lives, as many as one likes.
import assert from "node:assert/strict";
import { messageOf } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Case, World } from "./store-helpers.ts";
import { Life, type Lived } from "./store-random.ts";

/** Throws where the two differ, with the seed. */
export async function live(world: World, seed: number, actions: number): Promise<Lived> {
  const life = await Life.of(seededRandom(seed), world);
  for (let i = 0; i < actions; i++) {
    try {
      await life.act();
      if (i === actions - 1) await life.end();
    } catch (error) {
      await life.abandon();
      throw new Error(`seed ${seed}, action ${i}: ${messageOf(error)}`, { cause: error });
    }
  }
  return life.lived;
}

/** The short form; the long one: npm run lives. */
export function randomCases(f: Case): void {
  const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
  f(`a random life shows what the memory engine shows (MILLRACE_SEED=${seed})`, async (world) => {
    const lived = await live(world, seed, 90);
    // A life in which nothing happens proves nothing.
    for (const what of ["rows", "fragments", "cells at rest", "some upkeep"])
      assert.ok((lived[what] ?? 0) > 0, `${what}: ${JSON.stringify(lived)}`);
  });
}
