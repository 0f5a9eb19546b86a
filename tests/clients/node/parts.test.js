// Messages, filters, cursors and keys, without a network.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";

import {
  ConfigError, DataError, EventStream, FileCursor, Keys, midsBelow, ProtocolError, readKeys, Subscriber, unpack,
} from "../../../clients/node/index.js";
import { fitting } from "../../../clients/node/lib/glob.js";
import { temporary } from "./daemon.js";

const { encode } = createRequire(new URL("../../../clients/node/index.js", import.meta.url))("@msgpack/msgpack");

const GOLDEN = readFileSync(new URL("../../glatd/messages_v1.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line && !line.startsWith("#"))
  .map((line) => line.split(" "));

test("every message of version 1 is understood", () => {
  for (const [name, hex] of GOLDEN) {
    const message = unpack(Buffer.from(hex, "hex"));
    assert.equal(message.type, name.split(".")[0]);
    assert.ok(message.node === "edge-1" && message.v === 1);
  }
  const event = unpack(Buffer.from(GOLDEN.find(([name]) => name === "event.0")[1], "hex"));
  assert.deepEqual([event.offset, event.phase, event.label, event.onset_at], [41, "start", "Dog", ""]);
});

const EVENT = unpack(Buffer.from(GOLDEN.find(([name]) => name === "event")[1], "hex"));

for (const [what, map, said] of [
  ["a newer version", { ...EVENT, v: 2 }, /version 2 is newer than 1, which this client reads; upgrade/],
  ["no version", { type: "event" }, /version undefined is no number from 1; is this a glatd endpoint/],
  ["a key that is missing", (({ id, ...rest }) => rest)(EVENT), /event lacks the key "id"/],
  ["a value of another kind", { ...EVENT, onset: "x" }, /event.onset is "x", which is no int/],
  ["a number that JavaScript does not hold", { ...EVENT, offset: 2 ** 60 }, /event.offset is .*, which is no int/],
  ["a phase that there is not", { ...EVENT, phase: "go" }, /event.phase is "go", which is no phase/],
  ["no map", [1], /payload is 1, not a map/],
]) {
  test(`${what} is refused`, () => {
    assert.throws(() => unpack(encode(map)), (error) => error instanceof ProtocolError && said.test(error.message));
  });
}

test("bytes that are no message are refused", () => {
  for (const bytes of [[], [0xc1], [0xdf, 255, 255, 255, 255], [0x91]]) {
    assert.throws(() => unpack(Buffer.from(bytes)), ProtocolError);
  }
  assert.throws(() => unpack(Buffer.alloc((1 << 20) + 1)), /longer than 1048576/);
  assert.deepEqual(unpack(encode({ v: 1, type: "weather", rain: true })).rain, true); // of a type to come
});

test("globs are those of Python", () => {
  for (const [glob, fits, not] of [
    ["*", ["", "a/b"], []],
    ["yard*", ["yard", "yard-2"], ["Yard", "backyard"]],
    ["?ard", ["yard", "ßard", "😀ard"], ["ard", "yyard"]],
    ["[a-c]x[!0-9]", ["axb", "cx-"], ["dxb", "ax1"]],
    ["a.b+(c)", ["a.b+(c)"], ["aXb+(c)", "a.bb(c)"]],
    ["[]x]", ["]", "x"], ["[", ""]],
    ["[x", ["[x"], ["x"]],
    ["[!]]", ["x"], ["]"]],
    ["[z-a]", [], ["z", "m", "a"]],
    ["a]{1}\\d", ["a]{1}\\d"], ["a1"]],
  ]) {
    for (const name of fits) assert.ok(fitting(glob)(name), `${glob} ${name}`);
    for (const name of not) assert.ok(!fitting(glob)(name), `${glob} ${name}`);
  }
});

test("a group of the ontology brings what is below it", () => {
  assert.ok(midsBelow("Vehicle").has("/m/07r04")); // Truck
  assert.ok(!midsBelow("Vehicle").has("/m/0bt9lr"));
  assert.deepEqual([...midsBelow("Dog")].includes("/m/05tny_"), true); // Bark
  assert.deepEqual([...midsBelow("own:Village bell")], ["/own/Village bell"]);
  assert.throws(() => midsBelow("Vehicel"), /unknown label or group "Vehicel"; did you mean "Vehicle"\?/);
  assert.throws(() => midsBelow("qqqqqq"), (error) => !error.message.includes("did you mean"));
});

test("a cursor in a file", () => {
  const path = join(temporary(), "cursor");
  const cursor = new FileCursor(path);
  cursor.save("edge-1", { journal: "j", offset: 7 });
  cursor.save("__proto__", { journal: "k", offset: 8 });
  assert.equal(readFileSync(path, "utf8"), '{"edge-1":{"journal":"j","offset":7},"__proto__":{"journal":"k","offset":8}}\n');
  assert.deepEqual(new FileCursor(path).load("__proto__"), { journal: "k", offset: 8 });
  assert.equal(new FileCursor(path).load("edge-2"), undefined);
  for (const text of ["[1]", "{", '{"a": {"journal": 1, "offset": 2}}', "null", '{"a": {"journal": "x", "offset": 0.5}}']) {
    writeFileSync(path, text);
    assert.throws(() => new FileCursor(path), /is no cursor; delete it to hear all that is kept once more/);
  }
  assert.throws(() => new FileCursor(temporary()), DataError);
  assert.throws(() => new FileCursor("/nowhere/cursor").save("a", { journal: "", offset: 1 }), ConfigError);
});

test("keys are read, and never shown", () => {
  const key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"; // of ZeroMQ's documentation
  const path = join(temporary(), "phone.key");
  const write = (text, mode = 0o600) => {
    writeFileSync(path, text);
    chmodSync(path, mode);
  };
  const good = `# Secret\nname = "phone"\npublic = "${key}"\nsecret = "${key}"\nnode = "${key}"\n`;
  write(good);
  const keys = readKeys(path);
  assert.deepEqual([keys.name, keys.public, keys.node], ["phone", key, key]);
  assert.ok(!("secret" in keys) && !inspect(new Keys({ name: "x", public: key, secret: key, node: key })).includes("secret"));
  write(good, 0o644);
  assert.throws(() => readKeys(path), /can be used by other users \(mode 644\); chmod 600/);
  for (const [text, said] of [
    [good.replace('name = "phone"', ""), /has no name; give the file that `glatd keys add` made/],
    [good.replace(/secret = ".{5}/, 'secret = "'), /secret is no key of 40 characters/],
    [good.replace(/secret = ".{5}/, 'secret = "#####'), /secret is no key of 40 characters/],
    [`${good}what is this`, /is no file of keys; make it anew/],
  ]) {
    write(text);
    assert.throws(() => readKeys(path), (error) => said.test(error.message) && !error.message.includes(key.slice(9)));
  }
  assert.throws(() => readKeys("/nowhere/phone.key"), /cannot read the keys .*ENOENT/);
});

for (const [what, make, said] of [
  ["an endpoint", () => new Subscriber("garbage"), /cannot connect to "garbage": .*; give tcp:\/\/HOST:PORT/],
  ["a port", () => new Subscriber("tcp://127.0.0.1:70000"), /there is no port 70000/],
  ["a label", () => new EventStream({ publish: "tcp://127.0.0.1:1", label: "Dgo" }), /did you mean "Dog"/],
  ["a phase", () => new EventStream({ publish: "tcp://127.0.0.1:1", phase: "begin" }), /must be one of start, update/],
  ["a score", () => new EventStream({ publish: "tcp://127.0.0.1:1", least: 2 }), /must be a score from 0 to 1/],
  ["a time", () => new EventStream({ publish: "tcp://127.0.0.1:1", timeout: -1 }), /timeout = -1 must be milliseconds/],
  ["a beginning", () => new EventStream({ publish: "tcp://127.0.0.1:1", fresh: "later" }), /must be "first" or "now"/],
  ["nothing", () => new EventStream({}), /publish must be the endpoint/],
  ["a catch-up", () => new EventStream({ publish: "tcp://127.0.0.1:1", catchup: "x" }), /cannot connect to "x"/],
  ["keys", () => new EventStream({ publish: "tcp://127.0.0.1:1", keys: { a: "b" } }), /keys has none for tcp/],
]) {
  test(`${what} that cannot be is refused at once`, () => {
    assert.throws(make, (error) => error instanceof ConfigError && said.test(error.message));
  });
}
