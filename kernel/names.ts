// Which series a raw name is: (tenant, bytes) to a local number, by open addressing.
//
//   slots    [hash, place + 1]: found by the hash's top bits, then linearly; at most half are used
//   entries  [tenant, length and flags, series, first cell][name ...]: a series under its canonical name, or an alias,
//            another way somebody writes a name; a place counts words of four bytes
//   places   by series, of its entry
//
// T1. A hash only narrows; tenant and bytes decide, each time. They lie together, so that it costs one miss.
// T2. What is not known is the caller's affair: src/kernel/kernel-names.ts makes names canonical, asks whether there may
//     be one more series, and adds it here.
import { sameBytes } from "./scan";
import { hashName } from "./hash";

const headBytes: usize = 16;
const slotShift: usize = 3;
/** With the length: the entry is an alias; its first cell is nothing. */
const aliasFlag: u32 = 0x40000000;
/** With the length: it is no series any more; its next point asks as if it were new. */
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

let places: usize = 0;
let seriesMost: u32 = 0;
let seriesUsed: u32 = 0;
let aliasesUsed: u32 = 0;
let aliasBytes: usize = 0;
let entries: usize = 0;
let entriesMost: usize = 0;
let entriesUsed: usize = 0;

/** Of the series that `lookUp` answered. */
export let found: usize = 0;

/** Slot regions: tables of an even number of bits lie in one, those of an odd number in the other. */
export function configureNames(
  evenSlotsAt: usize,
  oddSlotsAt: usize,
  placesAt: usize,
  seriesMax: u32,
  entriesAt: usize,
  entriesBytes: usize,
): void {
  evenSlots = evenSlotsAt;
  oddSlots = oddSlotsAt;
  places = placesAt;
  seriesMost = seriesMax;
  entries = entriesAt;
  entriesMost = entriesBytes;
  slotBits = leastSlotBits;
  slots = (slotBits & 1) == 0 ? evenSlots : oddSlots;
}

/** Series known. */
export function seriesCount(): u32 {
  return seriesUsed;
}

/** Of the entries' region: what is taken. */
export function entryBytesUsed(): usize {
  return entriesUsed;
}

// @ts-ignore: decorator
@inline
function slotOf(hash: u32): usize {
  return <usize>(hash >> (32 - slotBits));
}

/** The entry in the first slot of a hash, if it has the hash: most likely the one; else 0. */
// @ts-ignore: decorator
@inline
export function guess(hash: u32): u32 {
  const slot = load<u64>(slots + (slotOf(hash) << slotShift));
  return <u32>slot == hash ? <u32>entryAt(<u32>(slot >> 32) - 1) : 0;
}

// @ts-ignore: decorator
@inline
function entryAt(place: u32): usize {
  return entries + (<usize>place << 2);
}

// @ts-ignore: decorator
@inline
export function entryOf(series: u32): usize {
  return entryAt(load<u32>(places + (<usize>series << 2)));
}

// @ts-ignore: decorator
@inline
export function firstCell(entry: usize): u32 {
  return load<u32>(entry, 12);
}

// @ts-ignore: decorator
@inline
export function setFirstCell(entry: usize, cell: u32): void {
  store<u32>(entry, cell, 12);
}

/** The series of a name, with its entry in `found`, or `unknown`: also where it was forgotten. */
// @ts-ignore: decorator
@inline
export function lookUp(hash: u32, tenant: i32, at: usize, length: u32): i32 {
  const mask = (<usize>1 << slotBits) - 1;
  let slot = slotOf(hash);
  while (true) {
    const held = load<u64>(slots + (slot << slotShift));
    if (held >> 32 == 0) return unknown;
    if (<u32>held == hash) {
      const entry = entryAt(<u32>(held >> 32) - 1);
      if (isName(entry, tenant, at, length)) {
        found = isAlias(entry) ? entryOf(load<u32>(entry, 8)) : entry;
        return (load<u32>(found, 4) & forgottenFlag) != 0 ? unknown : load<i32>(found, 8);
      }
    }
    slot = (slot + 1) & mask;
  }
}

/** T1. */
// @ts-ignore: decorator
@inline
function isName(entry: usize, tenant: i32, at: usize, length: u32): bool {
  return (
    (load<u32>(entry, 4) & lengthMask) == length &&
    load<i32>(entry) == tenant &&
    sameBytes(entry + headBytes, at, length)
  );
}

// @ts-ignore: decorator
@inline
function isAlias(entry: usize): bool {
  return (load<u32>(entry, 4) & aliasFlag) != 0;
}

/** For TypeScript: the series of [at, at + length), forgotten or not, or `unknown`. */
export function findSeries(tenant: i32, at: usize, length: u32): i32 {
  const hash = hashName(tenant, at, length);
  const mask = (<usize>1 << slotBits) - 1;
  let slot = slotOf(hash);
  while (true) {
    const held = load<u64>(slots + (slot << slotShift));
    if (held >> 32 == 0) return unknown;
    const entry = entryAt(<u32>(held >> 32) - 1);
    if (<u32>held == hash && isName(entry, tenant, at, length)) return load<i32>(entry, 8);
    slot = (slot + 1) & mask;
  }
}

/** 1: forgotten, 0: not. */
export function wasForgotten(series: u32): i32 {
  return <i32>((load<u32>(entryOf(series), 4) & forgottenFlag) != 0);
}

export function setForgotten(series: u32, is: bool): void {
  const entry = entryOf(series);
  const length = load<u32>(entry, 4) & ~forgottenFlag;
  store<u32>(entry, is ? length | forgottenFlag : length, 4);
}

/** 1: there is room for one more series with a name of so many bytes. */
export function hasRoomFor(length: u32): i32 {
  return <i32>(seriesUsed < seriesMost && entriesUsed + entryBytes(length) <= entriesMost);
}

/** A new series of this canonical name, for which there is room: its number. */
export function addSeries(tenant: i32, at: usize, length: u32): i32 {
  if (hasRoomFor(length) == 0) return noRoom;
  const series = seriesUsed++;
  const place = keep(tenant, at, length, length, series);
  store<u32>(places + (<usize>series << 2), place);
  insert(hashName(tenant, at, length), place + 1);
  return <i32>series;
}

/** Another way of writing the name of a series. Where there is no room it is not remembered. */
export function addAlias(tenant: i32, at: usize, length: u32, series: u32): void {
  const bytes = entryBytes(length);
  if (aliasesUsed == seriesMost || entriesUsed + bytes > entriesMost) return;
  // Whoever writes one name in many ways shall not take the room of everybody's new names.
  if (aliasBytes + bytes > entriesMost / 4) return;
  aliasBytes += bytes;
  aliasesUsed++;
  const place = keep(tenant, at, length, length | aliasFlag, series);
  insert(hashName(tenant, at, length), place + 1);
}

// @ts-ignore: decorator
@inline
function entryBytes(length: u32): usize {
  return headBytes + ((<usize>length + 3) & ~3);
}

/** Writes an entry; answers its place. */
function keep(tenant: i32, at: usize, length: u32, flags: u32, series: u32): u32 {
  const entry = entries + entriesUsed;
  const place = <u32>(entriesUsed >> 2);
  store<i32>(entry, tenant);
  store<u32>(entry, flags, 4);
  store<u32>(entry, series, 8);
  store<u32>(entry, 0, 12);
  memory.copy(entry + headBytes, at, length);
  entriesUsed += entryBytes(length);
  return place;
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
