// What tests hear from a bus, to be awaited instead of slept for.
import type { Bus, Kv, KvEntry, Reader, RecordedFrame } from "../../src/bus/bus.ts";

/** Something that happens in steps; `until` settles as soon as the condition holds. */
export class Heard {
  #waiting: { holds(): boolean; resolve(): void }[] = [];

  changed(): void {
    const ready = this.#waiting.filter((wait) => wait.holds());
    this.#waiting = this.#waiting.filter((wait) => !ready.includes(wait));
    for (const wait of ready) wait.resolve();
  }

  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push({ holds, resolve });
    });
  }
}

export interface Listening {
  frames: RecordedFrame[];
  ends: Error[];
  reader: Reader;
  /** `count` frames have come. */
  until(count: number): Promise<void>;
  ended(): Promise<void>;
}

export async function listen(bus: Bus, shard: number, fromSequence: number): Promise<Listening> {
  const heard = new Heard();
  const frames: RecordedFrame[] = [];
  const ends: Error[] = [];
  const reader = await bus.read(shard, fromSequence, {
    onFrame(frame) {
      frames.push(frame);
      heard.changed();
    },
    onEnd(error) {
      ends.push(error);
      heard.changed();
    },
  });
  return {
    frames,
    ends,
    reader,
    until: (count) => heard.until(() => frames.length >= count),
    ended: () => heard.until(() => ends.length > 0),
  };
}

/** What a watch told, in words: "snapshot a=1 b=2", "change a=3", "change a gone", "lost". Snapshots are sorted. */
export function watchWords(kv: Kv): { words: string[]; until(count: number): Promise<void>; stop(): void } {
  const heard = new Heard();
  const words: string[] = [];
  const say = (text: string) => {
    words.push(text);
    heard.changed();
  };
  const watch = kv.watch({
    onSnapshot: (entries) => say(["snapshot", ...entries.map(word).sort()].join(" ")),
    onChange: (changed) => say(`change ${word(changed)}`),
    onLost: () => say("lost"),
  });
  return { words, until: (count) => heard.until(() => words.length >= count), stop: () => watch.stop() };
}

function word(entry: KvEntry): string {
  return `${entry.key}${entry.value === undefined ? " gone" : `=${text(entry.value)}`}`;
}

export function connectedAgain(bus: Bus): Promise<void> {
  if (bus.connected) return Promise.resolve();
  return new Promise((resolve) => {
    const forget = bus.onConnection((connected) => {
      if (!connected) return;
      forget();
      resolve();
    });
  });
}

export function bytes(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

export function text(content: Uint8Array | undefined): string {
  return new TextDecoder().decode(content);
}
