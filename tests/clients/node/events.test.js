// EventStream and Subscriber against the real journal, publisher and catch-up.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { EventStream, FileCursor, MemoryCursor, Subscriber } from "../../../clients/node/index.js";
import { Daemon, freeEndpoint, PATIENCE, python, temporary } from "./daemon.js";

const LIMIT = 4 * PATIENCE; // ms for a test

const tests = [];
const test = (what, body) => tests.push([what, body]);

/** A stream that gives up after a while. */
const listen = ({ publish, catchup }, options = {}) =>
  new EventStream({ publish, catchup, timeout: PATIENCE, ...options });

/** Offsets of the next events. */
async function take(events, count) {
  const offsets = [];
  while (offsets.length < count) {
    const { value, done } = await events.next();
    assert.ok(!done, `ended after ${offsets}`);
    offsets.push(value.offset);
  }
  return offsets;
}

const many = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

test("what was missed comes first, then what is live, and what was dropped is asked for", async (t) => {
  const daemon = await Daemon.start(t);
  await daemon.do("say", 2500);
  const events = listen(daemon);
  t.after(() => events.close());
  assert.deepEqual(await take(events, 2500), many(1, 2500));
  await daemon.do("say", 1);
  assert.deepEqual(await take(events, 1), [2501]);
  await daemon.do("say", 5, "yard", "Dog", false);
  await daemon.do("say", 1); // which tells that there is a hole
  assert.deepEqual(await take(events, 6), many(2502, 2507));
  await daemon.do("say", 3, "yard", "Dog", false); // of which nothing tells
  assert.deepEqual(await take(events, 3), many(2508, 2510));
  assert.deepEqual((await events.position("edge-1")).offset, 2510);
});

test("a kill of the daemon, a new session, and a journal that was deleted", async (t) => {
  const daemon = await Daemon.start(t);
  const losses = [];
  const events = listen(daemon, { lost: (loss) => losses.push(loss) });
  t.after(() => events.close());
  await daemon.do("say", 3);
  assert.deepEqual(await take(events, 3), [1, 2, 3]);
  await daemon.do("say", 2, "yard", "Dog", false);
  await daemon.kill();
  await daemon.restart();
  await daemon.do("say", 2);
  assert.deepEqual(await take(events, 4), [4, 5, 6, 7]);
  assert.deepEqual(losses, []);
  await daemon.do("close");
  await daemon.do("forget");
  await daemon.do("open", "s2");
  await daemon.do("say", 5);
  assert.deepEqual(await take(events, 5), [1, 2, 3, 4, 5]);
  assert.deepEqual(losses, [{ node: "edge-1", start: 8, stop: 8, cause: "the node began a new journal" }]);
});

test("a cursor in a file goes on where it was, also for Python", async (t) => {
  const daemon = await Daemon.start(t);
  const path = join(temporary(), "cursor");
  await daemon.do("say", 10);
  for await (const event of listen(daemon, { cursor: new FileCursor(path) })) {
    if (event.offset === 4) break; // in hand: it may not have been dealt with
  }
  assert.equal(JSON.parse(readFileSync(path, "utf8"))["edge-1"].offset, 3);
  const again = listen(daemon, { cursor: new FileCursor(path) });
  assert.deepEqual(await take(again, 2), [4, 5]);
  await again.save();
  await again.close();
  const program =
    "import sys; from glatd.clients.cursor import FileCursor; from glatd.clients.events import EventStream\n" +
    "with EventStream(*sys.argv[1:3], FileCursor(sys.argv[3]), timeout=1.0) as events: print([e.offset for e in events])";
  assert.equal((await python("-c", program, daemon.publish, daemon.catchup, path)).trim(), "[6, 7, 8, 9, 10]");
  assert.equal(new FileCursor(path).load("edge-1").offset, 10);
});

test("the application saves by itself", async (t) => {
  const daemon = await Daemon.start(t);
  await daemon.do("say", 6);
  const cursor = new MemoryCursor();
  const slow = { load: async (node) => cursor.load(node), save: async (node, position) => cursor.save(node, position) };
  const events = listen(daemon, { cursor: slow, saves: false });
  await take(events, 3);
  await events.save();
  await take(events, 2);
  await events.close();
  assert.equal(cursor.load("edge-1").offset, 3);
});

test("filters by stream, label, what is below it, phase and score", async (t) => {
  const daemon = await Daemon.start(t);
  for (const _ of [1, 2, 3]) {
    await daemon.do("say", 1, "yard", "Dog");
    await daemon.do("say", 1, "gate", "Truck");
    await daemon.do("say", 1, "yard-2", "Car");
  }
  const cursor = new MemoryCursor();
  const vehicles = listen(daemon, { label: "Vehicle", cursor });
  assert.deepEqual(await take(vehicles, 6), [2, 3, 5, 6, 8, 9]);
  await daemon.do("say", 2, "yard", "Dog");
  await daemon.do("say", 1, "yard", "Truck");
  assert.deepEqual(await take(vehicles, 1), [12]);
  await vehicles.close();
  await daemon.do("say", 2, "yard", "Dog");
  assert.equal((await listen(daemon, { label: "Vehicle", cursor, phase: "start", timeout: 3000 }).next()).done, true);
  assert.equal(cursor.load("edge-1").offset, 14); // also past what was not asked for
  const some = listen(daemon, { stream: ["yard", "yard-*"], label: ["Dog", "Car"] });
  assert.deepEqual(await take(some, 10), [1, 3, 4, 6, 7, 9, 10, 11, 13, 14]);
  await some.close();
  for (const options of [{ phase: ["start", "retract"] }, { least: 0.95 }, { stream: "Yard" }]) {
    assert.equal((await listen(daemon, { timeout: 1000, ...options }).next()).done, true);
  }
});

test("several nodes, each with a place of its own", async (t) => {
  const nodes = await Promise.all(["a", "b", "c"].map((name) => Daemon.start(t, name)));
  for (const [index, node] of nodes.entries()) await node.do("say", 10 + index);
  const cursor = new MemoryCursor();
  const publish = nodes.map((node) => node.publish);
  const catchup = nodes.map((node) => node.catchup).reverse();
  const events = new EventStream({ publish, catchup, cursor, timeout: PATIENCE });
  const heard = { a: [], b: [], c: [] };
  const read = async (count) => {
    for (const _ of many(1, count)) {
      const { value } = await events.next();
      heard[value.node].push(value.offset);
    }
  };
  await read(33);
  await nodes[1].do("say", 2, "yard", "Dog", false);
  await nodes[1].kill();
  await nodes[0].do("say", 1);
  await nodes[1].restart();
  await nodes[1].do("say", 1);
  await read(4);
  await events.save();
  await events.close();
  assert.deepEqual(heard, { a: many(1, 11), b: many(1, 14), c: many(1, 12) });
  assert.deepEqual(["a", "b", "c"].map((name) => cursor.load(name).offset), [11, 14, 12]);
});

test("a node with keys, one that asks for none, and a key that is taken back", async (t) => {
  const ring = join(temporary(), "keys");
  await python("-m", "glatd.cli", "keys", "init", "--dir", ring);
  for (const [name, rights] of [["door", "subscribe"], ["robot", "control"]]) {
    await python("-m", "glatd.cli", "keys", "add", name, "--rights", rights, "--dir", ring);
  }
  const [good, other] = [join(ring, "door.key"), join(ring, "robot.key")];
  const [daemon, open] = await Promise.all([Daemon.start(t, "edge-1", ring), Daemon.start(t, "edge-2")]);
  await daemon.do("say", 3);
  const events = listen(daemon, { keys: good });
  t.after(() => events.close());
  assert.deepEqual(await take(events, 3), [1, 2, 3]);
  for (const [keys, said] of [[other, /refuses "robot": its key is unknown or revoked/], [undefined, /asks for keys/]]) {
    await assert.rejects(listen(daemon, { keys }).next(), said);
    await assert.rejects(new Subscriber(daemon.publish, { keys, timeout: PATIENCE }).next(), said);
  }
  await assert.rejects(listen(open, { keys: good }).next(), /has no keys, so nobody could tell who it is/);
  const both = [daemon, open];
  const mixed = new EventStream({
    publish: both.map((node) => node.publish), catchup: both.map((node) => node.catchup), timeout: PATIENCE,
    keys: { [daemon.publish]: good, [daemon.catchup]: good, [open.publish]: undefined, [open.catchup]: undefined },
  });
  await open.do("say", 1);
  assert.equal((await take(mixed, 4)).length, 4);
  await mixed.close();
  await daemon.do("revoke", "door");
  await assert.rejects(async () => {
    for await (const _ of events);
  }, /refuses "door"/);
});

test("another node behind the same address is told apart", async (t) => {
  const [mine, other] = [join(temporary(), "mine"), join(temporary(), "other")];
  for (const ring of [mine, other]) {
    await python("-m", "glatd.cli", "keys", "init", "--dir", ring);
    await python("-m", "glatd.cli", "keys", "add", "door", "--dir", ring);
  }
  const daemon = await Daemon.start(t, "edge-1", mine);
  const events = listen(daemon, { keys: join(other, "door.key") });
  await assert.rejects(events.next(), /is another node than the one that the keys of "door" are for/);
  await events.close();
});

test("tags as they come, of a class and all below it", async (t) => {
  const daemon = await Daemon.start(t);
  const messages = new Subscriber(daemon.publish, { types: "tags", label: "Animal", timeout: PATIENCE });
  let over = false;
  const heard = (async () => {
    for await (const message of messages) return message;
  })().finally(() => (over = true));
  while (!over) await daemon.do("tag", "Speech", "Dog", "Car"); // until the subscription is heard
  const message = await heard;
  assert.deepEqual([message.type, message.tags.map((tag) => tag.label)], ["tags", ["Dog"]]);
  assert.deepEqual(await messages.next(), { value: undefined, done: true }); // closed, as the loop was left
});

test("what is live alone comes without a hole", async (t) => {
  const daemon = await Daemon.start(t);
  const events = listen(daemon, { catchup: [], lost: (loss) => assert.fail(loss.cause) });
  const messages = new Subscriber(daemon.publish, { types: ["event", "tags"], timeout: PATIENCE });
  t.after(() => [events.close(), messages.close()]);
  let begun = false;
  const first = take(events, 1).finally(() => (begun = true));
  while (!begun) await daemon.do("say", 1);
  let { value } = await messages.next();
  for (const count of [1, 2, 50]) await daemon.do("say", count);
  const last = await daemon.do("say", 3000);
  const [from] = await first;
  assert.deepEqual(await take(events, last - from), many(from + 1, last));
  while (value.offset < last) {
    const { value: next } = await messages.next();
    assert.equal(next.offset, value.offset + 1);
    value = next;
  }
  for (const _ of many(1, 3)) await daemon.do("tag", "Dog");
  for (const _ of many(1, 3)) assert.equal((await messages.next()).value.type, "tags");
  assert.equal(messages.missed, 0);
});

test("stopping, time-outs and a signal", async (t) => {
  const daemon = await Daemon.start(t);
  for (const make of [
    (options) => listen(daemon, { timeout: undefined, ...options }),
    (options) => new Subscriber(daemon.publish, options),
  ]) {
    const stopped = make({});
    setTimeout(() => stopped.stop(), 100);
    assert.equal((await stopped.next()).done, true);
    await stopped.close();
    await stopped.close();
    assert.equal((await make({ timeout: 0 }).next()).done, true);
    assert.equal((await make({ signal: AbortSignal.timeout(100) }).next()).done, true);
    assert.equal((await make({ signal: AbortSignal.abort() }).next()).done, true);
  }
  const events = listen(daemon, { timeout: 200 });
  const first = events.next();
  await assert.rejects(events.next(), /is being awaited already/);
  assert.equal((await first).done, true);
});

test("a process ends by itself when its streams are closed", async (t) => {
  const daemon = await Daemon.start(t);
  await daemon.do("say", 1);
  const url = new URL("../../../clients/node/index.js", import.meta.url);
  const program = `
    import { EventStream, Subscriber } from ${JSON.stringify(url)};
    const [publish, catchup] = ${JSON.stringify([daemon.publish, daemon.catchup])};
    new Subscriber(publish).close();
    for await (const event of new EventStream({ publish, catchup })) { console.log(event.offset); break; }`;
  const { execFile } = await import("node:child_process");
  const command = [process.execPath, ["--input-type=module", "--eval", program], { timeout: PATIENCE }];
  const said = await new Promise((resolve, reject) => {
    execFile(...command, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
  assert.equal(said, "1\n");
});

test("a catch-up that never answers is done without", async (t) => {
  const daemon = await Daemon.start(t);
  const nobody = await freeEndpoint();
  const events = listen({ publish: daemon.publish, catchup: nobody }, { lost: (loss) => assert.fail(loss.cause) });
  t.after(() => events.close());
  const taken = take(events, 2); // live, after it was waited for 5 s
  let over = false;
  taken.finally(() => (over = true)).catch(() => {});
  while (!over) {
    await daemon.do("say", 1);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const [first, second] = await taken;
  assert.equal(second, first + 1);
});

// Several at once: each has daemons of its own, and most of them wait.
describe("clients", { concurrency: 4 }, () => {
  for (const [what, body] of tests) it(what, { timeout: LIMIT }, body);
});
