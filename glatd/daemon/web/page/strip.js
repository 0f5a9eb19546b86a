// The small waterfall of a stream in the overview: the last seconds, and a line under what was told.

import { h } from "./dom.js";
import { paints } from "./frame.js";
import { Head } from "./head.js";
import { Sheet } from "./sheet.js";
import { VEILED } from "./store.js";
import { colour, isDark } from "./theme.js";
import { Tiles } from "./tiles.js";

export const STRIP_S = 30;
const EVERY_MS = 100; // a strip moves some 13 pixels a second
const LINE = 3; // CSS pixels of the line of events

export class Strip {
  /**
   * @param {Store} store
   * @param {string} name of the stream
   */
  constructor(store, name) {
    this.store = store;
    this.name = name;
    this.canvas = h("canvas.strip", { role: "img", "aria-label": `Spectrogram of ${name}, the last ${STRIP_S} seconds` });
    this.sheet = new Sheet(this.canvas);
    this.drawn = "";
    this.forget = paints(this.canvas, (now) => this.paint(now), EVERY_MS);
  }

  close() {
    this.forget();
    this.sheet.close();
  }

  paint(now) {
    const stream = this.store.streams.get(this.name);
    const { sheet } = this;
    if (!stream || !sheet.width || !stream.reach.end) return;
    const pace = stream.rate / stream.hop;
    if (this.tiles?.spectrum !== stream.spectrum) {
      this.tiles = new Tiles(stream.spectrum, Math.max(1, Math.round((STRIP_S * pace) / 400)));
      this.head = new Head(pace);
    }
    const scale = (sheet.width * sheet.ratio) / (STRIP_S * pace); // pixels a frame
    const head = this.head.follow(stream.reach, now);
    const place = Math.floor(head * scale);
    const look = `${place} ${stream.spectrum.version} ${sheet.changes} ${isDark()}`;
    if (look === this.drawn) return;
    this.drawn = look;
    const context = sheet.clean();
    context.setTransform(1, 0, 0, 1, 0, 0);
    const { width, height } = this.canvas;
    const line = Math.round(LINE * sheet.ratio);
    // The edge in whole pixels: the picture does not swim under its own grid.
    const to = place / scale;
    this.tiles.draw(context, to - width / scale, to, 0, 0, width, height - line - 1);
    if (stream.veiled) {
      context.fillStyle = colour("soft");
      context.font = `${11 * sheet.ratio}px system-ui, sans-serif`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(VEILED, width / 2, height / 2, width);
    }
    context.fillStyle = colour("heard");
    for (const row of this.store.events.values()) {
      if (row.stream !== this.name || row.session !== this.store.session || row.phase === "retract") continue;
      const left = width - (to - row.onset / stream.hop) * scale;
      const right = row.end === null ? width : width - (to - row.end / stream.hop) * scale;
      if (right > 0 && left < width) context.fillRect(left, height - line, Math.max(2, right - left), line);
    }
  }
}
