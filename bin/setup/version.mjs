// Versions of programs: three numbers, compared as numbers (2.9.10 is older than 2.10.0).

/** @typedef {[number, number, number]} Version */

/**
 * The first version in the text: "nats-server: v2.10.27" is [2, 10, 27]. Undefined when there is none.
 * @param {string} text @returns {Version | undefined}
 */
export function readVersion(text) {
  const match = /(\d+)\.(\d+)\.(\d+)/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3])];
}

/** False when either is unknown. @param {Version | undefined} version @param {Version | undefined} least */
export function isAtLeast(version, least) {
  if (version === undefined || least === undefined) return false;
  for (const at of /** @type {const} */ ([0, 1, 2])) {
    if (version[at] !== least[at]) return version[at] > least[at];
  }
  return true;
}
