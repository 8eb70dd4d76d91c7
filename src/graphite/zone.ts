// Wall-clock time in a time zone, through Intl: no tables of our own.
//
// Z1. Days are counted on the wall clock: "yesterday" is the same hour of the day before, also where a clock changed.
// Z2. A wall time that a clock change skips is read with the offset before it; one that comes twice is the first.
// Z3. A zone that nobody knows is UTC, as in Graphite: a typing error in `tz` costs no graph.

/** Month 1 to 12. Fields may overflow (day 0, day 32): they are normalised on the way to seconds. */
export interface Wall {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

export interface Zone {
  wallOf(epochSeconds: number): Wall;
  secondsOf(wall: Wall): number;
}

export const utc: Zone = {
  wallOf(epochSeconds) {
    const date = new Date(epochSeconds * 1000);
    return {
      year: date.getUTCFullYear(),
      month: date.getUTCMonth() + 1,
      day: date.getUTCDate(),
      hour: date.getUTCHours(),
      minute: date.getUTCMinutes(),
      second: date.getUTCSeconds(),
    };
  },
  secondsOf: (wall) =>
    Date.UTC(wall.year, wall.month - 1, wall.day, wall.hour, wall.minute, wall.second) / 1000,
};

/** There are about 600 zones, some with several names: the cache can't grow far, and is emptied when it does. */
const zonesMax = 1000;
const zones = new Map<string, Zone>();

export function zoneOf(name: string | undefined): Zone {
  if (name === undefined || name === "" || name.length > 64) return utc;
  const cached = zones.get(name);
  if (cached !== undefined) return cached;
  const zone = makeZone(name);
  if (zone === undefined) return utc;
  if (zones.size >= zonesMax) zones.clear();
  zones.set(name, zone);
  return zone;
}

function makeZone(name: string): Zone | undefined {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      calendar: "gregory",
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  } catch {
    return undefined;
  }
  const wallOf = (epochSeconds: number): Wall => {
    const fields = new Map(
      format.formatToParts(epochSeconds * 1000).map((part) => [part.type, Number(part.value)]),
    );
    const field = (type: Intl.DateTimeFormatPartTypes) => fields.get(type) ?? 0;
    return {
      year: field("year"),
      month: field("month"),
      day: field("day"),
      hour: field("hour"),
      minute: field("minute"),
      second: field("second"),
    };
  };
  const offsetAt = (epochSeconds: number) => utc.secondsOf(wallOf(epochSeconds)) - epochSeconds;
  const secondsOf = (wall: Wall): number => {
    const asUtc = utc.secondsOf(wall);
    const before = offsetAt(asUtc - 86_400);
    if (offsetAt(asUtc - before) === before) return asUtc - before;
    const after = offsetAt(asUtc + 86_400);
    return offsetAt(asUtc - after) === after ? asUtc - after : asUtc - before;
  };
  return { wallOf, secondsOf };
}
