// How frames lie in a segment file of the spool, and what is left of them after a crash.
//
//   segment:  "millrace spool 1" (16 bytes), marker (8 bytes)
//   record:   marker (8), length of the data (4), receivedAtMs (8, double), crc32 of length, time and data (4), data
//
// D1. A record whose checksum does not hold is never handed out.
// D2. The marker is random per segment: nobody who sends lines can make bytes that look like a record, so a search for
//     the next one behind a damaged place finds only what the spool wrote.
import { crc32 } from "node:zlib";
import { frameBytesMax } from "../metric/frame.ts";

const title = Buffer.from("millrace spool 1", "latin1");
const markerBytes = 8;
export const segmentHeadBytes = title.length + markerBytes;
export const recordHeadBytes = markerBytes + 4 + 8 + 4;
/** More than any record has. */
export const recordBytesMax = recordHeadBytes + frameBytesMax;

export function segmentHead(marker: Uint8Array): Buffer {
  return Buffer.concat([title, marker]);
}

/** The marker, or undefined where this is no segment of ours. */
export function markerOf(head: Buffer): Buffer | undefined {
  if (head.length < segmentHeadBytes || !head.subarray(0, title.length).equals(title)) return undefined;
  return Buffer.from(head.subarray(title.length, segmentHeadBytes));
}

export function recordHead(marker: Uint8Array, receivedAtMs: number, data: Uint8Array): Buffer {
  const head = Buffer.allocUnsafe(recordHeadBytes);
  head.set(marker, 0);
  head.writeUInt32LE(data.length, 8);
  head.writeDoubleLE(receivedAtMs, 12);
  head.writeUInt32LE(crc32(data, crc32(head.subarray(8, 20))), 20);
  return head;
}

/** How long the record would be that begins like this; undefined: none begins here. */
export function recordLength(marker: Uint8Array, head: Buffer): number | undefined {
  if (head.length < recordHeadBytes || head.compare(marker, 0, markerBytes, 0, markerBytes) !== 0)
    return undefined;
  const length = head.readUInt32LE(8);
  return length > frameBytesMax ? undefined : recordHeadBytes + length;
}

/** D1. `record` is as long as recordLength said; undefined: damaged. */
export function recordOf(record: Buffer): { receivedAtMs: number; data: Buffer } | undefined {
  const data = record.subarray(recordHeadBytes);
  if (crc32(data, crc32(record.subarray(8, 20))) !== record.readUInt32LE(20)) return undefined;
  return { receivedAtMs: record.readDoubleLE(12), data };
}
