// Pickles: what was written is read, to the bit; what was changed is read or refused, in bounded work; and every
// element makes exactly one line, whatever its name holds.
import assert from "node:assert/strict";
import { Line, readLine } from "../../src/metric/line.ts";
import { PickleReader } from "../../src/metric/pickle.ts";
import { pointLineBytesMost, writeNameOnly, writePoint } from "../../src/metric/point-line.ts";
import { reasons } from "../../src/metric/reason.ts";
import { fromLatin1, latin1, pick, type Fuzzer } from "./fuzzer.ts";
import { pickleOf, randomPoint } from "./pickle-text.ts";

const reader = new PickleReader();
const line = new Line();
const out = new Uint8Array(2 * pointLineBytesMost);

/** The line of the present element, judged. */
function writeLine(): Uint8Array {
  const { nameBytes, nameFrom, nameTo, value, seconds } = reader;
  const end = reader.isPoint
    ? writePoint(out, 0, nameBytes, nameFrom, nameTo, value, seconds)
    : writeNameOnly(out, 0, nameBytes, nameFrom, nameTo);
  assert.ok(end <= pointLineBytesMost);
  const written = out.subarray(0, end);
  assert.equal(written.indexOf(0x0a), end - 1, "one line");
  readLine(written, 0, end, false, line);
  assert.ok(line.finished && !line.blank && line.end === end - 1);
  if (!reader.isPoint) assert.notEqual(reasons[line.reason], "ok");
  return written;
}

/** Reads whatever it is; answers how many elements it had. */
function readAnything(bytes: Uint8Array): number {
  if (reader.read(bytes) !== undefined) return 0;
  let elements = 0;
  for (; reader.next(); elements++) writeLine();
  assert.equal(elements, reader.elements);
  assert.ok(elements <= bytes.length);
  return elements;
}

export const pickleFuzzer: Fuzzer = {
  name: "pickle",
  smokeRounds: 1500,
  round(random) {
    const points = Array.from({ length: random.below(12) }, () => randomPoint(random));
    if (points.length > 1 && random.below(2) === 0)
      points.push({ ...randomPoint(random), name: points[0]?.name ?? "" });
    const text = pickleOf(random, points);
    const bytes = fromLatin1(text);
    assert.equal(reader.read(bytes), undefined, JSON.stringify(text));
    assert.equal(reader.elements, points.length);
    for (const point of points) {
      assert.ok(reader.next() && reader.isPoint);
      assert.equal(latin1(reader.nameBytes.subarray(reader.nameFrom, reader.nameTo)), point.name);
      assert.ok(
        Object.is(reader.value, point.value),
        `${reader.value}, not ${point.value}: ${JSON.stringify(text)}`,
      );
      assert.equal(reader.seconds, point.seconds);
      const written = writeLine();
      if (reasons[line.reason] !== "ok") continue;
      assert.equal(latin1(written.subarray(0, line.nameTo)), point.name);
      assert.ok(Object.is(line.value, point.value), `${latin1(written)}, not ${point.value}`);
      assert.equal(line.seconds, point.seconds);
    }
    assert.ok(!reader.next());
    for (let i = 0; i < 10; i++) {
      const broken = Uint8Array.from(
        random.below(4) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes,
      );
      for (let change = 0; change <= random.below(4) && broken.length > 0; change++)
        broken[random.below(broken.length)] = pick(random, [
          random.below(256),
          ..."(.012aetlpqrghjd}\x86\x94".split("").map((char) => char.charCodeAt(0)),
        ]);
      readAnything(broken);
    }
    readAnything(random.bytes(random.below(60)));
  },
};
