// What those who write and those who read a blob agree on; blob.ts describes it.

export const blobFormat = 1;
export const blobFormatSketches = 2;
export const headBytes = 8;
export const columnBytes = 16;
/** Of a column. */
export const kinds = { whole: 0, same: 1, float: 2 } as const;

export const columnNames = [
  "series",
  "bucket",
  "points",
  "lastAfterBucket", // lastSeconds - bucket: small
  "sum",
  "min",
  "max",
  "last",
  "lastReceivedAtMs",
] as const;
export type ColumnName = (typeof columnNames)[number];
export const dataStart = headBytes + columnBytes * columnNames.length;
