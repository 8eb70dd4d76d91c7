// Why a line was not counted: indices into `reasons` of src/metric/reason.ts, as far as the kernel says them.
// A test compares the two.

export const ok: u32 = 0;
export const malformed: u32 = 1;
export const badName: u32 = 2;
export const nameTooLong: u32 = 3;
export const lineTooLong: u32 = 4;
export const notUtf8: u32 = 5;
export const badValue: u32 = 6;
export const notANumber: u32 = 7;
export const badTimestamp: u32 = 8;
export const tooNew: u32 = 9;
export const tooOld: u32 = 10;
export const noKey: u32 = 12;
