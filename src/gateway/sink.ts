// What a door of raw bytes hands them to: it knows what they mean, the door only how they come.

export interface LineSink {
  /**
   * Takes all of the chunk; a promise means: read on when it settles. The chunk is the door's again when this returns,
   * promise or not: what the sink keeps, it copies.
   */
  take(chunk: Buffer): Promise<void> | undefined;
  /** The sender has finished. */
  end(): Promise<void> | undefined;
}

/** What a sink may say of the connection that it serves. */
export interface SinkConnection {
  /**
   * Whose it is, by its first line with a known key; asked once. false: the tenant has as many as it may have. The
   * connection is closed then, and the sink takes nothing more.
   */
  belongsTo(tenant: string): boolean;
  /** For bytes that mean nothing any more. */
  hangUp(): void;
}
