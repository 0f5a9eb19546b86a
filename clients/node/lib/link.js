/** Asking a node for the events since an offset: one DEALER, one request at a time. */

import { encode } from "@msgpack/msgpack";
import { Dealer } from "zeromq";

import { Connection } from "./connection.js";
import { ProtocolError } from "./errors.js";
import { fromMap, isMap, shown, unpacked, VERSION } from "./messages.js";
import { now } from "./waiting.js";

const ANSWER_MS = 5000; // after which a request is taken for lost, as when the daemon was killed
const LONGEST_MS = 60_000; // the same, where one answer after the other is late: who is busy is not asked more and more
const LARGEST_REPLY = 4 << 20; // bytes
export const FIRST_LOOK_MS = 250; // between the first two looks; a subscription may take as long to be heard

export class Link {
  node = ""; // its name, once it has answered
  due = 0; // ms before which it is not asked
  lookAt = 0; // ms at which to look whether something was missed
  pause = FIRST_LOOK_MS; // until the next look
  silent = 0; // ms for which nobody could be asked
  #connection;
  #filter;
  #number = 0;
  #asked = new Map(); // by number, {from, epoch}: of all that may be answered yet
  #since = 0;
  #patience = ANSWER_MS;

  /** @param {{stream?: string, label?: string}} filter what the node can leave out by itself */
  constructor(endpoint, keys, filter, wake) {
    this.endpoint = endpoint;
    this.#filter = filter;
    const socket = new Dealer({
      linger: 0,
      ipv6: true,
      immediate: true, // nothing waits for a daemon that is away: it would be asked twice
      sendTimeout: 0,
      maxMessageSize: LARGEST_REPLY,
    });
    this.#connection = new Connection(socket, endpoint, keys, wake);
  }

  /** Whether an answer is waited for. */
  get waits() {
    return this.#asked.size > 0 && now() - this.#since < this.#patience;
  }

  /** Of what was asked last. */
  get epoch() {
    return this.#asked.get(this.#number)?.epoch ?? 0;
  }

  get ready() {
    return this.#connection.ready;
  }

  /** Ask for events from an offset on; whether the daemon is there to be asked. */
  async ask({ from, limit }, epoch) {
    const number = this.#number + 1;
    const request = { v: VERSION, from, id: number, ...this.#filter };
    if (limit !== undefined) request.limit = limit;
    if (!(await this.#connection.send(encode(request)))) return false;
    if (this.#asked.size) this.#patience = Math.min(LONGEST_MS, 2 * this.#patience); // in vain so far
    this.#number = number;
    this.#since = now();
    for (const [each, asked] of this.#asked) if (asked.epoch !== epoch) this.#asked.delete(each);
    this.#asked.set(number, { from, epoch });
    return true;
  }

  /**
   * An answer to what was asked, if it has come, also a late one: `{reply, asked, epoch}`, or `{refused}` with the
   * node's reason. Throws where the node refuses this client for good.
   */
  receive() {
    for (const frames of this.#connection.take()) {
      const { id, reply, refused } = parseReply(frames);
      const asked = this.#asked.get(id);
      if (asked === undefined) continue;
      this.forget();
      if (refused !== undefined) return { refused };
      this.node = reply.node;
      this.silent = 0;
      return { reply, asked: asked.from, epoch: asked.epoch };
    }
    return undefined;
  }

  /** Wait no more for an answer. */
  forget() {
    this.#asked.clear();
    this.#patience = ANSWER_MS;
  }

  close() {
    this.#connection.close();
  }
}

function parseReply(frames) {
  const map = frames.length === 1 ? unpacked(frames[0], "a reply") : undefined;
  if (!isMap(map)) throw new ProtocolError("a reply that is none; is this a glatd's catch-up?");
  if (map.v !== VERSION) {
    throw new ProtocolError(`a reply of version ${shown(map.v)}; this client knows ${VERSION}: upgrade it`);
  }
  if (!map.ok) return { id: map.id, refused: String(map.error) };
  const { node, journal, first, last, next, holes, events } = map;
  const good =
    typeof node === "string" && typeof journal === "string" &&
    [first, last, next].every(Number.isSafeInteger) && Array.isArray(events) && Array.isArray(holes) &&
    holes.every((hole) => Array.isArray(hole) && hole.length === 3 && hole.slice(0, 2).every(Number.isSafeInteger));
  if (!good) throw new ProtocolError("a reply that is none; is this a glatd's catch-up?");
  const known = events.map(fromMap).filter((event) => event.type === "event");
  return { id: map.id, reply: { node, journal, first, last, next, holes, events: known } };
}
