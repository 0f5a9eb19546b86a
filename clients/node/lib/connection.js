/** One socket that connects to one endpoint: what it receives, and whether the node lets it in. */

import { Handshakes } from "./handshakes.js";
import { ConfigError } from "./errors.js";

const MOST_READ = 1000; // messages that were read and not taken; the rest wait in ZeroMQ
const MOST_PORT = 65535;

export class Connection {
  #socket;
  #wake;
  #handshakes;
  #read = [];
  #reading = false;
  #closed = false;
  #error;

  /**
   * @param socket of zeromq, not connected
   * @param {string} endpoint
   * @param {import("./keys.js").Keys | undefined} keys
   * @param {() => void} wake called when there is something to take, or to check
   */
  constructor(socket, endpoint, keys, wake) {
    this.endpoint = endpoint;
    this.#socket = socket;
    this.#wake = wake;
    try {
      checkPort(endpoint);
      keys?.use(socket);
      this.#handshakes = new Handshakes(socket, endpoint, keys, wake);
      socket.connect(endpoint);
    } catch (error) {
      this.close();
      if (error instanceof ConfigError) throw error;
      throw new ConfigError(
        `cannot connect to ${JSON.stringify(endpoint)}: ${error.message}; give tcp://HOST:PORT or ipc:///PATH`,
      );
    }
    this.#readOn();
  }

  /** Messages that have come. What has come is given before a refusal is told. */
  take() {
    if (this.#error) throw this.#error;
    if (!this.#read.length) {
      this.#handshakes.check();
      return this.#read;
    }
    const taken = this.#read;
    this.#read = [];
    this.#readOn();
    return taken;
  }

  /** Whether there is something to take. */
  get ready() {
    return this.#read.length > 0 || this.#error !== undefined || this.#handshakes.refused;
  }

  /** Send at once, or not at all; whether it was sent. */
  async send(frames) {
    try {
      await this.#socket.send(frames);
      return true;
    } catch (error) {
      if (error.code === "EAGAIN") return false; // nobody is there
      throw error;
    }
  }

  close() {
    this.#closed = true;
    this.#handshakes?.close();
    this.#socket.close();
  }

  async #readOn() {
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (!this.#closed && this.#read.length < MOST_READ) {
        const frames = await this.#socket.receive(); // meanwhile #read may have become another array
        this.#read.push(frames);
        this.#wake();
      }
    } catch (error) {
      if (!this.#closed) {
        this.#error = error;
        this.#wake();
      }
    } finally {
      this.#reading = false;
    }
  }
}

/** ZeroMQ would take a port beyond 65535 as another one without a word. */
function checkPort(endpoint) {
  const port = /^tcp:.*:(\d+)$/.exec(endpoint)?.[1];
  if (port !== undefined && Number(port) > MOST_PORT) {
    throw new ConfigError(`${endpoint}: there is no port ${port}; give tcp://HOST:PORT with a PORT up to ${MOST_PORT}`);
  }
}
