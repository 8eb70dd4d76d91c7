// What a story is: who may be made late by it, and what happens.
import type { MayBeLate } from "./verdict.ts";
import type { Stage } from "./stage.ts";

export const drillNames = [
  "deleted-user",
  "poison",
  "stalled-shard",
  "nats-down",
  "disk-full",
  "crash-loop",
] as const;

export interface Story {
  name: (typeof drillNames)[number];
  /** One sentence: what goes wrong. */
  title: string;
  mayBeLate: MayBeLate;
  shards: number;
  env?: Record<string, string>;
  /** Between two batches of the culprit's senders, ms. */
  culpritPauseMs: number;
  /**
   * Plays it, while all tenants send. A sentence for each promise that was seen broken; a command of on-call's that fails
   * is thrown.
   */
  play(stage: Stage): Promise<string[]>;
}
