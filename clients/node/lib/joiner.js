/**
 * One node's events in order, without a hole or a repeat, joined from what is live and what was asked for.
 *
 * Pure: it is told what came, and says what is ready and what to ask for. The same machine as glatd.clients.joining.
 */

const MOST_HELD = 1000; // live events behind a hole; those beyond are asked for later
const MOST_SESSIONS = 100; // that are remembered

export const NEW_JOURNAL = "the node began a new journal";
export const WENT_BACK = "the node's journal went back";
export const NEW_SESSION = "the node was started again, and keeps no journal";
export const NOT_HEARD = "missed, and there is no catch-up to ask";

export class Joiner {
  /** What is next: `{position, event}`, `{position, loss}`, or `{position}` for what was not asked for. */
  ready = [];
  repeats = 0;
  /** Of the node's sessions as far as they are known; a reply to what was asked in an earlier one is void. */
  epoch = 0;
  #journal;
  #next; // offset; 0: not known yet
  #held = new Map();
  #highest = 0;
  #settled = false;
  #sessions = new Set(); // whose numbers are known to go on from ours
  #unsure = new Set(); // that came, and may count anew

  /**
   * @param {string} node
   * @param {{journal: string, offset: number} | undefined} position up to which all is done; undefined: a new node
   * @param {"first" | "now"} fresh where a new node begins
   * @param {boolean} linked whether there is a catch-up to ask
   */
  constructor(node, position, fresh = "first", linked = true) {
    this.node = node;
    this.linked = linked;
    this.fresh = fresh;
    this.#journal = position ? position.journal : "";
    this.#next = position ? position.offset + 1 : 0;
  }

  /** The offset to ask from, and a limit: 0 to hear only where the node stands. Undefined for nothing to ask. */
  wanted() {
    if (!this.linked || this.#settled) return undefined;
    return this.#next ? { from: this.#next } : { from: 1, limit: 0 };
  }

  /** Whether it is not known yet where to begin. */
  get isNew() {
    return !this.#next;
  }

  /** Ask once more, though nothing seems to be missing. */
  look() {
    this.#settled = false;
  }

  /** There is a catch-up now. */
  link() {
    this.linked = true;
    this.#settled = false;
  }

  /** There is no catch-up to ask after all. */
  unlink() {
    this.linked = false;
    const held = [...this.#held.values()].sort((one, other) => one.offset - other.offset);
    this.#held.clear();
    for (const event of held) this.live(event);
  }

  /** An event was published. */
  live(event) {
    if (!this.linked) {
      this.#unlinked(event);
      return;
    }
    if (!this.#sessions.has(event.session) && !this.#unsure.has(event.session)) {
      this.#unsure.add(event.session);
      this.epoch += 1;
      this.#settled = false;
    }
    if (!this.#unsure.size && event.offset < this.#next) {
      this.repeats += 1;
      return;
    }
    this.#highest = Math.max(this.#highest, event.offset);
    if (this.#held.size < MOST_HELD) this.#held.set(event.offset, event);
    this.#drain();
  }

  /** What was asked from offset `asked` on, in an epoch. */
  reply(reply, asked, epoch) {
    if (epoch !== this.epoch) return;
    for (const session of this.#unsure) this.#know(session);
    this.#unsure.clear();
    this.#settled = false;
    if (!this.#next) {
      this.#journal = reply.journal;
      this.#pass(this.fresh === "first" ? reply.first : reply.last + 1);
      this.#settled = this.#next > Math.max(reply.last, this.#highest);
    } else if (this.#journal && reply.journal !== this.#journal) {
      this.#restart(reply, reply.first, NEW_JOURNAL);
    } else if (asked > reply.last + 1) {
      this.#restart(reply, reply.last + 1, WENT_BACK);
    } else {
      this.#journal = reply.journal;
      this.#take(reply);
      this.#settled = this.#next > Math.max(reply.last, this.#highest);
    }
    this.#drain();
  }

  #know(session) {
    this.#sessions.add(session);
    if (this.#sessions.size > MOST_SESSIONS) this.#sessions.delete(this.#sessions.values().next().value);
  }

  #take(reply) {
    const holes = [...reply.holes];
    for (const event of reply.events) {
      while (holes.length && holes[0][0] <= event.offset) this.#lose(...holes.shift());
      if (event.offset >= this.#next) this.#tell(event);
    }
    for (const hole of holes) this.#lose(...hole);
    if (reply.next > this.#next) this.#pass(reply.next);
  }

  /** Nothing that is wanted comes before an offset: whoever remembers it need not ask for that again. */
  #pass(following) {
    this.#next = following;
    this.ready.push({ position: this.#at(following - 1) });
  }

  /** Other events have our numbers now. */
  #restart(reply, first, cause) {
    this.#held.clear();
    this.#highest = 0;
    const loss = { node: this.node, start: this.#next, stop: this.#next, cause };
    this.#journal = reply.journal;
    this.#next = first;
    this.ready.push({ position: this.#at(first - 1), loss });
  }

  /** Tell what is held and next. */
  #drain() {
    if (this.#unsure.size || !this.#next) return;
    for (let event; (event = this.#held.get(this.#next)) !== undefined; ) {
      this.#held.delete(this.#next);
      this.#tell(event);
    }
    for (const offset of this.#held.keys()) {
      if (offset < this.#next) {
        this.#held.delete(offset);
        this.repeats += 1;
      }
    }
    if (this.#highest >= this.#next) this.#settled = false;
  }

  #unlinked(event) {
    if (!this.#sessions.has(event.session)) {
      if (this.#next && event.offset < this.#next) {
        const loss = { node: this.node, start: this.#next, stop: this.#next, cause: NEW_SESSION };
        this.ready.push({ position: { journal: "", offset: 0 }, loss });
        this.#next = 1;
      }
      this.#know(event.session);
    }
    if (!this.#next) this.#next = event.offset;
    if (event.offset < this.#next) {
      this.repeats += 1;
      return;
    }
    this.#lose(this.#next, event.offset, NOT_HEARD);
    this.#tell(event);
  }

  #tell(event) {
    this.#next = event.offset + 1;
    this.ready.push({ position: this.#at(event.offset), event });
  }

  #lose(start, stop, cause) {
    if (stop <= this.#next) return;
    const first = Math.max(start, this.#next);
    if (first < stop) {
      this.ready.push({ position: this.#at(stop - 1), loss: { node: this.node, start: first, stop, cause } });
    }
    this.#next = stop;
  }

  #at(offset) {
    return { journal: this.#journal, offset };
  }
}
