// Isolation's decisions alone: which lines are tried, in which order, and how many failures a bad line costs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { freshLane } from "../../src/store/lanes.ts";
import type { LaneState } from "../../src/store/store.ts";
import { Isolation, Trials, type Step } from "../../workers/isolation.ts";

const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);

interface Run {
  buried: number[];
  tried: string[];
  failures: number;
  frameBuried: boolean;
}

/**
 * A frame of `total` lines of which these kill. `dies`: whether a failure ends the life, so that the next one has what
 * the store knows and nothing else.
 */
function run(
  total: number,
  bad: ReadonlySet<number>,
  dies: () => boolean,
  look: "well" | "kills" = "well",
): Run {
  const state: LaneState = { ...freshLane(), starts: 3 };
  let part = 0;
  const out: Run = { buried: [], tried: [], failures: 0, frameBuried: false };
  let trials = new Trials(1, part, state.trial);
  let done = 0;
  const fail = (step: Extract<Step, { kind: "look" | "try" }>) => {
    out.failures++;
    if (dies()) {
      if (state.trial !== undefined) state.trial.deaths++;
      trials = new Trials(1, part, state.trial);
    } else trials.wentWrong(step);
  };
  const attempt = (from: number, to: number) => {
    const { trial } = state;
    if (trial?.from !== from || trial.to !== to)
      state.trial = { sequence: 1, from, to, deaths: 0, isUnderWay: true };
  };
  const over = (to: number) => {
    done = to;
    state.trial = undefined;
    part = to;
    trials.over(to);
  };
  for (let steps = 0; done < total; steps++) {
    assert(steps < 100_000, "it ends");
    const step = trials.next();
    if (step.kind === "look") {
      if (state.trial === undefined) attempt(0, 0);
      if (look === "well") trials.looked(total);
      else fail(step);
    } else if (step.kind === "bury-frame") {
      out.frameBuried = true;
      return out;
    } else if (step.kind === "bury-line") {
      out.buried.push(step.line);
      over(step.line + 1);
    } else {
      const { from, to } = step;
      assert.equal(from, done, "nothing is tried twice, nothing is left out");
      assert(to > from && to <= total);
      out.tried.push(`${from}-${to}`);
      attempt(from, to);
      if ([...bad].some((line) => line >= from && line < to)) fail(step);
      else over(to);
    }
  }
  return out;
}

test("I1: a lane is isolated after two starts without a commit, with a trial, and within a frame", () => {
  const f = (state: Partial<LaneState>, isWithin: boolean, expected: boolean) =>
    assert.equal(new Isolation({ ...freshLane(), ...state }, isWithin).isActive, expected);
  f({}, false, false);
  f({ starts: 2 }, false, false);
  f({ starts: 3 }, false, true);
  f({ starts: 1, trial: { sequence: 1, from: 0, to: 5, deaths: 1, isUnderWay: false } }, false, true);
  f({ starts: 1 }, true, true);
});

test("I1: it is over after 64 frames without a failure, or where the record ends", () => {
  const isolation = new Isolation({ ...freshLane(), starts: 3 }, false);
  for (let i = 0; i < 63; i++) isolation.frameOver();
  isolation.failed();
  for (let i = 0; i < 63; i++) isolation.frameOver();
  assert.equal(isolation.isActive, true);
  isolation.frameOver();
  assert.equal(isolation.isActive, false);
  isolation.failed();
  isolation.settled();
  assert.equal(isolation.isActive, false);
});

test("I2: the first half is tried; what remains of a bad range is halved at once", () => {
  const { tried, buried } = run(8, new Set([5]), () => true);
  // With every failure a life ends: what is left of a bad range is forgotten, and tried whole once more.
  assert.deepEqual(buried, [5]);
  assert.deepEqual(tried, ["0-8", "0-4", "4-6", "4-5", "5-6", "5-6", "6-8"]);
  assert.deepEqual(run(8, new Set([5]), () => false).tried, tried);
  assert.deepEqual(run(1, new Set([0]), () => true).tried, ["0-1", "0-1"]);
  assert.deepEqual(run(3, new Set(), () => true).tried, ["0-3"]);
});

test("I3: a frame is buried when looking into it failed twice", () => {
  for (const dies of [true, false]) {
    const outcome = run(5, new Set(), () => dies, "kills");
    assert.equal(outcome.frameBuried, true);
    assert.equal(outcome.failures, 2);
  }
});

test(`I2, I3, I4: exactly the bad lines are buried, with few failures, whatever dies (MILLRACE_SEED=${seed})`, () => {
  const random = seededRandom(seed);
  for (let round = 0; round < 500; round++) {
    const total = 1 + random.below(300);
    const bad = new Set(Array.from({ length: random.below(5) }, () => random.below(total)));
    const mostlyDies = random.next();
    const { buried, failures } = run(total, bad, () => random.next() < mostlyDies);
    assert.deepEqual(
      buried,
      [...bad].sort((a, b) => a - b),
      `round ${round}`,
    );
    const most = bad.size * (Math.ceil(Math.log2(total + 1)) + 3);
    assert(failures <= most, `round ${round}: ${failures} failures for ${bad.size} lines of ${total}`);
  }
});
