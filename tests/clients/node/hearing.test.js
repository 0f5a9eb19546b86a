// A daemon with keys that hears a dog: test_node.py runs it, and says where.

import assert from "node:assert/strict";
import { test } from "node:test";

import { EventStream, Subscriber } from "../../../clients/node/index.js";
import { PATIENCE } from "./daemon.js";

const { PUBLISH: publish, CATCHUP: catchup, KEYS: keys } = process.env;

test("an event, with its evidence", { timeout: 4 * PATIENCE }, async () => {
  for await (const event of new EventStream({ publish, catchup, keys, label: "Animal", timeout: 2 * PATIENCE })) {
    assert.deepEqual([event.node, event.stream, event.phase], ["edge-1", "yard", "start"]);
    const [start, end] = event.evidence.crop;
    assert.equal(end - start, 3 * event.rate);
    assert.ok(event.peak >= 0.5 && event.onset >= 0 && new Date(event.onset_at) < new Date());
    return;
  }
  assert.fail("no event");
});

test("a status, live", { timeout: 4 * PATIENCE }, async () => {
  for await (const message of new Subscriber(publish, { keys, stream: "y*", types: "status", timeout: 2 * PATIENCE })) {
    assert.deepEqual([message.type, message.stream, message.rate], ["status", "yard", 32_000]);
    return;
  }
  assert.fail("no status");
});
