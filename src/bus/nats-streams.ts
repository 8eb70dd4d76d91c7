// The shards' streams: making them, their state, single frames, trimming.
//
// N1. A stream's incarnation is given once, at creation, and no later call touches it.
// N2. `frameAt` says undefined only when the stream's leader says so: a direct get may be answered by a replica that
//     lags behind, and a hole that is none would be a loss.
import {
  DiscardPolicy,
  RetentionPolicy,
  StorageType,
  type StreamInfo,
  type StreamUpdateConfig,
} from "@nats-io/jetstream";
import { nanos } from "nats";
import { isOutage, Outage } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { RecordedFrame, StreamBegin, StreamOptions, StreamState } from "./bus.ts";
import { apiCodes, isApiError } from "./nats-errors.ts";
import type { Life } from "./nats-life.ts";
import { streamName, streamSubject } from "./subjects.ts";

/** Creates the stream or brings its caps up to date. Several processes may do so at the same time. */
export async function ensureStream(
  life: Life,
  random: Random,
  shard: number,
  caps: StreamOptions,
): Promise<StreamState> {
  const stream = streamName(shard);
  const wanted: Partial<StreamUpdateConfig> = {
    max_bytes: caps.bytesMax,
    duplicate_window: nanos(caps.duplicateWindowMs),
    discard: DiscardPolicy.New,
    allow_direct: true,
    max_age: 0,
  };
  let info: StreamInfo;
  try {
    info = await infoOf(life, shard);
  } catch (error) {
    if (!isOutage(error, "stream-missing")) throw error;
    const made = await create(life, random, shard, wanted, caps.begin);
    if (made !== undefined) return stateOf(made);
    info = await infoOf(life, shard); // another process was faster
  }
  const have = info.config;
  const same =
    have.max_bytes === wanted.max_bytes &&
    have.duplicate_window === wanted.duplicate_window &&
    have.discard === wanted.discard &&
    have.allow_direct &&
    have.max_age === 0;
  if (same) return stateOf(info);
  return stateOf(await life.call(`update ${stream}`, () => life.jsm.streams.update(stream, wanted)));
}

/** undefined: it exists by now. */
async function create(
  life: Life,
  random: Random,
  shard: number,
  wanted: Partial<StreamUpdateConfig>,
  begin: StreamBegin | undefined,
): Promise<StreamInfo | undefined> {
  const name = streamName(shard);
  const metadata = { incarnation: begin?.incarnation ?? Buffer.from(random.bytes(16)).toString("hex") };
  return life.call(`create ${name}`, async () => {
    try {
      return await life.jsm.streams.add({
        ...wanted,
        name,
        metadata,
        subjects: [streamSubject(shard)],
        retention: RetentionPolicy.Limits,
        storage: StorageType.File,
        num_replicas: 1,
        ...(begin === undefined ? {} : { first_seq: begin.firstSequence }),
      });
    } catch (error) {
      if (isApiError(error, apiCodes.streamNameInUse)) return undefined;
      throw error;
    }
  });
}

export async function streamState(life: Life, shard: number): Promise<StreamState> {
  return stateOf(await infoOf(life, shard));
}

function infoOf(life: Life, shard: number): Promise<StreamInfo> {
  const stream = streamName(shard);
  return life.call(`state of ${stream}`, () => life.jsm.streams.info(stream));
}

function stateOf(info: StreamInfo): StreamState {
  return {
    // A stream that somebody made by hand has no id: its creation time tells incarnations apart as well.
    incarnation: info.config.metadata?.["incarnation"] ?? info.created,
    firstSequence: info.state.first_seq,
    lastSequence: info.state.last_seq,
    messages: info.state.messages,
    bytes: info.state.bytes,
    bytesMax: info.config.max_bytes,
  };
}

export async function frameAt(
  life: Life,
  shard: number,
  sequence: number,
): Promise<RecordedFrame | undefined> {
  const stream = streamName(shard);
  const doing = `frame ${sequence} of ${stream}`;
  const direct = await life.call(doing, () => getDirect(life, stream, sequence));
  if (direct !== undefined) return direct;
  return life.call(doing, async () => {
    const stored = await life.jsm.streams.getMessage(stream, { seq: sequence });
    if (stored === null) return undefined;
    return { sequence: stored.seq, timeMs: parseTime(stored.timestamp), data: stored.data };
  });
}

/** undefined: not found, or nobody gives direct answers; then the leader is asked. */
async function getDirect(life: Life, stream: string, sequence: number): Promise<RecordedFrame | undefined> {
  const got = await life.jsm.direct.getMessage(stream, { seq: sequence }).catch(() => null);
  if (got === null || got.seq !== sequence) return undefined;
  return { sequence, timeMs: parseTime(got.timestamp), data: got.data };
}

export async function trim(life: Life, shard: number, sequence: number): Promise<void> {
  const stream = streamName(shard);
  // A purge beyond the end would move the end: the next frames would get sequences that leave a hole.
  const last = (await streamState(life, shard)).lastSequence;
  const upTo = Math.min(sequence, last);
  if (upTo < 1) return;
  // The server keeps `seq` itself.
  await life.call(`trim ${stream}`, () => life.jsm.streams.purge(stream, { seq: upTo + 1 }));
}

/** Asked for at a time: the server answers one after the other. */
const removedAtOnce = 64;

export async function removeFrames(life: Life, shard: number, sequences: readonly number[]): Promise<void> {
  const stream = streamName(shard);
  for (let at = 0; at < sequences.length; at += removedAtOnce) {
    const some = sequences.slice(at, at + removedAtOnce);
    await Promise.all(
      some.map((sequence) => life.call(`remove from ${stream}`, () => remove(life, stream, sequence))),
    );
  }
}

async function remove(life: Life, stream: string, sequence: number): Promise<void> {
  try {
    // Not erased: its bytes are not overwritten first.
    await life.jsm.streams.deleteMessage(stream, sequence, false);
  } catch (error) {
    if (isApiError(error, apiCodes.sequenceNotFound)) return;
    // It says so of a sequence that is not there yet, and of a disk that fails.
    const isNotThere =
      isApiError(error, apiCodes.messageDeleteFailed) &&
      (await life.jsm.streams.getMessage(stream, { seq: sequence })) === null;
    if (!isNotThere) throw error;
  }
}

export async function missing(life: Life, shard: number): Promise<number[]> {
  const stream = streamName(shard);
  const { state } = await life.call(`holes of ${stream}`, () =>
    life.jsm.streams.info(stream, { deleted_details: true }),
  );
  return (state.deleted ?? []).toSorted((a, b) => a - b);
}

/** RFC 3339 with up to nine digits of a second, as ms since the epoch, cut, the same as a reader's time. */
export function parseTime(text: string): number {
  const ms = Date.parse(text.replace(/(\.\d{3})\d+/, "$1"));
  if (Number.isNaN(ms)) throw new Outage("bus-unavailable", `the server gave the time "${text}"`);
  return ms;
}
