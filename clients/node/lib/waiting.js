/** Waiting until something has come, or time is up. */

import { performance } from "node:perf_hooks";

import { ConfigError } from "./errors.js";

/** Milliseconds of a clock that nobody sets. */
export const now = () => performance.now();

export const LONGEST_MS = 2 ** 31 - 1; // what a timer of Node's can wait

export class Waiting {
  #woken = false;
  #resolve;

  /** End the wait, or the next one. Always the same function, to be handed on. */
  wake = () => {
    this.#woken = true;
    this.#resolve?.();
  };

  /** Until `wake` is called, for so many ms at most. */
  async wait(ms) {
    if (!this.#woken && ms > 0) {
      let timer;
      await new Promise((resolve) => {
        this.#resolve = resolve;
        if (ms <= LONGEST_MS) timer = setTimeout(resolve, Math.ceil(ms));
      });
      clearTimeout(timer);
      this.#resolve = undefined;
    }
    this.#woken = false;
  }
}

/** Refuse what is no time to wait. */
export function checkTimeout(timeout) {
  if (timeout !== undefined && !(timeout >= 0 && timeout <= LONGEST_MS)) {
    throw new ConfigError(`timeout = ${timeout} must be milliseconds from 0 to ${LONGEST_MS}; leave it out to wait`);
  }
}
