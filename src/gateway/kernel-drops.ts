// Datagrams that the kernel threw away because a socket of ours was full, from /proc/net/udp and udp6. A system that
// has no such files counts nothing.
//
// K1. Only sockets of this process count: several processes may share a port, also by another address.
// K2. Each drop counts once: what a socket had dropped at the last look is known by its inode, which is never reused
//     while the socket lives.
import { readdir, readFile, readlink } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import type { Cell } from "../base/counters.ts";

const tables = ["/proc/net/udp", "/proc/net/udp6"];
const lookEveryMs = 1000;

export interface SocketRow {
  port: number;
  inode: string;
  drops: number;
}

export class KernelDrops {
  readonly #cell: Cell;
  readonly #clock: Clock;
  /** By inode, the drops at the last look. */
  readonly #seen: Map<string, number>;
  #cancel: () => void = () => {};
  #closed = false;
  #looking = Promise.resolve();

  private constructor(seen: Map<string, number>, cell: Cell, clock: Clock) {
    this.#seen = seen;
    this.#cell = cell;
    this.#clock = clock;
    this.#cancel = clock.after(lookEveryMs, () => void this.#again());
  }

  /** Watches the UDP sockets that this process has on the port. undefined: the kernel does not say. */
  static async watch(port: number, cell: Cell, clock: Clock): Promise<KernelDrops | undefined> {
    const rows = (await readTables()).filter((row) => row.port === port);
    const own = rows.length === 0 ? new Set<string>() : await ownInodes();
    const ours = rows.filter((row) => own.has(row.inode));
    if (ours.length === 0) return undefined;
    return new KernelDrops(new Map(ours.map((row) => [row.inode, 0])), cell, clock);
  }

  /** One look after the other: an older one that ends later would take the newer for a count that began anew. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look());
    return this.#looking;
  }

  async #look(): Promise<void> {
    for (const { inode, drops } of await readTables()) {
      const before = this.#seen.get(inode);
      if (before === undefined || before === drops) continue;
      // A 32 bit number in the kernel: it may begin anew.
      this.#cell.value += drops >= before ? drops - before : drops;
      this.#seen.set(inode, drops);
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  async #again(): Promise<void> {
    await this.look();
    if (!this.#closed) this.#cancel = this.#clock.after(lookEveryMs, () => void this.#again());
  }
}

async function readTables(): Promise<SocketRow[]> {
  const texts = await Promise.all(tables.map((file) => readFile(file, "latin1").catch(() => "")));
  return texts.flatMap(parseTable);
}

/** The columns of proc(5): local address and port in hex second, the inode tenth, the drops last. */
export function parseTable(text: string): SocketRow[] {
  const rows: SocketRow[] = [];
  for (const line of text.split("\n").slice(1)) {
    const words = line.trim().split(/\s+/);
    const port = Number.parseInt(words[1]?.split(":")[1] ?? "", 16);
    const inode = words[9] ?? "";
    const drops = Number(words[12]);
    if (words.length === 13 && Number.isInteger(port) && /^\d+$/.test(inode) && Number.isInteger(drops))
      rows.push({ port, inode, drops });
  }
  return rows;
}

async function ownInodes(): Promise<Set<string>> {
  const folder = "/proc/self/fd";
  const names = await readdir(folder).catch(() => []);
  const links = await Promise.all(names.map((name) => readlink(`${folder}/${name}`).catch(() => "")));
  return new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
}
