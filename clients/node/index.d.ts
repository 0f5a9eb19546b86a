/** Subscribe to glatd from Node: see README.md. Positions are samples at `rate` since the start of the stream. */

interface Header {
  v: 1;
  node: string;
  session: string; // id of this run of the daemon
  stream: string; // "" for the node itself
  time: string; // UTC, RFC 3339 with microseconds
}

/** One class in a window. */
export interface Tag {
  label: string;
  mid: string;
  score: number; // fused, 0 to 1
  global: number; // of the 10 s stream
  local: number; // of the crops
}

/** One place that the local stream looked at, and the class that it was chosen for. */
export interface Crop {
  label: string;
  start: number;
  end: number; // exclusive
  activation: number; // 0 to 1
}

/** What a window of 10 s holds; one a hop and stream. */
export interface Tags extends Header {
  type: "tags";
  seq: number; // windows published of this stream, from 0 without a hole
  start: number; // negative in the first 10 s of a stream
  end: number; // exclusive
  rate: number; // Hz
  filled: number; // share of the window that is real audio
  level_dbfs: number; // RMS of the newest hop
  engine: string;
  tags: Tag[]; // by falling score
  crops: Crop[];
  quiet: boolean; // whether the level gate kept the networks from looking
}

export type Phase = "start" | "update" | "end" | "retract";

/** The piece of audio that says most for an event, and the scores there. */
export interface Evidence {
  crop?: [start: number, end: number];
  global?: number;
  local?: number;
  fused?: number;
  chosen_for?: string;
  [key: string]: unknown;
}

/** A sound that began, goes on, ended, or was not confirmed. */
export interface Event extends Header {
  type: "event";
  offset: number; // number in the node's journal
  id: string;
  phase: Phase;
  label: string;
  mid: string;
  rate: number; // Hz
  onset: number; // a later message of the event may know better
  offset_time: number | null; // null while it goes on
  peak: number; // best score of the windows that hold it
  mean: number; // of these scores
  evidence: Evidence;
  cause: string; // of an end that is not the sound's own, and of a retraction
  onset_at: string; // UTC, RFC 3339
  offset_at: string; // "" while it goes on
}

/** Audio that was lost: samples [start, end) are digital silence in the windows. */
export interface Gap extends Header {
  type: "gap";
  start: number;
  end: number;
  rate: number;
  cause: string;
}

/** How a stream fares. */
export interface Status extends Header {
  type: "status";
  state: string; // starting, live, silent, stalled, reconnecting, muted, ended, failed, stopped
  uri: string;
  engine: string;
  rate: number;
  samples: number;
  lost: number;
  windows: number;
  late_ms: number;
  reason: string;
  findings: string[];
  drift_ppm: number | null;
  connections: number;
  repeated: number;
  skipped: number;
  dropped: number;
  quiet: number;
}

/** How the node fares. */
export interface NodeStatus extends Header {
  type: "node";
  engine: string;
  streams: number;
  live: number;
  windows: number;
  late_ms: number;
  policy: string;
  level: number;
  steps: number;
  crops: number;
  hops: number;
  skipped: number;
  dropped: number;
  quiet: number;
  memory_mb: number;
  uptime: number;
  trouble: string;
  looked: number; // crops that the local network looked at
  known: number; // crops whose scores were known already
  swaps: number; // engines that took over from the one before
  shadow: string; // hash of the engine that is compared with the live one; "" for none
  shadow_windows: number; // that both have looked at
  shadow_dropped: number; // that the shadow had no time for
  shadow_top5: number; // share of the five highest classes that both name
  shadow_mean: number; // difference of a score
  shadow_max: number; // difference of a score
  shadow_decisions: number; // windows and classes where one is above its threshold and the other below
}

export type Message = Tags | Event | Gap | Status | NodeStatus;
export type MessageType = Message["type"];

/** The message in a payload. One of a type that this version does not know is given as it is: leave it alone. */
export function unpack(payload: Uint8Array): Message;

/** The last event of a node that was dealt with. */
export interface Position {
  journal: string; // id of the node's sequence of offsets; "" where it is not known
  offset: number;
}

/** A place to remember positions in: a file, a table of your database ... */
export interface Cursor {
  load(node: string): Position | null | undefined | Promise<Position | null | undefined>;
  save(node: string, position: Position): void | Promise<void>;
}

/** Remembers nothing beyond its own life. */
export class MemoryCursor implements Cursor {
  load(node: string): Position | undefined;
  save(node: string, position: Position): void;
}

/** A small JSON file, replaced as a whole: a kill leaves the old one or the new one. */
export class FileCursor implements Cursor {
  /** @throws {DataError} there is a file, and it is no cursor */
  constructor(path: string);
  load(node: string): Position | undefined;
  save(node: string, position: Position): void;
}

/** Keys of a client, each 40 characters of Z85. */
export class Keys {
  constructor(keys: { name: string; public: string; secret: string; node: string });
  readonly name: string;
  readonly public: string;
  readonly node: string; // the node's public key
}

/** The keys of a file that `glatd keys add` made. @throws {ConfigError} */
export function readKeys(path: string | URL): Keys;

export type KeysOption = string | URL | Keys;

export interface Filters {
  /** Glob of the streams that are wanted, or several: "yard*". */
  stream?: string | string[];
  /** A class or a group of AudioSet's ontology, or several: "Vehicle" brings "Truck". */
  label?: string | string[];
  /** Of events: the phases that are wanted; all without. */
  phase?: Phase | Phase[];
  /** Least score, 0 to 1: `peak` of an event, `score` of a tag. */
  least?: number;
}

export interface SubscriberOptions extends Filters {
  /** Types of messages; all without. */
  types?: MessageType | MessageType[];
  /** Milliseconds of quiet after which iteration ends. */
  timeout?: number;
  /** Of this client, or the file that `glatd keys add` made for it. */
  keys?: KeysOption;
  signal?: AbortSignal;
}

/** Messages of a node, live. Closed when a `for await` over it is over, however that came. */
export class Subscriber implements AsyncIterableIterator<Message> {
  /** @throws {ConfigError} an endpoint, label or key that cannot be */
  constructor(endpoint: string, options?: SubscriberOptions);
  /** Windows that were dropped on the way. */
  missed: number;
  /** @throws {ConfigError} the node refuses this client @throws {ProtocolError} bytes that are no message */
  next(): Promise<IteratorResult<Message, undefined>>;
  return(): Promise<IteratorResult<Message, undefined>>;
  stop(): void;
  close(): void;
  [Symbol.asyncIterator](): this;
}

/** Events that will not come: offsets [start, stop) of a node. None at all where it is not known how many. */
export interface Loss {
  node: string;
  start: number;
  stop: number;
  cause: string;
}

export interface EventStreamOptions extends Filters {
  /** Where the nodes publish, one endpoint or several; or a hub's. */
  publish: string | string[];
  /** Where they answer who was away (`catchup` in glatd.toml), in any order. */
  catchup?: string | string[];
  /** Where to go on; without one, what `fresh` says. */
  cursor?: Cursor;
  /** Where a node begins that is not in the cursor: "first" with all that it keeps, "now" with what comes. */
  fresh?: "first" | "now";
  /** Whether the cursor is saved here; false where you call `save` in a transaction of your own. */
  saves?: boolean;
  /** Told of events that will not come; by default they are warned of. */
  lost?: (loss: Loss) => void | Promise<void>;
  /** Told what is wrong and may mend itself; console.warn by default. */
  warn?: (text: string) => void;
  /** Milliseconds of quiet after which iteration ends. */
  timeout?: number;
  /** Of this client, the file that `glatd keys add` made for it, or one of them for each endpoint. */
  keys?: KeysOption | Record<string, KeysOption>;
  signal?: AbortSignal;
}

/** Events, in the order of each node's journal, without a hole or a repeat. Closed when a `for await` over it is over. */
export class EventStream implements AsyncIterableIterator<Event> {
  /** @throws {ConfigError} an endpoint, label or key that cannot be */
  constructor(options: EventStreamOptions);
  /** Events that came more than once and were dropped. */
  readonly repeats: number;
  /** Where a node stands with the event that was given last, or before. */
  position(node: string): Promise<Position | undefined>;
  /** Save the cursor, the event that was given last included: it has been dealt with. */
  save(): Promise<void>;
  /** @throws {ConfigError} a node refuses this client @throws {ProtocolError} bytes that are no message */
  next(): Promise<IteratorResult<Event, undefined>>;
  return(): Promise<IteratorResult<Event, undefined>>;
  stop(): void;
  close(): Promise<void>;
  [Symbol.asyncIterator](): this;
}

/** Machine ids of a class or a group by display name, and of all below it. @throws {ConfigError} */
export function midsBelow(name: string): Set<string>;

export class GlatdError extends Error {}
/** An argument, endpoint, key or file that cannot be used; or a node that refuses this client. */
export class ConfigError extends GlatdError {}
/** Bytes that are no message of glatd's, or of a newer version. */
export class ProtocolError extends GlatdError {}
/** A file that is there and is not what it should be. */
export class DataError extends GlatdError {}
