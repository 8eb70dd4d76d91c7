// Lines that were read, a row each, in columns of fixed places: what `readLine` fills, and `route` hands out.
//
// The layout is that of src/kernel/layout.ts, which makes views of it.

export const rowsMost: u32 = 1024;

/** Where the columns lie. */
export let rows: usize = 0;
export function configureRows(at: usize): void {
  rows = at;
}

const value: usize = 0;
const seconds: usize = 8 * 1024;
const from: usize = 16 * 1024;
const nameTo: usize = 20 * 1024;
const to: usize = 24 * 1024;
const keyFrom: usize = 28 * 1024;
const keyTo: usize = 32 * 1024;
const hash: usize = 36 * 1024;
const spelling: usize = 40 * 1024;
const reason: usize = 44 * 1024;

// @ts-ignore: decorator
@inline
export function setValue(row: u32, x: f64): void { store<f64>(rows + (<usize>row << 3), x, value); }
// @ts-ignore: decorator
@inline
export function valueOf(row: u32): f64 { return load<f64>(rows + (<usize>row << 3), value); }
/** NaN: the line leaves its time out. */
// @ts-ignore: decorator
@inline
export function setSeconds(row: u32, x: f64): void { store<f64>(rows + (<usize>row << 3), x, seconds); }
// @ts-ignore: decorator
@inline
export function secondsOf(row: u32): f64 { return load<f64>(rows + (<usize>row << 3), seconds); }
/** [from, nameTo) is the name, [from, to) the line from there to the end of its last word. */
// @ts-ignore: decorator
@inline
export function setWords(row: u32, a: usize, b: usize, c: usize): void {
  const at = rows + (<usize>row << 2);
  store<u32>(at, <u32>a, from);
  store<u32>(at, <u32>b, nameTo);
  store<u32>(at, <u32>c, to);
}
// @ts-ignore: decorator
@inline
export function fromOf(row: u32): usize { return load<u32>(rows + (<usize>row << 2), from); }
// @ts-ignore: decorator
@inline
export function nameToOf(row: u32): usize { return load<u32>(rows + (<usize>row << 2), nameTo); }
// @ts-ignore: decorator
@inline
export function toOf(row: u32): usize { return load<u32>(rows + (<usize>row << 2), to); }
/** [a, b) is the key; empty where there is none. */
// @ts-ignore: decorator
@inline
export function setKey(row: u32, a: usize, b: usize): void {
  const at = rows + (<usize>row << 2);
  store<u32>(at, <u32>a, keyFrom);
  store<u32>(at, <u32>b, keyTo);
}
// @ts-ignore: decorator
@inline
export function keyFromOf(row: u32): usize { return load<u32>(rows + (<usize>row << 2), keyFrom); }
// @ts-ignore: decorator
@inline
export function keyToOf(row: u32): usize { return load<u32>(rows + (<usize>row << 2), keyTo); }
/** For `ingest`: of tenant and name. */
// @ts-ignore: decorator
@inline
export function setHash(row: u32, x: u32): void { store<u32>(rows + (<usize>row << 2), x, hash); }
// @ts-ignore: decorator
@inline
export function hashOf(row: u32): u32 { return load<u32>(rows + (<usize>row << 2), hash); }
/** For `ingest`: the entry whose it most likely is, or 0. */
// @ts-ignore: decorator
@inline
export function setGuess(row: u32, x: u32): void { store<u32>(rows + (<usize>row << 2), x, spelling); }
// @ts-ignore: decorator
@inline
export function guessOf(row: u32): u32 { return load<u32>(rows + (<usize>row << 2), spelling); }
/** Index into src/metric/reason.ts; 0 is ok. */
// @ts-ignore: decorator
@inline
export function setReason(row: u32, x: u32): void { store<u8>(rows + row, <u8>x, reason); }
// @ts-ignore: decorator
@inline
export function reasonOf(row: u32): u32 { return load<u8>(rows + row, reason); }

/** Makes the addresses of the first rows smaller: the same offsets in bytes that lie elsewhere. */
export function shiftRows(count: u32, by: usize): void {
  const shift = i32x4.splat(<i32>by);
  const bytes = <usize>count << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const place = rows + at;
    v128.store(place, i32x4.sub(v128.load(place, from), shift), from);
    v128.store(place, i32x4.sub(v128.load(place, nameTo), shift), nameTo);
    v128.store(place, i32x4.sub(v128.load(place, to), shift), to);
    v128.store(place, i32x4.sub(v128.load(place, keyFrom), shift), keyFrom);
    v128.store(place, i32x4.sub(v128.load(place, keyTo), shift), keyTo);
  }
}
