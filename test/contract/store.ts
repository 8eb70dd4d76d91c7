// What every store engine must do: run by test/store/<engine>.test.ts for each of them.
import { test } from "node:test";
import { buriedCases } from "./store-buried.ts";
import { claimCases } from "./store-claim.ts";
import { fetchCases } from "./store-fetch.ts";
import type { Case, World } from "./store-helpers.ts";
import { historiesCases } from "./store-histories.ts";
import { lanesCases } from "./store-lanes.ts";
import { lettersCases } from "./store-letters.ts";
import { livesCases } from "./store-lives.ts";
import { namesCases } from "./store-names.ts";
import { randomCases } from "./store-random-cases.ts";
import { rememberCases } from "./store-remember.ts";
import { replaysCases } from "./store-replays.ts";
import { rulesCases } from "./store-rules.ts";
import { statsdCases } from "./store-statsd.ts";
import { twiceCases } from "./store-twice.ts";
import { upkeepCases } from "./store-upkeep.ts";

export function storeContract(engineName: string, makeWorld: () => Promise<World>): void {
  const f: Case = (title, run) => {
    test(`${engineName}: ${title}`, async () => {
      const world = await makeWorld();
      try {
        await run(world);
      } finally {
        await world.end();
      }
    });
  };
  claimCases(f);
  lanesCases(f);
  twiceCases(f);
  rememberCases(f);
  lettersCases(f);
  buriedCases(f);
  namesCases(f);
  fetchCases(f);
  upkeepCases(f);
  rulesCases(f);
  livesCases(f);
  historiesCases(f);
  statsdCases(f);
  replaysCases(f);
  randomCases(f);
}
