// Pickles over TCP, as carbon-relay sends them: four bytes of length, big-endian, then a pickle of points.
//
// K1. A message costs itself: one that can't be read is counted, and the next one is read, for the framing is whole.
//     A length beyond carbon's limit is no framing at all: what came before it is kept, the connection ends.
// K2. The memory of a connection is bounded: one message of a megabyte, and the lines that its next sink did not take
//     yet. That of all connections is bounded too: beyond it, the one that holds most of an unfinished message ends.
// K3. A message may mean more work than its bytes: between two batches of lines all others have their turn, and a
//     sink that takes no more stops the reading. A message of one batch goes at once; longer ones go one after the
//     other, so that each is read twice and not once a batch, which would be a second's work for a megabyte.
import type { Cell, Counters } from "../base/counters.ts";
import { PickleReader, pickleBytesMax } from "../metric/pickle.ts";
import { pointLineBytesMost, writeNameOnly, writePoint } from "../metric/point-line.ts";
import type { Address } from "../config/settings.ts";
import { openStreamDoor } from "./connections.ts";
import type { DoorContext, DoorOpener, OpenDoor } from "./door.ts";
import type { LineSink } from "./sink.ts";
import { openTlsFiles, type TlsFiles } from "./tls-files.ts";

const lengthBytes = 4;
const startBytes = 4096;
/** Of unfinished messages on all connections together. */
const heldBytesMost = 128 << 20;
/** Lines that are handed on at a time. */
const batchBytes = 256 << 10;

export const pickleDoor: DoorOpener = async (context) => {
  const { settings } = context;
  const unpickler = new Unpickler(context.counters);
  const open: (OpenDoor & { address: Address })[] = [];
  try {
    if (settings.pickleListen !== "off")
      open.push(await openOne(context, unpickler, "pickle", settings.pickleListen, "MILLRACE_PICKLE_LISTEN"));
    if (settings.pickleTlsListen !== "off") {
      const setting = "MILLRACE_PICKLE_TLS_LISTEN";
      const secure = await openTlsFiles(context, setting);
      const listen = settings.pickleTlsListen;
      open.push(await openOne(context, unpickler, "pickleTls", listen, setting, secure));
    }
  } catch (error) {
    await Promise.all(open.map((door) => door.close()));
    throw error;
  }
  if (open.length === 0) return undefined;
  return {
    addresses: Object.assign({}, ...open.map((door) => door.addresses)) as OpenDoor["addresses"],
    async close() {
      await Promise.all(open.map((door) => door.close()));
    },
  };
};

function openOne(
  context: DoorContext,
  unpickler: Unpickler,
  name: string,
  listen: Address,
  setting: string,
  secure?: TlsFiles,
): Promise<OpenDoor & { address: Address }> {
  const { settings, bounds, counters, clock } = context;
  const newLines = context.sinks("pickle", "plaintext");
  return openStreamDoor({
    name,
    listen,
    setting,
    ...(secure !== undefined && { secure }),
    bounds,
    idleMsMax: settings.tcpIdle,
    counters,
    clock,
    newSink: (peer, connection) =>
      new PickleSink(unpickler, newLines(peer, connection), () => connection.hangUp()),
  });
}

/** What all pickle connections of a gateway share: the reader's memory, a batch of lines, bounds and counters. */
export class Unpickler {
  readonly reader = new PickleReader();
  /** K3. For messages of several batches; one has it at a time. */
  readonly #longReader = new PickleReader();
  #longTurn: Promise<void> = Promise.resolve();
  readonly #counters: Counters;
  readonly #heldMost: number;
  readonly #messages: Cell;
  readonly #refused = new Map<string, Cell>();
  readonly #ended = new Map<string, Cell>();
  readonly #holding = new Set<PickleSink>();
  #held = 0;
  #out: Buffer | undefined;

  constructor(counters: Counters, heldMost = heldBytesMost) {
    this.#counters = counters;
    this.#heldMost = heldMost;
    this.#messages = counters.counter("gateway_pickle_messages_total", "Pickles read");
  }

  /** Reads a message, or counts why not. */
  read(message: Buffer): boolean {
    const problem = this.reader.read(message);
    if (problem === undefined) this.#messages.value++;
    else this.refuse(problem);
    return problem === undefined;
  }

  refuse(reason: string): void {
    this.#count(this.#refused, "gateway_pickle_messages_refused_total", "Pickles refused whole", reason);
  }

  ended(reason: string): void {
    this.#count(this.#ended, "gateway_pickle_connections_ended_total", "Connections ended", reason);
  }

  /** K2. A sink holds so many bytes more, or less, of an unfinished message. */
  holds(sink: PickleSink, more: number): void {
    this.#held += more;
    if (sink.held === 0) this.#holding.delete(sink);
    else this.#holding.add(sink);
    if (this.#held <= this.#heldMost) return;
    let most = sink;
    for (const each of this.#holding) if (each.held > most.held) most = each;
    most.drop("memory");
  }

  /** K3. Settles with the reader when nobody else has it, and with what gives it back. */
  async longReader(): Promise<{ reader: PickleReader; giveBack: () => void }> {
    const before = this.#longTurn;
    let giveBack = () => {};
    this.#longTurn = new Promise((resolve) => (giveBack = resolve));
    await before;
    return { reader: this.#longReader, giveBack };
  }

  /** The next lines of the message that a reader is at, and whether they were all. */
  lines(reader: PickleReader): { bytes: Buffer; all: boolean } {
    const out = (this.#out ??= Buffer.allocUnsafe(batchBytes));
    let end = 0;
    let more = true;
    while (end + pointLineBytesMost <= out.length && (more = reader.next())) {
      const { nameBytes, nameFrom, nameTo } = reader;
      end = reader.isPoint
        ? writePoint(out, end, nameBytes, nameFrom, nameTo, reader.value, reader.seconds)
        : writeNameOnly(out, end, nameBytes, nameFrom, nameTo);
    }
    return { bytes: out.subarray(0, end), all: !more };
  }

  #count(cells: Map<string, Cell>, name: string, help: string, reason: string): void {
    let cell = cells.get(reason);
    if (cell === undefined) {
      cell = this.#counters.counter(name, help, { reason });
      cells.set(reason, cell);
    }
    cell.value++;
  }
}

export class PickleSink implements LineSink {
  readonly #unpickler: Unpickler;
  readonly #lines: LineSink;
  readonly #hangUp: () => void;
  readonly #length = Buffer.alloc(lengthBytes);
  #lengthHave = 0;
  /** The beginning of a message; it grows with what comes, whatever its length says. */
  #message: Buffer | undefined;
  #have = 0;
  #over = false;

  constructor(unpickler: Unpickler, lines: LineSink, hangUp: () => void) {
    this.#unpickler = unpickler;
    this.#lines = lines;
    this.#hangUp = hangUp;
  }

  /** Bytes kept for an unfinished message. */
  get held(): number {
    return this.#message?.length ?? 0;
  }

  take(chunk: Buffer): Promise<void> | undefined {
    return this.#advance(chunk, 0);
  }

  end(): Promise<void> | undefined {
    if (!this.#over && this.#lengthHave > 0) this.#unpickler.refuse("cut");
    this.#forget();
    return this.#lines.end();
  }

  /** Ends the connection; nothing more of it is read. */
  drop(reason: string): void {
    this.#over = true;
    this.#forget();
    this.#unpickler.ended(reason);
    this.#hangUp();
  }

  #advance(chunk: Buffer, from: number): Promise<void> | undefined {
    let at = from;
    while (at < chunk.length && !this.#over) {
      if (this.#lengthHave < lengthBytes) {
        this.#length[this.#lengthHave++] = chunk[at++] as number;
        if (this.#lengthHave < lengthBytes) continue;
        if (this.#length.readUInt32BE() > pickleBytesMax) this.drop("too-long");
        if (this.#over) break;
      }
      const length = this.#length.readUInt32BE();
      let message: Buffer | undefined;
      if (this.#message === undefined && chunk.length - at >= length) {
        message = chunk.subarray(at, at + length);
        at += length;
      } else {
        const taken = Math.min(length - this.#have, chunk.length - at);
        if (taken > 0) this.#gather(chunk, at, taken, length);
        at += taken;
        if (this.#have === length) message = this.#message?.subarray(0, length);
      }
      if (message === undefined) continue;
      this.#forget();
      const wait = this.#unpickler.read(message) ? this.#pour(message) : undefined;
      if (wait === undefined) continue;
      const rest = Buffer.from(chunk.subarray(at));
      return wait.then(() => this.#advance(rest, 0));
    }
    return undefined;
  }

  #gather(chunk: Buffer, from: number, count: number, length: number): void {
    const before = this.held;
    const needed = this.#have + count;
    if (needed > before) {
      const room = Math.min(length, Math.max(startBytes, needed, before * 2));
      const grown = Buffer.allocUnsafeSlow(room);
      this.#message?.copy(grown, 0, 0, this.#have);
      this.#message = grown;
    }
    chunk.copy(this.#message as Buffer, this.#have, from, from + count);
    this.#have = needed;
    if (this.held !== before) this.#unpickler.holds(this, this.held - before);
  }

  #forget(): void {
    const { held } = this;
    this.#message = undefined;
    this.#have = 0;
    this.#lengthHave = 0;
    if (held > 0) this.#unpickler.holds(this, -held);
  }

  /** Hands the lines of a message on, which the reader has read just now. */
  #pour(message: Buffer): Promise<void> | undefined {
    const { reader } = this.#unpickler;
    const { bytes, all } = this.#unpickler.lines(reader);
    const { seen } = reader;
    const wait = bytes.length === 0 ? undefined : this.#lines.take(bytes);
    return all ? wait : this.#pourRest(Buffer.from(message), seen, wait);
  }

  async #pourRest(message: Buffer, seenBefore: number, before: Promise<void> | undefined): Promise<void> {
    let wait = before;
    let seen = seenBefore;
    for (;;) {
      // Who waits for a shard does not keep the reader from the others: only where we are is kept.
      if (wait !== undefined) await wait;
      const { reader, giveBack } = await this.#unpickler.longReader();
      try {
        reader.read(message);
        reader.seek(seen);
        wait = undefined;
        while (wait === undefined) {
          await new Promise<void>((resolve) => setImmediate(resolve));
          const { bytes, all } = this.#unpickler.lines(reader);
          wait = bytes.length === 0 ? undefined : this.#lines.take(bytes);
          if (all || this.#over) return wait;
        }
        seen = reader.seen;
      } finally {
        giveBack();
      }
    }
  }
}
