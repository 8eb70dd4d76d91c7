// A disk in memory for the spool: it can fail, fill, be slow, and lose the end of what was written.
import type { SpoolFile, SpoolFiles } from "../../src/gateway/spool-files.ts";

type Verb = "write" | "read" | "create" | "list" | "sync" | "remove";

export class MemoryDisk implements SpoolFiles {
  readonly contents = new Map<string, Buffer>();
  /** Rejects every verb of this list with this code; where a path is named, only for that file. */
  fails: { verbs: readonly Verb[]; code: string; path?: string } | undefined;
  /** Bytes in all files together. */
  bytesMax = Number.POSITIVE_INFINITY;
  /** While set, writes wait for it. */
  gate: Promise<void> | undefined;
  writes = 0;
  syncs = 0;

  get bytes(): number {
    return [...this.contents.values()].reduce((sum, { length }) => sum + length, 0);
  }

  /** Names of segment files, in order. */
  segments(): string[] {
    return [...this.contents.keys()].filter((path) => path.endsWith(".spool")).sort();
  }

  change(path: string, change: (bytes: Buffer) => Buffer): void {
    this.contents.set(path, change(Buffer.from(this.contents.get(path) ?? [])));
  }

  async makeFolder(): Promise<void> {
    this.#judge("list");
  }

  async list(folder: string): Promise<{ name: string; bytes: number }[]> {
    this.#judge("list");
    return [...this.contents]
      .filter(([path]) => path.startsWith(`${folder}/`))
      .map(([path, { length }]) => ({ name: path.slice(folder.length + 1), bytes: length }));
  }

  async create(path: string): Promise<SpoolFile> {
    this.#judge("create");
    if (this.contents.has(path)) throw fault("EEXIST");
    this.contents.set(path, Buffer.alloc(0));
    return this.open(path);
  }

  async open(path: string): Promise<SpoolFile> {
    const file = this.contents.get(path);
    if (file === undefined) throw fault("ENOENT");
    return {
      write: async (pieces, at) => {
        await this.gate;
        this.#judge("write");
        this.writes++;
        const bytes = Buffer.concat(pieces);
        const room = Math.max(0, this.bytesMax - this.bytes);
        const taken = bytes.subarray(0, room);
        this.change(path, (old) =>
          Buffer.concat([old.subarray(0, at), taken, old.subarray(at + taken.length)]),
        );
        if (taken.length < bytes.length) throw fault("ENOSPC");
      },
      read: async (at, length) => {
        this.#judge("read", path);
        return Buffer.from((this.contents.get(path) ?? Buffer.alloc(0)).subarray(at, at + length));
      },
      sync: async () => {
        this.#judge("sync");
        this.syncs++;
      },
      close: async () => {},
    };
  }

  async readSmall(path: string): Promise<string | undefined> {
    this.#judge("read");
    return this.contents.get(path)?.toString();
  }

  async replaceSmall(path: string, text: string): Promise<void> {
    this.#judge("write");
    this.contents.set(path, Buffer.from(text));
  }

  async remove(path: string): Promise<void> {
    this.#judge("remove");
    if (!this.contents.delete(path)) throw fault("ENOENT");
  }

  #judge(verb: Verb, path?: string): void {
    if (this.fails?.verbs.includes(verb) !== true) return;
    if (this.fails.path === undefined || this.fails.path === path) throw fault(this.fails.code);
  }
}

function fault(code: string): Error {
  return Object.assign(new Error(`${code}: as the test wished`), { code });
}
