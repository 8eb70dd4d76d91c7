// Which series a raw name is: (tenant, bytes) to a local number, by open addressing.
//
//   slots     [hash, what]: found by the hash's top bits, then linearly; at most half are used
//   series    [where its canonical name lies, its length and flags, tenant, first cell]
//   aliases   [where the bytes lie, their length, tenant, series]: another way somebody writes a name
//
// T1. A hash only narrows; tenant and bytes decide, each time.
// T2. What is not known is the caller's affair: src/kernel/series-names.ts makes names canonical, asks whether there
//     may be one more series, and adds it here.
import { sameBytes } from "./scan";
import { hashName } from "./hash";

const recordShift: usize = 4;
const slotShift: usize = 3;
/** In `what`: an alias, not a series. */
const aliasFlag: u32 = 0x80000000;
/** In a series' length: it is none any more; its next point asks as if it were new. */
const forgottenFlag: u32 = 0x80000000;
const lengthMask: u32 = 0xffff;
const leastSlotBits: u32 = 11;

/** What `lookUp` answers where it can't say a series by itself. */
export const unknown: i32 = -1;
const noRoom: i32 = -2;

let evenSlots: usize = 0;
let oddSlots: usize = 0;
let slots: usize = 0;
let slotBits: u32 = 0;
let used: u32 = 0;

let series: usize = 0;
let seriesMost: u32 = 0;
let seriesUsed: u32 = 0;
let aliases: usize = 0;
let aliasesMost: u32 = 0;
let aliasesUsed: u32 = 0;
let names: usize = 0;
let namesMost: usize = 0;
let namesUsed: usize = 0;

/** Slot regions: tables of an even number of bits lie in one, those of an odd number in the other. */
export function configureNames(
  evenSlotsAt: usize,
  oddSlotsAt: usize,
  seriesAt: usize,
  seriesMax: u32,
  aliasesAt: usize,
  aliasesMax: u32,
  namesAt: usize,
  namesBytes: usize,
): void {
  evenSlots = evenSlotsAt;
  oddSlots = oddSlotsAt;
  series = seriesAt;
  seriesMost = seriesMax;
  aliases = aliasesAt;
  aliasesMost = aliasesMax;
  names = namesAt;
  namesMost = namesBytes;
  slotBits = leastSlotBits;
  slots = oddSlots;
}

/** Series known. */
export function seriesCount(): u32 {
  return seriesUsed;
}

// @ts-ignore: decorator
@inline
function slotOf(hash: u32): usize {
  return <usize>(hash >> (32 - slotBits));
}

/** What lies in the first slot of a hash, if it has the hash: most likely whose name it is; else 0. */
// @ts-ignore: decorator
@inline
export function guess(hash: u32): u32 {
  const entry = load<u64>(slots + (slotOf(hash) << slotShift));
  return <u32>entry == hash ? <u32>(entry >> 32) : 0;
}

/** The record of a guess that is not 0. */
// @ts-ignore: decorator
@inline
export function recordOfGuess(what: u32): usize {
  const at = <usize>((what & ~aliasFlag) - 1) << recordShift;
  return (isAlias(what) ? aliases : series) + at;
}

// @ts-ignore: decorator
@inline
export function recordOfSeries(local: u32): usize {
  return series + (<usize>local << recordShift);
}

/** Where the bytes of a record lie. */
// @ts-ignore: decorator
@inline
export function bytesOf(record: usize): usize {
  return names + (<usize>load<u32>(record) << 2);
}

// @ts-ignore: decorator
@inline
export function firstCell(local: u32): u32 {
  return load<u32>(recordOfSeries(local), 12);
}

// @ts-ignore: decorator
@inline
export function setFirstCell(local: u32, cell: u32): void {
  store<u32>(recordOfSeries(local), cell, 12);
}

/** The series of a name, or `unknown`: also where it was forgotten. */
// @ts-ignore: decorator
@inline
export function lookUp(hash: u32, tenant: i32, at: usize, length: u32): i32 {
  const mask = (<usize>1 << slotBits) - 1;
  let slot = slotOf(hash);
  while (true) {
    const entry = load<u64>(slots + (slot << slotShift));
    const what = <u32>(entry >> 32);
    if (what == 0) return unknown;
    if (<u32>entry == hash && isName(recordOfGuess(what), tenant, at, length)) {
      const local = seriesOf(what);
      return isForgotten(local) ? unknown : <i32>local;
    }
    slot = (slot + 1) & mask;
  }
}

/** T1. */
// @ts-ignore: decorator
@inline
function isName(record: usize, tenant: i32, at: usize, length: u32): bool {
  return (
    (load<u32>(record, 4) & lengthMask) == length &&
    load<i32>(record, 8) == tenant &&
    sameBytes(bytesOf(record), at, length)
  );
}

// @ts-ignore: decorator
@inline
function seriesOf(what: u32): u32 {
  return isAlias(what) ? load<u32>(recordOfGuess(what), 12) : what - 1;
}

// @ts-ignore: decorator
@inline
export function isAlias(what: u32): bool {
  return (what & aliasFlag) != 0;
}

// @ts-ignore: decorator
@inline
function isForgotten(local: u32): bool {
  return (load<u32>(recordOfSeries(local), 4) & forgottenFlag) != 0;
}

/** For TypeScript: the series of [at, at + length), forgotten or not, or `unknown`. */
export function findSeries(tenant: i32, at: usize, length: u32): i32 {
  const hash = hashName(tenant, at, length);
  const mask = (<usize>1 << slotBits) - 1;
  let slot = slotOf(hash);
  while (true) {
    const entry = load<u64>(slots + (slot << slotShift));
    const what = <u32>(entry >> 32);
    if (what == 0) return unknown;
    if (<u32>entry == hash && isName(recordOfGuess(what), tenant, at, length)) return <i32>seriesOf(what);
    slot = (slot + 1) & mask;
  }
}

/** 1: forgotten, 0: not. */
export function wasForgotten(local: u32): i32 {
  return <i32>isForgotten(local);
}

export function setForgotten(local: u32, is: bool): void {
  const record = recordOfSeries(local);
  const length = load<u32>(record, 4) & lengthMask;
  store<u32>(record, is ? length | forgottenFlag : length, 4);
}

/** 1: there is room for one more series with a name of so many bytes. */
export function hasRoomFor(length: u32): i32 {
  return <i32>(seriesUsed < seriesMost && namesUsed + keptBytes(length) <= namesMost);
}

/** A new series of this canonical name, for which there is room: its number. */
export function addSeries(tenant: i32, at: usize, length: u32): i32 {
  if (hasRoomFor(length) == 0) return noRoom;
  const kept = keep(at, length);
  const local = seriesUsed++;
  const record = recordOfSeries(local);
  store<u32>(record, kept);
  store<u32>(record, length, 4);
  store<i32>(record, tenant, 8);
  store<u32>(record, 0, 12);
  insert(hashName(tenant, at, length), local + 1);
  return <i32>local;
}

/** Another way of writing the name of a series. Where there is no room it is not remembered. */
export function addAlias(tenant: i32, at: usize, length: u32, local: u32): void {
  if (aliasesUsed == aliasesMost || namesUsed + keptBytes(length) > namesMost) return;
  const kept = keep(at, length);
  const record = aliases + (<usize>aliasesUsed << recordShift);
  store<u32>(record, kept);
  store<u32>(record, length, 4);
  store<i32>(record, tenant, 8);
  store<u32>(record, local, 12);
  insert(hashName(tenant, at, length), (++aliasesUsed) | aliasFlag);
}

// @ts-ignore: decorator
@inline
function keptBytes(length: u32): usize {
  return (<usize>length + 3) & ~3;
}

/** Copies bytes in; answers in which word they begin. */
function keep(at: usize, length: u32): u32 {
  const word = namesUsed >> 2;
  memory.copy(names + namesUsed, at, length);
  namesUsed += keptBytes(length);
  return <u32>word;
}

function insert(hash: u32, what: u32): void {
  if (++used * 2 > <u32>1 << slotBits) grow();
  place(hash, what);
}

function place(hash: u32, what: u32): void {
  const mask = (<usize>1 << slotBits) - 1;
  let slot = slotOf(hash);
  while (load<u32>(slots + (slot << slotShift), 4) != 0) slot = (slot + 1) & mask;
  store<u32>(slots + (slot << slotShift), hash);
  store<u32>(slots + (slot << slotShift), what, 4);
}

/** Top bits keep their order when the table doubles, so this streams through memory. */
function grow(): void {
  const old = slots;
  const oldBytes = <usize>1 << (slotBits + <u32>slotShift);
  slotBits++;
  slots = (slotBits & 1) == 0 ? evenSlots : oddSlots;
  // Its region may hold the table of two sizes ago.
  memory.fill(slots, 0, <usize>1 << (slotBits + <u32>slotShift));
  for (let at: usize = 0; at < oldBytes; at += 8) {
    const what = load<u32>(old + at, 4);
    if (what != 0) place(load<u32>(old + at), what);
  }
}
