// What the steps of the set-up share: how they fail, how they speak, how they run a program.

/** What a step is given. @typedef {{ root: string, env: NodeJS.ProcessEnv, signal: AbortSignal, report: Report }} Step */
/** @typedef {ReturnType<typeof createReport>} Report */

/** Something a person must do: the message is a sentence that says what to run. */
export class SetupError extends Error {}

/** Ctrl-C, or another signal to stop. */
export class Interrupted extends Error {}

/**
 * One line a step: `begin` when there is work to do, then `end`; or `line` alone.
 * @param {(text: string) => void} write
 */
export function createReport(write) {
  let open = false;
  const close = () => {
    if (open) write("\n");
    open = false;
  };
  return {
    /** @param {string} text */
    line(text) {
      close();
      write(`setup: ${text}\n`);
    },
    /** Names the work before it takes its time. @param {string} text */
    begin(text) {
      close();
      write(`setup: ${text} ... `);
      open = true;
    },
    /** @param {string} text */
    end(text) {
      write(`${text}\n`);
      open = false;
    },
    /** Ends a line that an error cut short. */
    close,
  };
}

/** @param {number} startedMs of performance.now() */
export function secondsSince(startedMs) {
  return `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
}
