// `node over-tls.js URL`: a round trip by both transports, in a process that trusts the certificates it was started with.
import { publishFrames, readFrames } from "./round-trip.ts";
import { open } from "./real.ts";

const url = process.argv[2] ?? "";
for (const [shard, transport] of (["own", "library"] as const).entries()) {
  const bus = await open({ url }, { transport });
  await publishFrames(bus, shard, 16);
  await readFrames(bus, shard, 1, 16);
  await bus.close();
  process.stdout.write(`${transport}\n`);
}
