/** Messages of a node, live. */

import { Subscriber as Socket } from "zeromq";

import { Connection } from "./connection.js";
import { fromFrames, topic } from "./messages.js";
import { keysFor } from "./keys.js";
import { several, Wanted } from "./wanted.js";
import { checkTimeout, now, Waiting } from "./waiting.js";

const RECEIVE_HWM = 10_000; // messages that may wait here; beyond, ZeroMQ drops without a word (see `seq`)

export class Subscriber {
  /** Windows that were dropped on the way, by the holes in `seq`. */
  missed = 0;
  #wanted;
  #timeout;
  #waiting = new Waiting();
  #connection;
  #ready = [];
  #next = new Map(); // seq that is next, by node, session and stream
  #stopped = false;
  #closed = false;

  /** @param {string} endpoint where the daemon publishes @param {object} options see index.d.ts */
  constructor(endpoint, { types, stream, label, phase, least, timeout, keys, signal } = {}) {
    checkTimeout(timeout);
    this.#wanted = new Wanted({ stream, label, phase, least });
    this.#timeout = timeout ?? Infinity;
    const known = keysFor(keys, endpoint);
    const socket = new Socket({ receiveHighWaterMark: RECEIVE_HWM, linger: 0, ipv6: true });
    const kinds = several(types);
    socket.subscribe(...(kinds.length ? kinds : [""]).map((kind) => topic(kind)));
    this.#connection = new Connection(socket, endpoint, known, this.#waiting.wake);
    if (signal?.aborted) this.stop();
    signal?.addEventListener("abort", () => this.stop(), { once: true });
  }

  /** The next message that is wanted. At the end, and when it fails, it closes: a loop that is over does not. */
  async next() {
    try {
      const message = await this.#turns();
      if (message !== undefined) return { value: message, done: false };
    } catch (error) {
      this.close();
      throw error;
    }
    return this.return();
  }

  /** What leaving a `for await` does: close. */
  async return() {
    this.close();
    return { value: undefined, done: true };
  }

  /** End the iteration. */
  stop() {
    this.#stopped = true;
    this.#waiting.wake();
  }

  close() {
    this.stop();
    if (!this.#closed) this.#connection.close();
    this.#closed = true;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async #turns() {
    const until = now() + this.#timeout;
    while (!this.#stopped) {
      while (this.#ready.length) {
        const message = this.#wanted.message(this.#ready.shift());
        if (message !== undefined) return message;
      }
      for (const frames of this.#connection.take()) {
        const message = fromFrames(frames);
        this.#count(message);
        this.#ready.push(message);
      }
      if (this.#ready.length) continue;
      const left = until - now();
      if (left <= 0) break;
      await this.#waiting.wait(left);
    }
    return undefined;
  }

  #count(message) {
    if (message.type !== "tags") return;
    const key = `${message.node}\n${message.session}\n${message.stream}`;
    this.missed += Math.max(0, message.seq - (this.#next.get(key) ?? message.seq));
    this.#next.set(key, message.seq + 1);
  }
}
