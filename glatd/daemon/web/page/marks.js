// What is drawn around the spectrogram: a lane for each class that the second look was for, and bars of events.

import { colour, isStill } from "./theme.js";

const LANE = 15; // CSS pixels
const LOOK_LANES = 4;
const EVENT_LANES = 3;
const FRESH_MS = 1200; // for which a new look glows

/** The places that the local network looked at. A class keeps its lane while it is in the picture. */
export class LookBars {
  constructor() {
    this.lanes = new Array(LOOK_LANES).fill(null); // labels
    this.height = LOOK_LANES * LANE + 4;
  }

  /** A number that differs while a new look still glows. */
  glow(stream, now) {
    const newest = stream.crops[stream.crops.length - 1];
    return newest && !isStill() && now - newest.seen < FRESH_MS ? Math.floor(now / 50) : 0;
  }

  draw(context, stream, area, now) {
    const { left, right, to, scale, hop, top, bottom } = area;
    const xOf = (sample) => right - (to - sample / hop) * scale;
    const crops = stream.crops
      .filter((crop) => xOf(crop.end) > left && xOf(crop.start) < right)
      .sort((one, other) => one.start - other.start);
    this.assign(crops);
    const newest = stream.tags?.end;
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, bottom);
    context.clip();
    context.textAlign = "left";
    const until = new Array(LOOK_LANES).fill(-Infinity); // right end of the run in each lane
    for (const crop of crops) {
      const lane = this.lanes.indexOf(crop.label);
      if (lane < 0) continue;
      const [x, end] = [xOf(crop.start), Math.min(right, xOf(crop.end))];
      const y = lane * LANE + 1;
      const current = crop.last === newest; // whether the newest window chose it
      const fresh = isStill() ? 0 : Math.max(0, 1 - (now - crop.seen) / FRESH_MS);
      context.fillStyle = colour("look");
      context.globalAlpha = 0.08 + 0.25 * fresh;
      context.fillRect(x, y, end - x, LANE - 2);
      context.globalAlpha = 0.35 + 0.65 * crop.activation;
      context.fillRect(x, y + LANE - 4, end - x, 2);
      context.globalAlpha = 1;
      if (current) this.frame(context, x, end, top, bottom, fresh);
      if (x > until[lane]) this.name(context, crop.label, Math.max(x, left), y, right);
      until[lane] = Math.max(until[lane], end);
    }
    context.restore();
  }

  /** The look as it lies on the spectrogram. */
  frame(context, x, end, top, bottom, fresh) {
    context.lineWidth = 1;
    context.strokeStyle = colour("ground");
    context.globalAlpha = 0.55;
    context.strokeRect(Math.round(x) - 0.5, top + 0.5, Math.round(end - x) + 2, bottom - top - 1);
    context.globalAlpha = 0.65 + 0.35 * fresh;
    context.strokeStyle = colour("look");
    context.strokeRect(Math.round(x) + 0.5, top + 1.5, Math.round(end - x), bottom - top - 3);
    context.globalAlpha = 1;
  }

  name(context, label, x, y, right) {
    const text = fitted(context, label, Math.max(24, right - x - 6));
    context.fillStyle = colour("ink");
    context.fillText(text, x + 4, y + (LANE - 3) / 2 + 0.5);
  }

  assign(crops) {
    const last = new Map(crops.map((crop) => [crop.label, crop.start]));
    this.lanes = this.lanes.map((label) => (last.has(label) ? label : null));
    for (const label of last.keys()) {
      if (this.lanes.includes(label)) continue;
      const open = this.lanes.indexOf(null);
      if (open >= 0) {
        this.lanes[open] = label;
        continue;
      }
      // The class that was looked for least lately gives way to one that was looked for later.
      const [oldest] = this.lanes.slice().sort((one, other) => last.get(one) - last.get(other));
      if (last.get(oldest) < last.get(label)) this.lanes[this.lanes.indexOf(oldest)] = label;
    }
  }
}

/** Events of the stream, one bar each, as long as the sound was. */
export class EventBars {
  constructor() {
    this.height = EVENT_LANES * (LANE + 2);
    this.places = new Map(); // id -> lane
    this.boxes = []; // {id, x, end, y}
  }

  draw(context, store, stream, area, top) {
    const { left, right, to, scale, hop } = area;
    const xOf = (sample) => right - (to - sample / hop) * scale;
    this.boxes = [];
    const until = new Array(EVENT_LANES).fill(-Infinity);
    context.save();
    context.beginPath();
    context.rect(left, top - 1, right - left, this.height + 2);
    context.clip();
    context.textAlign = "left";
    for (const row of store.events.values()) {
      if (row.stream !== stream.name || row.session !== store.session) continue;
      const x = xOf(row.onset);
      const back = row.phase === "retract"; // it has no end: it never was
      const going = !back && (row.end === null || row.end === undefined);
      const end = back ? x : going ? Math.min(right, xOf(stream.tags?.end ?? row.onset)) : xOf(row.end);
      if (end < left || x > right) continue;
      const lane = this.laneOf(row.id, x, until);
      if (lane < 0) continue;
      const y = top + lane * (LANE + 2);
      const width = Math.max(3, end - x);
      const text = `${row.label} ${row.peak.toFixed(2)}${row.verdict === "rejected" ? " ✗" : row.verdict ? " ✓" : ""}`;
      context.fillStyle = colour(back || row.verdict === "rejected" ? "faint" : "heard");
      context.globalAlpha = back ? 0.35 : 1;
      context.fillRect(x, y, width, 3);
      if (going) context.fillRect(end - 1, y - 1, 2, 5);
      context.globalAlpha = 1;
      context.fillStyle = colour(back ? "faint" : "ink");
      const at = Math.max(x, left);
      context.fillText(text, at, y + 10);
      const wide = context.measureText(text).width;
      if (back) context.fillRect(at, y + 10, wide, 1);
      until[lane] = Math.max(end, at + wide) + 8;
      this.boxes.push({ id: row.id, x: at, end: until[lane], y });
    }
    context.restore();
    for (const id of this.places.keys()) if (!store.events.has(id)) this.places.delete(id);
  }

  /** An event stays in its lane, so that bars do not jump as they leave the picture. */
  laneOf(id, x, until) {
    const known = this.places.get(id);
    if (known !== undefined) return known;
    const lane = until.findIndex((end) => end <= x);
    const taken = lane < 0 ? until.indexOf(Math.min(...until)) : lane;
    this.places.set(id, taken);
    return taken;
  }

  /** The event whose bar is at a place; null where there is none. */
  at(x, y) {
    const box = this.boxes.find((one) => x >= one.x - 2 && x <= one.end && y >= one.y - 2 && y <= one.y + LANE);
    return box?.id ?? null;
  }
}

/** A text that is cut so that it fits. */
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let cut = text;
  while (cut.length > 1 && context.measureText(`${cut}…`).width > width) cut = cut.slice(0, -1);
  return `${cut}…`;
}
