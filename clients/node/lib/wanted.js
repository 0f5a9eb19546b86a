/** Which messages are wanted: by stream, class or group of the ontology, phase and score. */

import { ConfigError } from "./errors.js";
import { fitting } from "./glob.js";
import { midsBelow } from "./labels.js";
import { PHASES } from "./messages.js";

/** One value or many. */
export const several = (values) => (values === undefined ? [] : Array.isArray(values) ? values : [values]);

/** What a subscriber's options ask for. */
export class Wanted {
  constructor({ stream = "*", label = [], phase = [], least = 0 } = {}) {
    this.streams = several(stream);
    this.labels = several(label);
    const phases = several(phase);
    for (const name of phases) {
      if (!PHASES.includes(name)) throw new ConfigError(`phase = "${name}" must be one of ${PHASES.join(", ")}`);
    }
    if (!(least >= 0 && least <= 1)) throw new ConfigError(`least = ${least} must be a score from 0 to 1`);
    this.least = least;
    this.phases = phases.length ? new Set(phases) : undefined;
    this.mids = this.labels.length ? new Set(this.labels.flatMap((name) => [...midsBelow(name)])) : undefined;
    this.globs = (this.streams.length ? this.streams : ["*"]).map(fitting);
  }

  stream(name) {
    return this.globs.some((fits) => fits(name));
  }

  event(event) {
    return (
      (this.phases === undefined || this.phases.has(event.phase)) &&
      (!this.least || event.peak >= this.least) &&
      (this.mids === undefined || this.mids.has(event.mid)) &&
      this.stream(event.stream)
    );
  }

  /** What is wanted of any message: of tags those that fit, if there are any; what has no class, as it is. */
  message(message) {
    if (message.type === "event") return this.event(message) ? message : undefined;
    if (typeof message.stream === "string" && !this.stream(message.stream)) return undefined;
    if (message.type !== "tags" || (this.mids === undefined && !this.least)) return message;
    const tags = message.tags.filter(
      (tag) => tag.score >= this.least && (this.mids === undefined || this.mids.has(tag.mid)),
    );
    return tags.length ? { ...message, tags } : undefined;
  }
}
