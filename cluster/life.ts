// One life of a shard's actor as its supervisor sees it: from its start to the moment when nothing of it runs any more.
//
// L1. What hangs is ended (stall.ts). What waits is left alone.
// L2. Asked to end it has its time to commit; then it is ended. It has not died then.
import type { Clock } from "../src/base/clock.ts";
import type { Settings } from "../src/config/settings.ts";
import type { FromShard, ShardTask } from "../workers/messages.ts";
import type { Death, Hosted, StartHosted } from "./hosted.ts";
import { StallWatch } from "./stall.ts";

const watchEveryMs = 250;

export class ActorLife {
  readonly hosted: Hosted;
  readonly mapVersion: number;
  /** Why it ended, once nothing of it runs. */
  readonly exited: Promise<Death>;
  readySinceMs: number | undefined;
  /** What it said itself at its end. */
  told: Extract<FromShard, { kind: "fenced" | "failed" | "stopped" | "filled" }> | undefined;
  readonly #clock: Clock;
  #isAsked = false;
  /** Why it was ended by force. */
  #forced: Death | undefined;
  #stopWatching: () => void = () => {};

  constructor(
    start: StartHosted,
    task: ShardTask,
    clock: Clock,
    onMessage: (life: ActorLife, message: FromShard) => void,
  ) {
    this.#clock = clock;
    this.mapVersion = task.mapVersion;
    this.hosted = start(task, (message) => onMessage(this, message));
    this.#watch(task.settings);
    this.exited = this.hosted.exited.then((death) => {
      this.#stopWatching();
      return this.#forced ?? death;
    });
  }

  /** Somebody wanted it to end. */
  get isAsked(): boolean {
    return this.#isAsked;
  }

  /** L2. */
  async end(withinMs: number): Promise<void> {
    this.#isAsked = true;
    this.hosted.post({ kind: "stop" });
    const over = new AbortController();
    await Promise.race([this.exited, this.#clock.sleep(withinMs, over.signal)]);
    over.abort();
    await this.hosted.end();
  }

  /** At once. */
  async kill(death: Death): Promise<void> {
    this.#forced ??= death;
    await this.hosted.end();
  }

  /** L1. */
  #watch({ heapMb, stallMs }: Settings): void {
    const clock = this.#clock;
    const { hosted } = this;
    const watch = new StallWatch({ stallMs, growthBytesMax: heapMb * (1 << 20), everyMs: watchEveryMs });
    const look = (): void => {
      const found = watch.look(clock.monotonicMs(), hosted.reading(), () => hosted.residentBytes());
      if (found === undefined) this.#stopWatching = clock.after(watchEveryMs, look);
      else void this.kill(found);
    };
    this.#stopWatching = clock.after(watchEveryMs, look);
  }
}
