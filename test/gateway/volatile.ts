// A door whose chunks are its own again as soon as `take` returns, as sockets that share a buffer have them.
import type { LineSink } from "../../src/gateway/sink.ts";

/** The same sink, handed chunks that are overwritten behind it. */
export function volatile<Sink extends LineSink>(sink: Sink): Sink {
  const take = sink.take.bind(sink);
  sink.take = (chunk) => {
    const own = Buffer.from(chunk);
    const wait = take(own);
    own.fill("#");
    return wait;
  };
  return sink;
}
