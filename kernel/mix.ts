// From a sum whose high bits are good to 32 bits that are all good (Stafford's thirteenth mixer).

// @ts-ignore: decorator
@inline
export function mix(sum: u64): u32 {
  let h = sum;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9;
  h = (h ^ (h >> 27)) * 0x94d049bb133111eb;
  return <u32>(h >> 32);
}
