/** Errors of the client: each names the value that is wrong and what to do about it. */

export class GlatdError extends Error {
  get name() {
    return this.constructor.name;
  }
}

/** An argument, endpoint, key or file that cannot be used; or a node that refuses this client. */
export class ConfigError extends GlatdError {}

/** Bytes that are no message of glatd's, or of a version that this client does not know. */
export class ProtocolError extends GlatdError {}

/** A file that is there and is not what it should be. */
export class DataError extends GlatdError {}
