// What a door of raw bytes hands them to: it knows what they mean, the door only how they come.

export interface LineSink {
  /** Takes all of the chunk; a promise means: read on when it settles. */
  take(chunk: Buffer): Promise<void> | undefined;
  /** The sender has finished. */
  end(): Promise<void> | undefined;
}
