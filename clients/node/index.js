/** Subscribe to glatd from Node: see README.md. */

export { EventStream } from "./lib/events.js";
export { Subscriber } from "./lib/subscriber.js";
export { FileCursor, MemoryCursor } from "./lib/cursor.js";
export { Keys, readKeys } from "./lib/keys.js";
export { midsBelow } from "./lib/labels.js";
export { unpack } from "./lib/messages.js";
export { ConfigError, DataError, GlatdError, ProtocolError } from "./lib/errors.js";
