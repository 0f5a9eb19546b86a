// The order of events, whatever comes when: a daemon that is killed, drops, forgets and begins anew, made up.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Joiner, NEW_JOURNAL, NEW_SESSION, NOT_HEARD, WENT_BACK } from "../../../clients/node/lib/joiner.js";

/** A daemon's journal, as its catch-up tells it. */
class Node {
  session = "s1";
  events = new Map();
  last = 0;
  first = 1;

  constructor(journal = "j1") {
    this.journal = journal;
  }

  publish() {
    this.last += 1;
    const event = { offset: this.last, session: this.session };
    this.events.set(this.last, event);
    return event;
  }

  reply(from, limit) {
    const found = [...this.events.values()].filter((event) => event.offset >= from).slice(0, limit);
    const full = found.length === limit && limit > 0 && found.at(-1).offset < this.last;
    const next = limit === 0 ? from : full ? found.at(-1).offset + 1 : Math.max(from, this.last + 1);
    const holes = from < Math.min(this.first, next) ? [[from, Math.min(this.first, next), "removed"]] : [];
    return { node: "n", journal: this.journal, first: this.first, last: this.last, next, holes, events: found };
  }
}

/** Offsets of events, and losses, that were ready; the positions fit them. */
function told(joiner) {
  const found = [];
  for (const { position, event, loss } of joiner.ready.splice(0)) {
    if (loss) {
      found.push([loss.start, loss.stop, loss.cause]);
      assert.ok(loss.start === loss.stop || position.offset === loss.stop - 1);
    } else if (event) {
      found.push(event.offset);
      assert.equal(position.offset, event.offset);
    }
  }
  return found;
}

/** Ask until nothing is missing. */
function settle(joiner, node, limit = 3) {
  joiner.look();
  for (let asked = 0; asked < 10_000; asked++) {
    const wanted = joiner.wanted();
    if (wanted === undefined) return;
    joiner.reply(node.reply(wanted.from, wanted.limit ?? limit), wanted.from, joiner.epoch);
  }
  assert.fail("asks for ever");
}

const many = (count, start = 1) => Array.from({ length: count }, (_, index) => start + index);

function nodeWith(count, journal) {
  const node = new Node(journal);
  for (const _ of many(count)) node.publish();
  return node;
}

test("live and missed events join", () => {
  const node = nodeWith(5);
  const joiner = new Joiner("n", { journal: "j1", offset: 2 });
  assert.deepEqual(joiner.wanted(), { from: 3 });
  joiner.live(node.publish());
  joiner.live(node.publish());
  assert.deepEqual(told(joiner), []); // 3 to 5 are to come first
  settle(joiner, node);
  assert.deepEqual(told(joiner), [3, 4, 5, 6, 7]);
  joiner.live(node.publish());
  assert.deepEqual(told(joiner), [8]); // at once
  node.publish(); // dropped on the way
  joiner.live(node.publish());
  assert.deepEqual([told(joiner), joiner.wanted()], [[], { from: 9 }]);
  settle(joiner, node);
  assert.deepEqual(told(joiner), [9, 10]);
});

test("a new node begins with all that is kept, or with what comes", () => {
  const node = nodeWith(9);
  for (const offset of many(4)) node.events.delete(offset);
  node.first = 5;
  const [first, now] = [new Joiner("n"), new Joiner("n", undefined, "now")];
  assert.deepEqual([first.wanted(), first.isNew], [{ from: 1, limit: 0 }, true]);
  settle(first, node);
  settle(now, node);
  assert.deepEqual([told(first), told(now)], [[5, 6, 7, 8, 9], []]);
  now.live(node.publish());
  settle(now, node);
  assert.deepEqual(told(now), [10]);
});

test("what is lost is told in its place", () => {
  const joiner = new Joiner("n", { journal: "j1", offset: 0 });
  const holes = [[2, 4, "a"], [6, 7, "b"], [9, 10, "c"]];
  const events = [1, 4, 5, 8].map((offset) => ({ offset, session: "s1" }));
  joiner.reply({ node: "n", journal: "j1", first: 1, last: 9, next: 10, holes, events }, 1, 0);
  assert.deepEqual(told(joiner), [1, [2, 4, "a"], 4, 5, [6, 7, "b"], 8, [9, 10, "c"]]);
});

test("a new journal and one that went back are told", () => {
  const anew = nodeWith(3, "j2");
  const joiner = new Joiner("n", { journal: "j1", offset: 50 });
  settle(joiner, anew);
  assert.deepEqual(told(joiner), [[51, 51, NEW_JOURNAL], 1, 2, 3]);
  const back = new Joiner("n", { journal: "j2", offset: 50 });
  settle(back, anew);
  anew.publish();
  settle(back, anew);
  assert.deepEqual(told(back), [[51, 51, WENT_BACK], 4]);
});

test("numbers of a new session are not trusted until the node is asked", () => {
  const node = new Node();
  const joiner = new Joiner("n", { journal: "j1", offset: 0 });
  for (const _ of many(3)) joiner.live(node.publish());
  settle(joiner, node);
  assert.deepEqual(told(joiner), [1, 2, 3]);
  const [old, epoch] = [node.reply(4, 3), joiner.epoch];
  const anew = new Node("j2");
  anew.session = "s2";
  for (const _ of many(3)) anew.publish();
  joiner.live(anew.publish()); // by chance with the next number
  assert.deepEqual([told(joiner), joiner.epoch], [[], epoch + 1]);
  joiner.reply(old, 4, epoch); // of the daemon that is gone: void
  assert.deepEqual(told(joiner), []);
  settle(joiner, anew);
  assert.deepEqual(told(joiner), [[4, 4, NEW_JOURNAL], 1, 2, 3, 4]);
});

test("without a catch-up what is missed is told", () => {
  const joiner = new Joiner("n", undefined, "first", false);
  for (const offset of [7, 8, 8, 11]) joiner.live({ offset, session: "s1" });
  joiner.live({ offset: 3, session: "s2" });
  assert.deepEqual(told(joiner), [7, 8, [9, 11, NOT_HEARD], 11, [12, 12, NEW_SESSION], [1, 3, NOT_HEARD], 3]);
  const waiting = new Joiner("n");
  for (const offset of [5, 4, 7]) waiting.live({ offset, session: "s1" });
  assert.deepEqual(told(waiting), []);
  waiting.unlink();
  assert.deepEqual([told(waiting), joiner.repeats], [[4, 5, [6, 7, NOT_HEARD], 7], 1]);
});

test("memory is bounded while a hole is filled", () => {
  const node = new Node();
  const joiner = new Joiner("n", { journal: "j1", offset: 0 });
  settle(joiner, node);
  node.publish();
  for (const _ of many(3000)) joiner.live(node.publish());
  settle(joiner, node, 1000);
  assert.deepEqual(told(joiner), many(3001));
});

test("every event once and in order, whatever happens", () => {
  const STEPS = ["publish", "drop", "late", "ask", "answer", "look", "restart", "again"];
  let state = 1;
  const random = (below) => (state = (state * 48_271) % 2_147_483_647) % below; // the same runs each time
  for (const run of many(500)) {
    const node = nodeWith(3);
    const cursor = run % 5;
    const joiner = new Joiner("n", cursor < 4 ? { journal: "j1", offset: cursor } : undefined);
    const limit = 1 + random(4);
    const way = []; // published and not delivered yet: a slow reader, one reconnection
    const asked = [];
    const steps = many(random(120)).map(() => STEPS[random(STEPS.length)]);
    for (const step of steps) {
      const wanted = joiner.wanted();
      if (step === "publish") joiner.live(node.publish());
      else if (step === "drop") node.publish();
      else if (step === "late") way.push(node.publish());
      else if (step === "again" && way.length) joiner.live(way.shift());
      else if (step === "look") joiner.look();
      else if (step === "ask" && wanted && !asked.length) {
        asked.push([node.reply(wanted.from, wanted.limit ?? limit), wanted.from, joiner.epoch]);
      } else if (step === "answer" && asked.length) joiner.reply(...asked.pop());
      else if (step === "restart") node.session += "+";
    }
    for (const late of way) joiner.live(late);
    settle(joiner, node, limit);
    const from = cursor < 4 ? cursor + 1 : 1;
    assert.deepEqual(told(joiner), many(node.last + 1 - from, from), `${limit} ${cursor} ${steps}`);
  }
});
