// The whole of a bucket, once.
import type { Kv, KvEntry, KvWatch } from "./bus.ts";

export function snapshotOf(kv: Kv): Promise<KvEntry[]> {
  return new Promise((resolve) => {
    let watch: KvWatch | undefined;
    let answered = false;
    watch = kv.watch({
      onSnapshot: (entries) => {
        if (answered) return;
        answered = true;
        resolve(entries);
        // The snapshot may come before watch() has returned.
        queueMicrotask(() => watch?.stop());
      },
      onChange: () => {},
      onLost: () => {},
    });
  });
}
