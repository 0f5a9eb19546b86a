// Where the right edge of a waterfall stands: it follows the sound evenly, though frames come some at a time.

import { isStill } from "./theme.js";

const FAR_S = 4; // behind or ahead, where gliding there would be silly
const SETTLE_S = 2; // within which a difference is made up for

export class Head {
  /** @param {number} pace frames a second */
  constructor(pace) {
    this.pace = pace;
    this.frame = NaN; // a fraction
    this.lag = 0; // frames behind the newest, smoothed
    this.then = 0;
  }

  /** The frame at the right edge now. @param {number} now ms */
  follow(spectrum, now) {
    const { end, chunk } = spectrum;
    const passed = Math.min(0.25, (now - this.then) / 1000);
    this.then = now;
    const behind = end - this.frame;
    if (isStill() || !(Math.abs(behind) < FAR_S * this.pace)) {
      this.frame = end;
      this.lag = 0.6 * chunk;
      return this.frame;
    }
    this.lag += (behind - this.lag) * Math.min(1, passed / SETTLE_S);
    const hurry = (this.lag - 0.6 * chunk) / (SETTLE_S * this.pace);
    const pace = this.pace * Math.min(2, Math.max(0.25, 1 + hurry));
    this.frame = Math.min(end, this.frame + passed * pace);
    return this.frame;
  }
}
