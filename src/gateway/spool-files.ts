// The file system as the spool sees it: few verbs, all asynchronous, so that a test can hand in a disk that fails,
// fills or is slow.
import { mkdir, open, readdir, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface SpoolFile {
  /** All of it at this place, or a rejection: then nobody knows how much of it is there. */
  write(pieces: readonly Uint8Array[], at: number): Promise<void>;
  /** Up to `length` bytes: fewer only at the end of the file. */
  read(at: number, length: number): Promise<Buffer>;
  /** Settles when a crash of the machine can't take back what was written. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface SpoolFiles {
  makeFolder(path: string): Promise<void>;
  /** The files of a folder with their sizes. */
  list(path: string): Promise<{ name: string; bytes: number }[]>;
  /** A file that is not there yet; EEXIST when it is. */
  create(path: string): Promise<SpoolFile>;
  /** For reading. */
  open(path: string): Promise<SpoolFile>;
  /** A small file, whole; undefined when there is none. */
  readSmall(path: string): Promise<string | undefined>;
  /** Puts a small file in the place of an old one: a reader sees the one or the other. */
  replaceSmall(path: string, text: string): Promise<void>;
  remove(path: string): Promise<void>;
}

export const systemFiles: SpoolFiles = {
  async makeFolder(path) {
    await mkdir(path, { recursive: true });
  },
  async list(path) {
    const names = await readdir(path);
    return Promise.all(names.map(async (name) => ({ name, bytes: (await stat(join(path, name))).size })));
  },
  create: (path) => opened(path, "wx+"),
  open: (path) => opened(path, "r"),
  async readSmall(path) {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  },
  async replaceSmall(path, text) {
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  },
  remove: (path) => unlink(path),
};

async function opened(path: string, flags: string): Promise<SpoolFile> {
  const handle = await open(path, flags);
  return {
    async write(pieces, at) {
      const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
      const { bytesWritten } = await handle.writev(pieces, at);
      // A disk that fills up writes a part first, and says why at the next try.
      if (bytesWritten < bytes) {
        const left = Buffer.concat(pieces).subarray(bytesWritten);
        const again = await handle.write(left, 0, left.length, at + bytesWritten);
        if (again.bytesWritten < left.length) throw new Error("ENOSPC: the disk took only a part of it");
      }
    },
    async read(at, length) {
      const buffer = Buffer.allocUnsafe(length);
      let got = 0;
      while (got < length) {
        const { bytesRead } = await handle.read(buffer, got, length - got, at + got);
        if (bytesRead === 0) break;
        got += bytesRead;
      }
      return buffer.subarray(0, got);
    },
    sync: () => handle.datasync(),
    close: () => handle.close(),
  };
}
