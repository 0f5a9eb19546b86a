/** Events of one node or several, none lost: live ones, and by itself those that were missed while away. */

import { Subscriber as Socket } from "zeromq";

import { Connection } from "./connection.js";
import { MemoryCursor } from "./cursor.js";
import { ConfigError } from "./errors.js";
import { Joiner } from "./joiner.js";
import { keysFor } from "./keys.js";
import { FIRST_LOOK_MS, Link } from "./link.js";
import { fromFrames, topic } from "./messages.js";
import { several, Wanted } from "./wanted.js";
import { checkTimeout, now, Waiting } from "./waiting.js";

const RECEIVE_HWM = 10_000; // live events that may wait here; what is dropped beyond is asked for again
const LOOK_MS = 5000; // between two looks whether something was missed; the first ones come sooner
const AGAIN_MS = 100; // after an answer that brought nothing on, or a request that could not be sent
const SAVE_MS = 500; // between two savings of the cursor
const UNKNOWN_MS = 5000; // that a node whose catch-up has not answered yet is waited for
const PATIENCE_MS = 10_000; // without an answer, after which it is said
const POLL_MS = 1000; // longest sleep

export class EventStream {
  #wanted;
  #cursor;
  #fresh;
  #saves;
  #lost;
  #warn;
  #timeout;
  #waiting = new Waiting();
  #feeds = [];
  #links = [];
  #joiners = new Map();
  #alone = new Map(); // nodes whose catch-up has not answered: since when, ms
  #done = new Map(); // of each node, up to where all was dealt with
  #unsaved = new Set();
  #given; // what the application has in hand: {node, position}
  #saved = 0; // ms
  #stopped = false;
  #busy = false;

  /** @param {object} options see index.d.ts */
  constructor({
    publish, catchup = [], cursor, stream, label, phase, least, fresh = "first", saves = true, lost, warn, timeout,
    keys, signal,
  }) {
    checkTimeout(timeout);
    if (fresh !== "first" && fresh !== "now") throw new ConfigError(`fresh = "${fresh}" must be "first" or "now"`);
    if (!several(publish).length) throw new ConfigError("publish must be the endpoint where a node publishes, or several");
    this.#wanted = new Wanted({ stream, label, phase, least });
    this.#cursor = cursor ?? new MemoryCursor();
    this.#fresh = fresh;
    this.#saves = saves;
    this.#warn = warn ?? ((text) => console.warn(`glatd: ${text}`));
    this.#lost = lost ?? ((loss) => this.#warn(lossText(loss)));
    this.#timeout = timeout ?? Infinity;
    try {
      for (const endpoint of several(publish)) this.#listen(endpoint, keysFor(keys, endpoint));
      const filter = this.#filter();
      for (const endpoint of several(catchup)) {
        this.#links.push(new Link(endpoint, keysFor(keys, endpoint), filter, this.#waiting.wake));
      }
    } catch (error) {
      this.#closeSockets();
      throw error;
    }
    if (signal?.aborted) this.stop();
    signal?.addEventListener("abort", () => this.stop(), { once: true });
  }

  /** Events that came more than once and were dropped. */
  get repeats() {
    return [...this.#joiners.values()].reduce((sum, joiner) => sum + joiner.repeats, 0);
  }

  /** Where a node stands with the event that was given last, or before; undefined for one that is new. */
  async position(node) {
    if (this.#given?.node === node) return this.#given.position;
    return this.#done.get(node) ?? (await this.#cursor.load(node)) ?? undefined;
  }

  /** Save the cursor, the event that was given last included: it has been dealt with. */
  async save() {
    this.#finish();
    await this.#save();
  }

  /** The next event that is wanted. At the end, and when it fails, it closes: a loop that is over does not. */
  async next() {
    if (this.#busy) throw new ConfigError("next() is being awaited already; one loop for each EventStream");
    this.#busy = true;
    try {
      const event = await this.#turns();
      if (event !== undefined) return { value: event, done: false };
    } catch (error) {
      this.#stopped = true;
      this.#closeSockets();
      throw error;
    } finally {
      this.#busy = false;
    }
    return this.return();
  }

  /** What leaving a `for await` does: close. The event in hand may not have been dealt with, and comes once more. */
  async return() {
    await this.close();
    return { value: undefined, done: true };
  }

  /** End the iteration. */
  stop() {
    this.#stopped = true;
    this.#waiting.wake();
  }

  /** Save the cursor up to the event before the one that was given last, and close the sockets. */
  async close() {
    this.stop();
    try {
      if (this.#saves) await this.#save();
    } finally {
      this.#closeSockets();
    }
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async #turns() {
    this.#finish();
    const until = now() + this.#timeout;
    while (!this.#stopped) {
      const event = await this.#pop();
      let due = this.#saves ? await this.#saveInTime() : Infinity;
      if (event !== undefined) return event;
      if (now() >= until) break;
      due = Math.min(due, until, await this.#askAll());
      if (!this.#isReady()) await this.#waiting.wait(due - now());
      await this.#take();
    }
    if (this.#saves) await this.#save();
    return undefined;
  }

  #listen(endpoint, keys) {
    const socket = new Socket({ receiveHighWaterMark: RECEIVE_HWM, linger: 0, ipv6: true });
    socket.subscribe(topic("event"));
    this.#feeds.push(new Connection(socket, endpoint, keys, this.#waiting.wake));
  }

  /** What the node can leave out by itself need not travel. */
  #filter() {
    const { streams, labels } = this.#wanted;
    return {
      ...(streams.length === 1 && streams[0] !== "*" ? { stream: streams[0] } : {}),
      ...(labels.length === 1 ? { label: labels[0] } : {}),
    };
  }

  #closeSockets() {
    for (const each of [...this.#feeds.splice(0), ...this.#links.splice(0)]) each.close();
  }

  /** The next wanted event that is ready; losses before it are told, and what is not wanted is done with. */
  async #pop() {
    for (const joiner of this.#joiners.values()) {
      while (joiner.ready.length) {
        const { position, event, loss } = joiner.ready.shift();
        this.#given = { node: joiner.node, position };
        if (loss) await this.#lost(loss);
        else if (event && this.#wanted.event(event)) return event;
        this.#finish();
      }
    }
    return undefined;
  }

  /** What was given has been dealt with. */
  #finish() {
    if (this.#given === undefined) return;
    this.#done.set(this.#given.node, this.#given.position);
    this.#unsaved.add(this.#given.node);
    this.#given = undefined;
  }

  async #save() {
    this.#saved = now();
    for (const node of [...this.#unsaved]) {
      await this.#cursor.save(node, this.#done.get(node));
      this.#unsaved.delete(node);
    }
  }

  /** Save the cursor, unless it was just now; when to come back for it (ms). */
  async #saveInTime() {
    if (!this.#unsaved.size) return Infinity;
    const due = this.#saved + SAVE_MS;
    if (now() < due) return due;
    await this.#save();
    return Infinity;
  }

  #isReady() {
    return (
      this.#links.some((link) => link.ready) ||
      this.#feeds.some((feed) => feed.ready) ||
      [...this.#joiners.values()].some((joiner) => joiner.ready.length)
    );
  }

  /** Ask what is to be asked; when to come back (ms). */
  async #askAll() {
    const began = now();
    let due = began + POLL_MS;
    for (const link of this.#links) due = Math.min(due, await this.#ask(link, began));
    for (const [node, since] of this.#alone) {
      if (this.#links.every((link) => link.node) || began - since > UNKNOWN_MS) {
        this.#joiners.get(node).unlink();
        this.#alone.delete(node);
      } else due = Math.min(due, since + UNKNOWN_MS);
    }
    return due;
  }

  /** Take what has come, and look whether a node refuses this client. */
  async #take() {
    for (const link of this.#links) await this.#answer(link);
    for (const feed of this.#feeds) {
      for (const frames of feed.take()) {
        const message = fromFrames(frames);
        if (message.type === "event") (await this.#joiner(message.node)).live(message);
      }
    }
  }

  async #joiner(node) {
    let joiner = this.#joiners.get(node);
    if (joiner === undefined) {
      const linked = this.#links.some((link) => link.node === "" || link.node === node);
      joiner = new Joiner(node, await this.#cursor.load(node), this.#fresh, linked);
      this.#joiners.set(node, joiner);
      if (linked && this.#links.every((link) => link.node !== node)) this.#alone.set(node, now());
    }
    return joiner;
  }

  /** Ask a node if there is something to ask; when to come back (ms). */
  async #ask(link, began) {
    const joiner = this.#joiners.get(link.node);
    if (joiner !== undefined && link.waits && link.epoch !== joiner.epoch) {
      link.forget(); // the daemon was started again since
      link.pause = FIRST_LOOK_MS;
    }
    if (link.waits) return began + POLL_MS;
    if (began < link.due) return link.due;
    let wanted = { from: 1, limit: 0 };
    if (joiner !== undefined) {
      if (joiner.wanted() === undefined && began >= link.lookAt) joiner.look();
      wanted = joiner.wanted();
      if (wanted === undefined) return link.lookAt;
    }
    if (await link.ask(wanted, joiner?.epoch ?? 0)) return began + POLL_MS;
    link.due = began + AGAIN_MS;
    link.silent += AGAIN_MS;
    if (PATIENCE_MS < link.silent && link.silent < PATIENCE_MS + 2 * AGAIN_MS) {
      link.silent += 2 * AGAIN_MS;
      this.#warn(`nobody answers on ${link.endpoint}; is that what glatd.toml has under catchup?`);
    }
    return link.due;
  }

  /** Take a reply, if one has come. */
  async #answer(link) {
    const before = link.node;
    const answer = link.receive();
    if (answer === undefined) return;
    const came = now();
    if (answer.refused !== undefined) {
      this.#warn(`${link.endpoint} refuses: ${answer.refused}`);
      link.due = came + LOOK_MS;
      return;
    }
    const { reply, asked, epoch } = answer;
    const known = this.#joiners.has(reply.node);
    const joiner = await this.#joiner(reply.node);
    if (this.#alone.delete(reply.node) || (known && !joiner.linked)) joiner.link();
    if (joiner.isNew || before === reply.node) joiner.reply(reply, asked, epoch);
    if (joiner.wanted() === undefined) {
      link.lookAt = came + link.pause;
      link.pause = Math.min(LOOK_MS, 2 * link.pause);
    } else if (!reply.events.length && reply.next <= asked) link.due = came + AGAIN_MS;
  }
}

function lossText({ node, start, stop, cause }) {
  if (start === stop) return `${node}: ${cause}; what it has now is heard from its beginning`;
  return `${node}: events ${start} to ${stop - 1} are lost: ${cause}`;
}
