// Bodies as they were before their sender compressed them: identity, gzip, deflate (zlib's form and raw), zstd.
//
// C1. Nothing is inflated ahead of its reader: pieces come as they are asked for, each of at most 128 KB (zstd) or
//     64 KB, so whoever counts them and stops (body.ts, B1) has stopped the bomb. zstd's windows are bounded too.
// C2. What ends early or is no such stream is a thrown Broken with a sentence, never an end.
// C3. Who stops reading leaves the request itself alone: the rest is read and thrown away, not inflated, so that the
//     sender sees the answer and may use the connection again.
import { PassThrough, pipeline, Readable, Transform } from "node:stream";
import * as zlib from "node:zlib";
import { unreachable } from "../base/assert.ts";
import { messageOf } from "../base/errors.ts";
import { unzstd, zstdWindowLogMax } from "./zstd.ts";

export type Coding = "identity" | "gzip" | "deflate" | "zstd";

export class Broken extends Error {}

/** Content-Encoding and Transfer-Encoding together: how the body is wrapped, or the word that we can't undo. */
export function codingOf(
  content: string | undefined,
  transfer: string | undefined,
): { kind: "coding"; coding: Coding } | { kind: "unknown"; word: string } {
  const words = (header: string | undefined, plain: string) =>
    (header ?? "")
      .toLowerCase()
      .split(",")
      .map((word) => word.trim().replace(/^x-gzip$/, "gzip"))
      .filter((word) => word !== "" && word !== plain);
  const all = [...words(content, "identity"), ...words(transfer, "chunked")];
  const [first, second] = all;
  if (first === undefined) return { kind: "coding", coding: "identity" };
  // Twice compressed is nobody's habit, and a bomb's.
  if (second === undefined && (first === "gzip" || first === "deflate" || first === "zstd"))
    return { kind: "coding", coding: first };
  return { kind: "unknown", word: all.join(", ").slice(0, 40) };
}

/** A request's body while it is being read. */
export interface Decoded {
  /** To be read once; throws Broken (C2). */
  chunks: AsyncIterable<Buffer>;
  /** The transport says that no more will come as it should. */
  fail(why: string): void;
  /** No more is wanted (C3). */
  stop(): void;
}

export function decode(raw: Readable, coding: Coding): Decoded {
  const entry = new PassThrough();
  const fail = (why: string) => entry.destroy(new Broken(why));
  const gone = () => (raw.readableEnded ? undefined : fail("the body ended early"));
  // Not a pipeline: that would end the connection before the answer.
  raw.on("error", gone).on("close", gone);
  entry.on("error", () => {});
  const onData = (chunk: Buffer) => (entry.write(chunk) ? undefined : raw.pause());
  raw.on("data", onData).on("end", () => entry.end());
  entry.on("drain", () => raw.resume());
  return {
    chunks: named(coding, undone(entry, coding)),
    fail,
    stop() {
      raw.off("data", onData);
      entry.destroy();
      raw.resume();
    },
  };
}

function undone(entry: Readable, coding: Coding): AsyncIterable<Buffer> {
  switch (coding) {
    case "identity":
      return entry;
    case "gzip":
      return through(entry, zlib.createGunzip({ chunkSize }));
    case "deflate":
      return inflated(entry);
    case "zstd": {
      const native = nativeUnzstd();
      return native === undefined ? unzstd(entry) : through(entry, native);
    }
    default:
      return unreachable(coding);
  }
}

const chunkSize = 64 << 10;

/** What a decoder throws is said as Broken, with the coding's name. */
async function* named(coding: Coding, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* chunks;
  } catch (error) {
    if (error instanceof Broken) throw error;
    throw new Broken(`the ${coding} body is broken: ${messageOf(error)}`);
  }
}

function through(source: Readable, decoder: Transform): AsyncIterable<Buffer> {
  pipeline(source, decoder, () => {});
  return decoder;
}

/** HTTP's "deflate" is zlib's form, but some send the raw one, whose first byte never looks like zlib's. */
async function* inflated(source: Readable): AsyncGenerator<Buffer> {
  const chunks: AsyncIterator<Buffer> = source[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done === true) return;
  const head = first.value[0] ?? 0;
  const inflater =
    (head & 0x8f) === 0x08 ? zlib.createInflate({ chunkSize }) : zlib.createInflateRaw({ chunkSize });
  const all = async function* () {
    yield first.value;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
  };
  yield* through(Readable.from(all()), inflater);
}

/** node:zlib's own, where it has it (22.15 and later). */
function nativeUnzstd(): Transform | undefined {
  const make: unknown = Reflect.get(zlib, "createZstdDecompress");
  if (typeof make !== "function") return undefined;
  const constants: unknown = Reflect.get(zlib.constants, "ZSTD_d_windowLogMax");
  const params = typeof constants === "number" ? { [constants]: zstdWindowLogMax } : {};
  const made: unknown = Reflect.apply(make, undefined, [{ chunkSize, params }]);
  return made instanceof Transform ? made : undefined;
}
