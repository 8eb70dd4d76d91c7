// The flags of `millrace tenant limits`, one for each limit.
import { limitBounds, type LimitName, limitNames } from "../src/tenant/limits.ts";

export const limitWords = {
  pointsPerSecond: { flag: "points-per-second", unit: "points a second, over all gateways" },
  series: { flag: "series", unit: "living series, in each shard the tenant is or was at home on" },
  nameBytes: { flag: "name-bytes", unit: "bytes of a name, tags included" },
  tags: { flag: "tags", unit: "tags of a name" },
} as const satisfies Record<LimitName, { flag: string; unit: string }>;

export const limitFlags = limitNames.map((name) => ({
  flag: `--${limitWords[name].flag} <n>`,
  help: `most ${limitWords[name].unit}: ${kindsOf(name)}`,
}));

export function kindsOf(name: LimitName): string {
  const [least, most, maybeOff] = limitBounds[name];
  return `${least} to ${most}, ${maybeOff ? "off or default" : "or default"}`;
}
