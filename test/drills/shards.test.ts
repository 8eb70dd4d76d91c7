// A shard that hangs, and one that can't go on.
import { played } from "./playing.ts";

played("stalled-shard", "crash-loop");
