// The list of drills.
import type { Story } from "../story.ts";
import { crashLoop } from "./crash-loop.ts";
import { deletedUser } from "./deleted-user.ts";
import { diskFull } from "./disk-full.ts";
import { natsDown } from "./nats-down.ts";
import { poison } from "./poison.ts";
import { stalledShard } from "./stalled-shard.ts";

export const stories: readonly Story[] = [deletedUser, poison, stalledShard, natsDown, diskFull, crashLoop];
