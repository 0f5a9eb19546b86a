/** Watches a connecting socket: ZeroMQ itself would be refused again and again for ever, without a word. */

import { connect } from "node:net";

import { ConfigError } from "./errors.js";

const SUSPECT = 3; // connections in a row that end in the handshake without a word, before it is asked why
const PROBE_MS = 2000;
const GREETING = 64; // bytes, of ZMTP 3

export class Handshakes {
  #endpoint;
  #keys;
  #wake;
  #events;
  #error;
  #failed = 0; // in a row, without a reason
  #closed = false;

  /** To be made before the socket connects. */
  constructor(socket, endpoint, keys, wake) {
    this.#endpoint = endpoint;
    this.#keys = keys;
    this.#wake = wake;
    this.#events = socket.events;
    this.#watch();
  }

  /** Whether the node refuses this client, and will go on to. */
  get refused() {
    return this.#error !== undefined;
  }

  /** Throw if the node refuses this client. */
  check() {
    if (this.#error) throw this.#error;
  }

  close() {
    this.#closed = true;
  }

  async #watch() {
    try {
      for await (const event of this.#events) {
        if (this.#closed) return;
        if (event.type === "handshake") this.#failed = 0;
        else if (event.type === "handshake:error:auth") this.#refuse(this.#isRefused());
        else if (event.type.startsWith("handshake:error")) await this.#look(event);
      }
    } catch {
      // The socket was closed while it was watched.
    }
  }

  async #look(event) {
    if (event.error?.code === "ERR_ZMTP_MECHANISM_MISMATCH") {
      this.#refuse(this.#mismatch());
      return;
    }
    this.#failed += 1;
    if (this.#failed < SUSPECT) return;
    this.#failed = 0;
    // A node that is being restarted behind a forwarded port hangs up in the same way as one with other keys.
    const mechanism = await probe(this.#endpoint);
    if (mechanism === undefined) return;
    if ((mechanism === "CURVE") !== (this.#keys !== undefined)) this.#refuse(this.#mismatch());
    else if (this.#keys) {
      this.#refuse(
        `${this.#endpoint} is another node than the one that the keys of "${this.#keys.name}" are for, ` +
          "or its key has changed; get a new file from `glatd keys add` there",
      );
    }
  }

  #refuse(text) {
    this.#error ??= new ConfigError(text);
    this.#wake();
  }

  #isRefused() {
    const name = this.#keys ? `"${this.#keys.name}"` : "this client";
    return (
      `${this.#endpoint} refuses ${name}: its key is unknown or revoked there, or lacks the right for this; ` +
      "see `glatd keys list` and the log there"
    );
  }

  #mismatch() {
    if (this.#keys) {
      return `${this.#endpoint} has no keys, so nobody could tell who it is; leave the keys out, or give it some`;
    }
    return `${this.#endpoint} asks for keys; give the file that \`glatd keys add NAME\` made there`;
  }
}

/** How a ZeroMQ socket wants to be greeted: "NULL", "CURVE" ...; undefined where there is none that answers. */
export function probe(endpoint) {
  // The signature and the version alone: whoever reads it then tells its mechanism, and has nothing to refuse yet.
  const greeting = Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3]);
  return new Promise((resolve) => {
    let said = Buffer.alloc(0);
    const peer = connect(address(endpoint));
    const done = (mechanism) => {
      peer.destroy();
      resolve(mechanism);
    };
    peer.setTimeout(PROBE_MS, () => done(undefined));
    peer.on("error", () => done(undefined));
    peer.on("close", () => done(undefined));
    peer.on("connect", () => peer.write(greeting));
    peer.on("data", (more) => {
      said = Buffer.concat([said, more]);
      if (said.length < GREETING) return;
      const end = said.indexOf(0, 12);
      done(said[0] === 0xff && said[9] === 0x7f ? said.toString("ascii", 12, Math.min(end, 32)) : undefined);
    });
  });
}

function address(endpoint) {
  if (endpoint.startsWith("ipc://")) return { path: endpoint.slice("ipc://".length) };
  const [, host, port] = /^tcp:\/\/\[?(.*?)\]?:(\d+)$/.exec(endpoint) ?? [undefined, "localhost", "0"];
  return { host, port: Number(port) };
}
