// What this page knows of the node: messages in, rows out. Everything that is drawn reads from here.

import { Spectrum } from "./spectrum.js";

const MOST_EVENTS = 500; // that are remembered of this session of the page
const CROPS_S = 130; // for which crops are remembered
const OVER = ["ended", "stopped", "failed"];
const SEVERITY = { failed: 3, stalled: 3, reconnecting: 3, silent: 2, starting: 1, stopped: 1, muted: 1, ended: 1 };

export const VEILED = "speech is kept in: no spectrogram";

/** One stream: its last messages, its crops, and where its samples lie in time. */
export class Stream {
  constructor(name, engine) {
    this.name = name;
    this.status = null;
    this.tags = null;
    this.why = ""; // of its state, as was told when it changed
    this.rules = {};
    this.veiled = false; // whether speech is kept in, and with it the spectrogram
    this.crops = []; // {label, start, end, activation, seen}, the newest last
    this.anchor = null; // a sample, and when it was heard: ms since 1970
    this.spectrum = new Spectrum(engine?.mels || 128);
    this.rate = engine?.rate || 32_000;
    this.hop = Math.round((engine?.frame_s || 0.01) * this.rate); // samples a frame
  }

  get state() {
    return this.status?.state ?? "starting";
  }

  get over() {
    return OVER.includes(this.state);
  }

  /** 0 when all is well, 3 when nothing can be heard. */
  get severity() {
    return SEVERITY[this.state] ?? (this.status?.findings?.length ? 2 : 0);
  }

  /** What is wrong, in a few words; empty when all is well. */
  get trouble() {
    const findings = (this.status?.findings ?? []).join("; ");
    if (["live", "starting", "muted", "ended"].includes(this.state)) return findings;
    // Errors name the source first, which stands beside it already.
    const why = this.why.startsWith(`${this.status.uri}: `) ? this.why.slice(this.status.uri.length + 2) : this.why;
    return why || findings;
  }

  /** Up to which frame something is known, for what moves with it: by frames, or by windows where there are none. */
  get reach() {
    if (this.spectrum.data || !this.tags) return this.spectrum;
    return { end: Math.floor(this.tags.end / this.hop), chunk: 100 };
  }

  /** The moment of a sample, ms since 1970; NaN before anything was heard. */
  momentOf(sample) {
    return this.anchor ? this.anchor.ms + ((sample - this.anchor.sample) / this.rate) * 1000 : NaN;
  }

  /** The sample of a moment. */
  sampleAt(ms) {
    return this.anchor ? this.anchor.sample + ((ms - this.anchor.ms) / 1000) * this.rate : NaN;
  }

  takeStatus(status) {
    if (status.state !== this.status?.state || status.reason) this.why = status.reason;
    this.status = status;
  }

  takeTags(tags) {
    this.tags = tags;
    this.anchor = { sample: tags.end, ms: Date.parse(tags.time) };
    const now = performance.now();
    for (const crop of tags.crops) {
      const known = this.crops.find((one) => one.start === crop.start && one.label === crop.label);
      if (known) known.last = tags.end;
      else this.crops.push({ ...crop, seen: now, last: tags.end });
    }
    const oldest = tags.end - CROPS_S * this.rate;
    if (this.crops.length && this.crops[0].end < oldest) this.crops = this.crops.filter((crop) => crop.end >= oldest);
  }
}

/** The node: engine, streams, events; listeners are told what has changed. */
export class Store {
  constructor() {
    this.node = "";
    this.session = "";
    this.version = "";
    this.engine = null;
    this.labels = [];
    this.web = {};
    this.streams = new Map();
    this.events = new Map(); // by id, the oldest first
    this.nodeStatus = null;
    this.missed = 0;
    this.listeners = new Map();
  }

  /** Be told of: hello, restart, streams, tags, event, scores, node, verdict. Returns what ends it. */
  on(kind, listener) {
    const set = this.listeners.get(kind) ?? this.listeners.set(kind, new Set()).get(kind);
    set.add(listener);
    return () => set.delete(listener);
  }

  emit(kind, value) {
    for (const listener of [...(this.listeners.get(kind) ?? [])]) listener(value);
  }

  /** Streams by trouble-free name order. */
  get names() {
    return [...this.streams.keys()].sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
  }

  takeState(state) {
    // What was counted in samples of the last run means nothing in this one, and what another engine said neither.
    const restarted =
      this.session && (this.session !== state.session || this.engine?.hash !== state.engine?.hash);
    if (restarted) this.streams.clear();
    const { node, session, version, engine, web } = state;
    Object.assign(this, { node, session, version, engine, web: web ?? {} });
    this.labels = state.labels ?? [];
    const there = new Set();
    for (const status of state.streams ?? []) {
      there.add(status.stream);
      const stream = this.stream(status.stream);
      stream.takeStatus(status);
      stream.rules = status.rules ?? {};
      stream.veiled = Boolean(status.veiled);
    }
    for (const name of this.streams.keys()) if (!there.has(name)) this.streams.delete(name);
    if (state.node_status) this.nodeStatus = state.node_status;
    if (restarted) this.emit("restart");
    this.emit("hello", state);
    this.emit("streams");
    this.emit("node");
  }

  stream(name) {
    let stream = this.streams.get(name);
    if (!stream) {
      stream = new Stream(name, this.engine);
      this.streams.set(name, stream);
    }
    return stream;
  }

  /** Learn from a message of /live. */
  take(message) {
    switch (message.type) {
      case "hello":
        return this.takeState(message);
      case "status":
        return this.takeStatus(message);
      case "tags":
        this.stream(message.stream).takeTags(message);
        return this.emit("tags", message);
      case "event":
        return this.takeEvent(rowOf(message));
      case "node":
        this.nodeStatus = message;
        return this.emit("node", message);
      case "missed":
        this.missed += message.count;
        return undefined;
      case "scores":
      case "verdict":
      case "gap":
        if (message.type === "verdict") this.takeVerdict(message);
        return this.emit(message.type, message);
      default:
        return undefined; // a newer daemon says more than this page knows
    }
  }

  takeStatus(status) {
    if (OVER.includes(status.state) && status.reason === "removed") {
      this.streams.delete(status.stream);
      return this.emit("streams");
    }
    const fresh = !this.streams.has(status.stream);
    this.stream(status.stream).takeStatus(status);
    this.emit("streams");
    if (fresh) this.emit("added", status.stream);
    return undefined;
  }

  /** A row of an event: from the journal, or made of a message. */
  takeEvent(row) {
    const known = this.events.get(row.id);
    const merged = known ? { ...known, ...row, offset: known.offset, verdict: row.verdict ?? known.verdict } : row;
    this.events.set(row.id, merged);
    while (this.events.size > MOST_EVENTS) this.events.delete(this.events.keys().next().value);
    this.emit("event", merged);
  }

  /** Rows that were asked for, to be drawn on pictures too; nobody is told of them as news. */
  know(rows) {
    for (const row of rows.slice().reverse()) if (!this.events.has(row.id)) this.events.set(row.id, row);
  }

  takeVerdict({ id, verdict, note }) {
    const row = this.events.get(id);
    if (row) this.events.set(id, { ...row, verdict, note });
  }

  takeSpectrum(data) {
    const view = new DataView(data);
    if (view.getUint8(0) !== 1) return;
    const length = view.getUint8(1);
    const name = new TextDecoder().decode(new Uint8Array(data, 2, length));
    let at = 2 + length;
    const first = Number(view.getBigInt64(at, true));
    const frames = view.getUint16(at + 8, true);
    const mels = view.getUint16(at + 10, true);
    at += 12;
    const stream = this.streams.get(name);
    if (stream && frames) stream.spectrum.add(first, frames, mels, new Uint8Array(data, at, frames * mels));
  }
}

/** The row of an event from a message of it; `end` is in samples as `onset` is. */
function rowOf(message) {
  const { offset_time, ...row } = message;
  // undefined would overwrite what is known of a verdict; a message of the wire has none.
  return { ...row, end: offset_time, clip: Boolean(message.evidence?.clip) };
}

/** When an event began and ended, ms since 1970; the end is NaN while it goes on. */
export function momentsOf(row) {
  const onset = Date.parse(row.onset_at || row.time);
  const known = row.end !== null && row.end !== undefined;
  const end = row.offset_at ? Date.parse(row.offset_at) : onset + ((row.end - row.onset) / (row.rate || 32_000)) * 1000;
  return { onset, end: known ? end : NaN };
}

/** Seconds that an event lasted; NaN while it goes on. */
export const lengthOf = (row) =>
  row.end === null || row.end === undefined ? NaN : (row.end - row.onset) / (row.rate || 32_000);
