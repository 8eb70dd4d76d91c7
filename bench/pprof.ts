// Reads what Go's profiling port answers (profile.proto, gzipped protobuf): seconds by function, each sample's own.
import { gunzipSync } from "node:zlib";

/** Fields of profile.proto that are needed; the rest is passed over. */
const profile = { sample: 2, location: 4, function: 5, strings: 6 };
const sample = { locations: 1, values: 2 };
const location = { id: 1, line: 4 };
const line = { function: 1 };
const functionOf = { id: 1, name: 2 };
/** Of a sample: how many, and nanoseconds. */
const nanoseconds = 1;

interface Field {
  field: number;
  number: number;
  bytes: Uint8Array;
}

export function selfTimes(gzipped: Uint8Array): Map<string, number> {
  const strings: string[] = [];
  const functions = new Map<number, number>();
  const locations = new Map<number, number>();
  const samples: Field[] = [];
  for (const part of fieldsOf(gunzipSync(gzipped))) {
    if (part.field === profile.strings) strings.push(Buffer.from(part.bytes).toString());
    else if (part.field === profile.function)
      functions.set(one(part, functionOf.id), one(part, functionOf.name));
    else if (part.field === profile.location) {
      // The first line is the innermost of functions that were inlined there.
      const [inner] = fieldsOf(part.bytes).filter(({ field }) => field === location.line);
      locations.set(one(part, location.id), inner === undefined ? 0 : one(inner, line.function));
    } else if (part.field === profile.sample) samples.push(part);
  }
  const times = new Map<string, number>();
  for (const part of samples) {
    const [leaf = 0] = many(part, sample.locations);
    const name = strings[functions.get(locations.get(leaf) ?? 0) ?? 0] ?? "";
    const seconds = (many(part, sample.values)[nanoseconds] ?? 0) / 1e9;
    times.set(name, (times.get(name) ?? 0) + seconds);
  }
  return times;
}

function one(part: Field, wanted: number): number {
  return fieldsOf(part.bytes).find(({ field }) => field === wanted)?.number ?? 0;
}

/** Repeated numbers, packed or not. */
function many(part: Field, wanted: number): number[] {
  return fieldsOf(part.bytes).flatMap(({ field, number, bytes }) => {
    if (field !== wanted) return [];
    if (bytes.length === 0) return [number];
    const numbers: number[] = [];
    for (let at = 0; at < bytes.length; ) {
      const [value, next] = varint(bytes, at);
      numbers.push(value);
      at = next;
    }
    return numbers;
  });
}

function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.length; ) {
    const [key, next] = varint(bytes, at);
    const field = Math.floor(key / 8);
    const [number, end] = varint(bytes, next);
    if (key % 8 === 0) {
      fields.push({ field, number, bytes: bytes.subarray(end, end) });
      at = end;
    } else if (key % 8 === 2) {
      fields.push({ field, number: 0, bytes: bytes.subarray(end, end + number) });
      at = end + number;
    } else throw new Error(`profile.proto has no field of wire type ${key % 8}`);
  }
  return fields;
}

/** Precise up to 2^53: more than any time or id here. */
function varint(bytes: Uint8Array, from: number): [value: number, next: number] {
  let value = 0;
  let factor = 1;
  for (let at = from; ; at++) {
    const byte = bytes[at] ?? 0;
    value += (byte % 128) * factor;
    if (byte < 128) return [value, at + 1];
    factor *= 128;
  }
}
