// Questions to whoever serves a subject. For health and counters, never for data: an answer that is late is lost.
import { createInbox, type Msg, type Subscription } from "nats";
import type { Clock } from "../base/clock.ts";
import { Counters } from "../base/counters.ts";
import type { Log } from "../base/log.ts";
import type { Link } from "./nats-link.ts";
import type { Session } from "./nats-session.ts";

const answersMax = 4_096;
const answersBytesMax = 64 * 1024 * 1024;
/** Questions that one served subject works on at a time; more are left to the asker's time-out. */
const servingMax = 256;

/** All answers within `waitMs`; at once when nobody serves. Rejects with bus-unavailable. */
export function ask(
  session: Session,
  clock: Clock,
  subject: string,
  payload: Uint8Array,
  waitMs: number,
): Promise<Uint8Array[]> {
  return session.call(`ask ${subject}`, () => {
    const answers: Uint8Array[] = [];
    let bytes = 0;
    return new Promise<Uint8Array[]>((resolve, reject) => {
      const reply = createInbox();
      const finish = (error?: Error) => {
        cancel();
        forget();
        subscription.unsubscribe();
        if (error === undefined) resolve(answers);
        else reject(error);
      };
      const cancel = clock.after(waitMs, () => finish());
      const forget = session.onLost(finish);
      const subscription = session.nc.subscribe(reply, {
        callback: (error, message) => {
          if (error !== null) return finish(error);
          if (message.data.length === 0 && message.headers?.code === 503) return finish();
          answers.push(message.data);
          bytes += message.data.length;
          if (answers.length >= answersMax || bytes >= answersBytesMax) finish();
        },
      });
      session.nc.publish(subject, payload, { reply });
    });
  });
}

/** Serves in this session and in all to come; the answer ends that. Settles when the server knows of it. */
export async function serve(
  link: Link,
  subject: string,
  answer: (payload: Uint8Array) => Promise<Uint8Array> | Uint8Array,
  parts: { log?: Log; counters?: Counters },
): Promise<() => void> {
  const counters = parts.counters ?? new Counters();
  const refused = counters.counter("bus_questions_refused_total", "questions not taken: too many at a time");
  let serving = 0;
  let present: Subscription | undefined;
  const work = async (session: Session, message: Msg): Promise<void> => {
    serving += 1;
    try {
      const result = await answer(message.data);
      if (session.lost === undefined) message.respond(result);
    } catch (error) {
      parts.log?.error({ subject, err: error }, "bus: a question could not be answered");
    } finally {
      serving -= 1;
    }
  };
  const begin = (session: Session) => {
    present = session.nc.subscribe(subject, {
      callback: (error, message) => {
        if (error !== null) return;
        if (serving < servingMax) void work(session, message);
        else refused.value += 1;
      },
    });
  };
  const session = link.session;
  const forget = link.onSession(begin);
  const stop = () => {
    forget();
    present?.unsubscribe();
  };
  try {
    await session.call(`serve ${subject}`, () => session.nc.flush());
  } catch (error) {
    stop();
    throw error;
  }
  return stop;
}
