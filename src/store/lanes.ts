// What a shard starts with: no lane has died, nothing is set aside, nobody is quarantined.
import type { LaneState, ShardProgress, ShardState } from "./store.ts";

export function freshLane(): LaneState {
  return { starts: 0, lastInstance: "", trial: undefined };
}

export function freshProgress(): ShardProgress {
  return {
    epoch: 0,
    offset: 0,
    incarnation: "",
    frameTimeMs: 0,
    era: 0,
    receivedAtMs: 0,
    gaps: [],
    holes: [],
    lanes: { live: freshLane(), fill: freshLane() },
    parts: [],
    poison: { sinceMs: 0, lines: 0 },
    replays: [],
    removals: 0,
  };
}

export function freshState(): Omit<ShardState, "boots"> {
  return { ...freshProgress(), quarantined: [], purging: [] };
}
