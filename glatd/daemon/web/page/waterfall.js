// The large waterfall of a stream: spectrogram, where the second look went and for which class, and what was told.

import { tone } from "./colourmap.js";
import { h, say } from "./dom.js";
import { clock, hertz } from "./format.js";
import { paints } from "./frame.js";
import { Head } from "./head.js";
import { EventBars, LookBars } from "./marks.js";
import { Sheet } from "./sheet.js";
import { VEILED } from "./store.js";
import { colour, isDark } from "./theme.js";
import { Tiles } from "./tiles.js";

const EVERY_MS = 33;
const LEFT = 38; // CSS pixels of the frequency axis
const AXIS = 20; // of the time axis
const TICKS_S = [1, 2, 5, 10, 15, 30, 60];
const MARKS_HZ = [100, 250, 500, 1000, 2000, 4000, 8000, 12_000];
const FONT = "11px system-ui, sans-serif";

export class Waterfall {
  /**
   * @param {Store} store
   * @param {string} name of the stream
   * @param {(id: string) => void} onEvent an event's bar was chosen
   */
  constructor(store, name, onEvent) {
    this.store = store;
    this.name = name;
    this.seconds = 30; // across
    this.back = 0; // s that the picture stands behind, when it is held
    this.held = NaN; // frame at the right edge, when it is held
    this.looks = new LookBars();
    this.bars = new EventBars();
    this.canvas = h("canvas.waterfall", {
      role: "img", tabIndex: 0, "aria-label": `Live spectrogram of ${name}. Space holds it, arrow keys move it.`,
      onkeydown: (event) => this.onKey(event),
      onpointermove: (event) => this.point(event),
      onpointerleave: () => say(this.readout, ""),
      onclick: (event) => {
        const id = this.bars.at(event.offsetX, event.offsetY);
        if (id) onEvent(id);
      },
    });
    this.readout = h("span.readout.tabular");
    this.sheet = new Sheet(this.canvas);
    this.drawn = "";
    this.forget = paints(this.canvas, (now) => this.paint(now), EVERY_MS);
  }

  close() {
    this.forget();
    this.sheet.close();
  }

  get stream() {
    return this.store.streams.get(this.name);
  }

  get isHeld() {
    return !Number.isNaN(this.held);
  }

  /** Hold the picture, or let it run. */
  hold(held = !this.isHeld) {
    this.held = held ? (this.head?.frame ?? NaN) : NaN;
    this.drawn = "";
    this.onHold?.(this.isHeld);
  }

  /** Show so many seconds. */
  across(seconds) {
    this.seconds = seconds;
    this.tiles = null;
    this.drawn = "";
  }

  onKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (event.key === " ") this.hold();
    else if (step) this.move(step);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Move the held picture by seconds, within what is remembered. */
  move(seconds) {
    const { stream } = this;
    if (!stream?.reach.end) return;
    if (!this.isHeld) this.hold(true);
    const pace = stream.rate / stream.hop;
    const { begin = 0, end } = stream.reach;
    this.held = Math.min(end, Math.max(Math.min(end, begin + this.seconds * pace), this.held + seconds * pace));
    this.drawn = "";
  }

  paint(now) {
    const { stream, sheet } = this;
    if (!stream || !sheet.width) return;
    const pace = stream.rate / stream.hop;
    if (this.tiles?.spectrum !== stream.spectrum) {
      const step = Math.max(1, Math.floor((this.seconds * pace) / (sheet.width * sheet.ratio)));
      this.tiles = new Tiles(stream.spectrum, step);
      this.head = new Head(pace);
      this.held = NaN;
      this.onHold?.(false);
    }
    const live = this.head.follow(stream.reach, now);
    const scale = (sheet.width - LEFT) / (this.seconds * pace); // CSS pixels a frame
    const edge = Math.floor((this.isHeld ? this.held : live) * scale * sheet.ratio);
    const marks = `${stream.tags?.seq} ${this.store.events.size} ${this.looks.glow(stream, now)}`;
    const look = `${edge} ${stream.spectrum.version} ${sheet.changes} ${isDark()} ${marks}`;
    if (look === this.drawn) return;
    this.drawn = look;
    this.draw(stream, edge / scale / sheet.ratio, scale, pace, now);
  }

  draw(stream, to, scale, pace, now) {
    const { sheet } = this;
    const context = sheet.clean();
    const { width, height } = sheet;
    const top = this.looks.height;
    const bottom = height - AXIS - this.bars.height;
    const area = { left: LEFT, right: width, top, bottom, to, scale, hop: stream.hop };
    this.area = { ...area, pace };
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    const { ratio } = sheet;
    const from = to - (width - LEFT) / scale;
    context.beginPath();
    context.rect(LEFT * ratio, top * ratio, (width - LEFT) * ratio, (bottom - top) * ratio);
    context.clip();
    this.tiles.draw(context, from, to, LEFT * ratio, top * ratio, (width - LEFT) * ratio, (bottom - top) * ratio);
    context.restore();
    context.font = FONT;
    context.textBaseline = "middle";
    if (stream.veiled) this.drawVeil(context, area);
    this.drawTime(context, stream, area, from);
    this.drawFrequency(context, area);
    this.looks.draw(context, stream, area, now);
    this.bars.draw(context, this.store, stream, area, height - this.bars.height);
  }

  drawVeil(context, { left, right, top, bottom }) {
    context.fillStyle = colour("raised");
    context.fillRect(left, top, right - left, bottom - top);
    context.fillStyle = colour("soft");
    context.textAlign = "center";
    context.fillText(VEILED, (left + right) / 2, (top + bottom) / 2);
  }

  drawTime(context, stream, { right, bottom, top, to }, from) {
    const begins = stream.momentOf(from * stream.hop);
    const ends = stream.momentOf(to * stream.hop);
    if (Number.isNaN(begins)) return;
    const room = (right - LEFT) / 74;
    const step = 1000 * (TICKS_S.find((s) => this.seconds / s <= room) ?? 60);
    context.textAlign = "center";
    for (let at = Math.ceil(begins / step) * step; at <= ends; at += step) {
      const x = Math.round(LEFT + ((at - begins) / (ends - begins)) * (right - LEFT)) + 0.5;
      context.fillStyle = colour("grid");
      context.fillRect(x - 0.5, top, 1, bottom - top + 4);
      if (x < LEFT + 24 || x > right - 26) continue;
      context.fillStyle = colour("soft");
      context.fillText(clock(at), x, bottom + AXIS / 2 + 2);
    }
  }

  drawFrequency(context, { top, bottom }) {
    const { engine } = this.store;
    const mels = engine?.mels ?? 128;
    const yOf = (bin) => bottom - ((bin + 0.5) / mels) * (bottom - top);
    context.textAlign = "right";
    context.fillStyle = colour("soft");
    let free = Infinity;
    const mark = (bin, text) => {
      const y = yOf(bin);
      if (y > free - 14 || y < top + 6 || y > bottom - 5) return;
      free = y;
      context.fillText(text, LEFT - 8, y);
      context.fillRect(LEFT - 5, Math.round(y), 4, 1);
    };
    if (!engine?.mel_hz) {
      for (let bin = 0; bin < mels; bin += 16) mark(bin, String(bin));
      return;
    }
    for (const wanted of MARKS_HZ) {
      const bin = binOf(engine.mel_hz, wanted);
      if (bin !== null) mark(bin, hertz(wanted));
    }
  }

  point({ offsetX, offsetY }) {
    const { area, stream } = this;
    if (!area || !stream || offsetX < LEFT) return;
    this.canvas.style.cursor = this.bars.at(offsetX, offsetY) ? "pointer" : "default";
    const moment = stream.momentOf((area.to - (area.right - offsetX) / area.scale) * area.hop);
    if (Number.isNaN(moment)) return;
    const mels = this.store.engine?.mels ?? 128;
    const bin = Math.floor(((area.bottom - offsetY) / (area.bottom - area.top)) * mels);
    const hz = this.store.engine?.mel_hz?.[bin];
    const inside = bin >= 0 && bin < mels;
    say(this.readout, `${clock(moment)}${inside ? (hz ? `, ${hertz(hz)} Hz` : `, bin ${bin}`) : ""}`);
  }
}

/** The bin, a fraction, whose centre is at a frequency; null beyond the ends. */
function binOf(centres, hz) {
  for (let bin = 1; bin < centres.length; bin += 1) {
    const [low, high] = [centres[bin - 1], centres[bin]];
    if (low <= hz && hz <= high && high > low) return bin - 1 + (hz - low) / (high - low);
  }
  return null;
}

/** The scale of levels beside the waterfall: a strip of its colours. */
export class LevelScale {
  constructor() {
    this.canvas = h("canvas.scale", { width: 96, height: 8, "aria-hidden": "true" });
    this.element = h("span.levels", {}, "quiet", this.canvas, "loud");
  }

  update() {
    const look = String(isDark());
    if (this.look === look) return;
    this.look = look;
    const context = this.canvas.getContext("2d");
    for (let x = 0; x < 96; x += 1) {
      context.fillStyle = tone(isDark() ? "dark" : "light", x / 95);
      context.fillRect(x, 0, 1, 8);
    }
  }
}
