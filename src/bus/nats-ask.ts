// What goes over core NATS: questions to whoever serves a subject, broadcasts, and messages of senders. Nothing of it is
// kept by the server: a late answer is lost, and who does not listen hears nothing.
import { createInbox, type Msg, type Subscription } from "nats";
import type { Clock } from "../base/clock.ts";
import { Counters } from "../base/counters.ts";
import type { Log } from "../base/log.ts";
import type { Link } from "./nats-link.ts";
import type { Life } from "./nats-life.ts";
import type { ReceivedMessage } from "./bus.ts";

const answersMax = 4_096;
const answersBytesMax = 64 * 1024 * 1024;
/** Questions that one served subject works on at a time; more are left to the asker's time-out. */
const servingMax = 256;

/** All answers within `waitMs`, up to one that is enough; at once when nobody serves. Rejects with bus-unavailable. */
export function ask(
  life: Life,
  clock: Clock,
  subject: string,
  payload: Uint8Array,
  waitMs: number,
  enough: (answer: Uint8Array) => boolean = () => false,
): Promise<Uint8Array[]> {
  return life.call(`ask ${subject}`, () => {
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
      const forget = life.onLost(finish);
      const subscription = life.nc.subscribe(reply, {
        callback: (error, message) => {
          if (error !== null) return finish(error);
          if (message.data.length === 0 && message.headers?.code === 503) return finish();
          answers.push(message.data);
          bytes += message.data.length;
          if (answers.length >= answersMax || bytes >= answersBytesMax || enough(message.data)) finish();
        },
      });
      life.nc.publish(subject, payload, { reply });
    });
  });
}

/** Serves in this life and in all to come; the answer ends that. Settles when the server knows of it. */
export async function serve(
  link: Link,
  subject: string,
  answer: (payload: Uint8Array) => Promise<Uint8Array> | Uint8Array,
  parts: { log?: Log; counters?: Counters },
): Promise<() => void> {
  const counters = parts.counters ?? new Counters();
  const refused = counters.counter("bus_questions_refused_total", "questions not taken: too many at a time");
  let serving = 0;
  const work = async (life: Life, message: Msg): Promise<void> => {
    serving += 1;
    try {
      const result = await answer(message.data);
      if (life.lost === undefined) message.respond(result);
    } catch (error) {
      parts.log?.error({ subject, err: error }, "bus: a question could not be answered");
    } finally {
      serving -= 1;
    }
  };
  return subscribe(link, `serve ${subject}`, (life) =>
    life.nc.subscribe(subject, {
      callback: (error, message) => {
        if (error !== null) return;
        if (serving < servingMax) void work(life, message);
        else refused.value += 1;
      },
    }),
  );
}

/** Tells `onMessage` of each message in this life and in all to come. Who answers too late answers nobody. */
export async function receive(
  link: Link,
  subject: string,
  queue: string | undefined,
  onMessage: (message: ReceivedMessage) => void,
): Promise<() => void> {
  return subscribe(link, `receive ${subject}`, (life) =>
    life.nc.subscribe(subject, {
      ...(queue !== undefined && { queue }),
      callback: (error, message) => {
        if (error !== null) return;
        onMessage({
          subject: message.subject,
          data: message.data,
          replyTo: message.reply,
          header: (name) => (message.headers?.has(name) === true ? message.headers.get(name) : undefined),
          reply:
            message.reply === undefined || !isInbox(message.reply)
              ? undefined
              : (data) => {
                  if (life.lost === undefined) message.respond(data);
                },
        });
      },
    }),
  );
}

/** Of clients, of clients with a prefix of their own, and of the server's own rewriting between accounts. */
function isInbox(subject: string): boolean {
  return /^_INBOX[._]|^_R_\./.test(subject);
}

/** A subscription of this life and of all to come. Settles when the server knows of it; the answer ends it. */
async function subscribe(link: Link, doing: string, open: (life: Life) => Subscription): Promise<() => void> {
  let present: Subscription | undefined;
  const begin = (life: Life) => {
    present = open(life);
  };
  const life = link.life;
  const forget = link.onLife(begin);
  const stop = () => {
    forget();
    present?.unsubscribe();
  };
  try {
    await life.call(doing, () => life.nc.flush());
  } catch (error) {
    stop();
    throw error;
  }
  return stop;
}
