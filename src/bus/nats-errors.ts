// What the NATS library and the server report, as outages of our closed list. Total: whatever comes, an Error of
// ours goes out. What only a mistake of ours can cause (a bad argument) becomes a Bug instead.
import { JetStreamApiError } from "@nats-io/jetstream";
import {
  InvalidArgumentError,
  InvalidSubjectError,
  NoRespondersError,
  RequestError,
  TimeoutError,
} from "nats";
import { Bug } from "../base/assert.ts";
import { messageOf, Outage, type OutageCode } from "../base/errors.ts";

/** Error codes of the JetStream API, from the server's errors.json. */
export const apiCodes = {
  insufficientResources: 10023,
  memoryResourcesExceeded: 10028,
  messageNotFound: 10037,
  storageResourcesExceeded: 10047,
  sequenceNotFound: 10043,
  messageDeleteFailed: 10057,
  streamNameInUse: 10058,
  streamNotFound: 10059,
  wrongLastSequence: 10071,
  wrongLastSequenceUnknown: 10164,
  streamStoreFailed: 10077,
  accountResourcesExceeded: 10002,
} as const;

const full: ReadonlySet<number> = new Set([
  apiCodes.insufficientResources,
  apiCodes.memoryResourcesExceeded,
  apiCodes.storageResourcesExceeded,
  apiCodes.streamStoreFailed, // a cap reached, and on 2.10 also a full disk
  apiCodes.accountResourcesExceeded,
]);
const fullText = /maximum (bytes|messages)|insufficient|resources? .*exceeded|no space left/i;

/** The outage that an error answer of the JetStream API means. `errCode` is the API's own code, such as 10077. */
export function outageOfApi(doing: string, errCode: number, description: string): Outage {
  return new Outage(codeOfApi(errCode, description), `${doing}: ${description} (${errCode})`);
}

function codeOfApi(errCode: number, description: string): OutageCode {
  if (errCode === apiCodes.streamNotFound) return "stream-missing";
  if (errCode === apiCodes.wrongLastSequence || errCode === apiCodes.wrongLastSequenceUnknown)
    return "revision-conflict";
  if (full.has(errCode) || fullText.test(description)) return "stream-full";
  return "bus-unavailable";
}

/** The error to hand on for whatever a call of the library rejected with. */
export function ownError(doing: string, error: unknown): Error {
  if (error instanceof Outage || error instanceof Bug) return error;
  if (error instanceof JetStreamApiError) return outageOfApi(doing, error.code, error.message);
  if (error instanceof TimeoutError) return new Outage("bus-timeout", `${doing}: no answer in time`);
  if (error instanceof InvalidArgumentError || error instanceof InvalidSubjectError)
    return new Bug(`${doing}: ${error.message}`);
  return new Outage("bus-unavailable", `${doing}: ${messageOf(error)}`, { cause: error });
}

/** Nobody listens on the subject that was asked: no such stream, no leader, or JetStream is not (yet) there. */
export function isNoResponders(error: unknown): boolean {
  if (error instanceof NoRespondersError) return true;
  if (error instanceof RequestError) return error.isNoResponders();
  return error instanceof Error && error.cause !== undefined && isNoResponders(error.cause);
}

export function isApiError(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}
