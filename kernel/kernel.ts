// The kernel: what TypeScript calls (src/kernel/instance.ts). It has no memory of its own: regions are laid out by
// src/kernel/layout.ts and told once, by `configure`.
import { configureNumbers } from "./number";
import { configureRows } from "./rows";


export function configure(numbers: usize, rowsAt: usize): void {
  configureNumbers(numbers);
  configureRows(rowsAt);
}

