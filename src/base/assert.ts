// Our own bug: the one kind of failure that throws without a code. It stops the actor it happens in, nobody else.

export class Bug extends Error {
  constructor(message: string) {
    super(`BUG: ${message}`);
    this.name = "Bug";
  }
}

/** Says what was expected, so the message can be read without the source. */
export function assert(condition: unknown, expected: string): asserts condition {
  if (!condition) throw new Bug(expected);
}

/** For the default of a switch over a union: the compiler proves it is never reached. */
export function unreachable(value: never): never {
  throw new Bug(`unexpected case ${JSON.stringify(value)}`);
}
