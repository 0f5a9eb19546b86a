/**
 * What glatd says: messages of version 1, as they stand on the wire.
 *
 * A message travels as two frames: the topic `<type>/<node>/<stream>/`, and one msgpack map. Readers ignore keys and
 * types that they do not know; a greater version is an error that says so.
 */

import { decode } from "@msgpack/msgpack";

import { ProtocolError } from "./errors.js";

export const VERSION = 1;
export const MAX_PAYLOAD = 1 << 20; // bytes; all 527 classes take 60 kB
export const PHASES = ["start", "update", "end", "retract"];

const HEADER = { node: "str", session: "str", stream: "str", time: "str" };
const TAG = { label: "str", mid: "str", score: "float", global: "float", local: "float" };
const CROP = { label: "str", start: "int", end: "int", activation: "float" };

/** Of each type, its keys and what they hold; `absent` may be missing and are then so. */
export const TYPES = {
  tags: {
    keys: {
      ...HEADER, seq: "int", start: "int", end: "int", rate: "int", filled: "float", level_dbfs: "float",
      engine: "str", tags: [TAG], crops: [CROP], quiet: "bool",
    },
    absent: { quiet: false },
  },
  event: {
    keys: {
      ...HEADER, offset: "int", id: "str", phase: "phase", label: "str", mid: "str", rate: "int", onset: "int",
      offset_time: "int?", peak: "float", mean: "float", evidence: "map", cause: "str", onset_at: "str",
      offset_at: "str",
    },
    absent: { onset_at: "", offset_at: "" },
  },
  gap: { keys: { ...HEADER, start: "int", end: "int", rate: "int", cause: "str" }, absent: {} },
  status: {
    keys: {
      ...HEADER, state: "str", uri: "str", engine: "str", rate: "int", samples: "int", lost: "int", windows: "int",
      late_ms: "float", reason: "str", findings: ["str"], drift_ppm: "float?", connections: "int", repeated: "int",
      skipped: "int", dropped: "int", quiet: "int",
    },
    absent: {
      reason: "", findings: [], drift_ppm: null, connections: 0, repeated: 0, skipped: 0, dropped: 0, quiet: 0,
    },
  },
  node: {
    keys: {
      ...HEADER, engine: "str", streams: "int", live: "int", windows: "int", late_ms: "float", policy: "str",
      level: "int", steps: "int", crops: "int", hops: "int", skipped: "int", dropped: "int", quiet: "int",
      memory_mb: "float", uptime: "float", trouble: "str", looked: "int", known: "int", swaps: "int",
      shadow: "str", shadow_windows: "int", shadow_dropped: "int", shadow_top5: "float", shadow_mean: "float",
      shadow_max: "float", shadow_decisions: "int",
    },
    absent: {
      trouble: "", looked: 0, known: 0, swaps: 0, shadow: "", shadow_windows: 0, shadow_dropped: 0, shadow_top5: 0,
      shadow_mean: 0, shadow_max: 0, shadow_decisions: 0,
    },
  },
};

const KINDS = {
  str: (value) => typeof value === "string",
  int: Number.isSafeInteger,
  float: Number.isFinite,
  bool: (value) => typeof value === "boolean",
  map: isMap,
  phase: (value) => PHASES.includes(value),
};

/** Whether a value is a msgpack map. */
export function isMap(value) {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** @param {string} type @param {string} [node] @param {string} [stream] @returns {string} a topic, or a prefix of it */
export function topic(type, node = "", stream = "") {
  const parts = [type, node, stream].filter(Boolean);
  return parts.length ? `${parts.join("/")}/` : "";
}

/** What msgpack bytes hold. */
export function unpacked(payload, what) {
  try {
    return decode(payload);
  } catch (error) {
    throw new ProtocolError(`${what} of ${payload.length} bytes is no msgpack: ${error.message}`);
  }
}

/** The message in a payload; one of a type that is not known is given as it is. */
export function unpack(payload) {
  if (payload.length > MAX_PAYLOAD) {
    throw new ProtocolError(`payload of ${payload.length} bytes is longer than ${MAX_PAYLOAD}`);
  }
  return fromMap(unpacked(payload, "payload"));
}

/** The message in two frames. */
export function fromFrames(frames) {
  if (frames.length !== 2) {
    throw new ProtocolError(
      `a message of ${frames.length} frames, not topic and payload; is this a glatd endpoint?`,
    );
  }
  return unpack(frames[1]);
}

/** A map, held to what its type must have. */
export function fromMap(map) {
  if (!isMap(map)) throw new ProtocolError(`payload is ${shown(map)}, not a map`);
  if (!Number.isInteger(map.v) || map.v < 1) {
    throw new ProtocolError(`message version ${shown(map.v)} is no number from 1; is this a glatd endpoint?`);
  }
  if (map.v > VERSION) {
    throw new ProtocolError(
      `message version ${map.v} is newer than ${VERSION}, which this client reads; upgrade glatd-client`,
    );
  }
  if (typeof map.type !== "string") throw new ProtocolError(`message type ${shown(map.type)} is no text`);
  if (!Object.hasOwn(TYPES, map.type)) return map;
  const { keys, absent } = TYPES[map.type];
  const message = { ...absent, ...map };
  check(keys, message, map.type);
  return message;
}

function check(keys, map, where) {
  if (!isMap(map)) throw new ProtocolError(`${where} is ${shown(map)}, not a map`);
  for (const key in keys) {
    if (!Object.hasOwn(map, key)) throw new ProtocolError(`${where} lacks the key "${key}"`);
    checkValue(keys[key], map[key], `${where}.${key}`);
  }
}

function checkValue(kind, value, where) {
  if (Array.isArray(kind)) {
    if (!Array.isArray(value)) throw new ProtocolError(`${where} is ${shown(value)}, which is no array`);
    for (const each of value) {
      if (typeof kind[0] === "string") checkValue(kind[0], each, where);
      else check(kind[0], each, where);
    }
  } else if (kind.endsWith("?")) {
    if (value !== null) checkValue(kind.slice(0, -1), value, where);
  } else if (!KINDS[kind](value)) {
    throw new ProtocolError(`${where} is ${shown(value)}, which is no ${kind}`);
  }
}

/** A value in an error, not longer than a line. */
export function shown(value) {
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
