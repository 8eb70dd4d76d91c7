// The floor: the least that can be done with bytes, a look at each of them. For benches, which say how far above it
// the rest lies.
import { equal64 } from "./scan";

/** How many line ends are in [at, to). */
export function countLines(at: usize, to: usize): u32 {
  let lines: u32 = 0;
  for (; at + 64 <= to; at += 64) lines += <u32>popcnt(equal64(at, 0x0a));
  if (at < to) lines += <u32>popcnt(equal64(at, 0x0a) & (((<u64>1) << (<u64>(to - at))) - 1));
  return lines;
}
