// Pictures of a spectrogram in tiles that are drawn once: a frame of animation only moves them.

import { levels } from "./colourmap.js";
import { isDark } from "./theme.js";

const COLUMNS = 128; // a tile

export class Tiles {
  /**
   * @param {Spectrum} spectrum
   * @param {number} step frames a column; their mean is drawn
   */
  constructor(spectrum, step) {
    this.spectrum = spectrum;
    this.step = step;
    this.tiles = new Map();
    this.look = ""; // of what has been drawn
  }

  /** Draw frames [from, to) into a rectangle of a canvas, in its own pixels; frames that are not there stay open. */
  draw(context, from, to, x, y, width, height) {
    const { spectrum, step } = this;
    this.check();
    if (!spectrum.data) return;
    const span = step * COLUMNS;
    const scale = width / (to - from);
    const first = Math.floor(Math.max(from, spectrum.begin) / span);
    const last = Math.floor((Math.min(to, spectrum.end) - 1) / span);
    context.imageSmoothingEnabled = true;
    for (let index = first; index <= last; index += 1) {
      const tile = this.tile(index);
      if (!tile.columns) continue;
      // Whole pixels: two neighbours leave no seam.
      const left = Math.round(x + (index * span - from) * scale);
      const right = Math.round(x + (index * span + tile.columns * step - from) * scale);
      context.drawImage(tile.canvas, 0, 0, tile.columns, spectrum.mels, left, y, right - left, height);
    }
    for (const index of this.tiles.keys()) if (index < first - 1) this.tiles.delete(index);
  }

  /** Forget all tiles if they show other levels, colours or frames than there are. */
  check() {
    const { version, low, high } = this.spectrum;
    const look = `${version} ${isDark()}`;
    if (look === this.look) return;
    this.look = look;
    this.tiles.clear();
    this.table = levels(isDark() ? "dark" : "light", low, high);
  }

  tile(index) {
    let tile = this.tiles.get(index);
    if (!tile) {
      const canvas = document.createElement("canvas");
      canvas.width = COLUMNS;
      canvas.height = this.spectrum.mels;
      tile = { canvas, context: canvas.getContext("2d"), columns: 0 };
      this.tiles.set(index, tile);
    }
    if (tile.columns < COLUMNS) this.extend(tile, index);
    return tile;
  }

  /** Draw the columns that have come since. */
  extend(tile, index) {
    const { spectrum, step } = this;
    const start = index * COLUMNS;
    const ready = Math.min(COLUMNS, Math.floor(spectrum.end / step) - start);
    const fresh = ready - tile.columns;
    if (fresh <= 0) return;
    const { mels } = spectrum;
    const image = new ImageData(fresh, mels);
    const pixels = new Uint32Array(image.data.buffer);
    const sums = new Uint32Array(mels);
    for (let column = 0; column < fresh; column += 1) {
      sums.fill(0);
      let frames = 0;
      const frame = (start + tile.columns + column) * step;
      for (let at = frame; at < frame + step; at += 1) {
        if (!spectrum.has(at)) continue;
        frames += 1;
        const place = spectrum.placeOf(at);
        for (let mel = 0; mel < mels; mel += 1) sums[mel] += spectrum.data[place + mel];
      }
      if (!frames) continue;
      for (let mel = 0; mel < mels; mel += 1) {
        pixels[(mels - 1 - mel) * fresh + column] = this.table[Math.round(sums[mel] / frames)];
      }
    }
    tile.context.putImageData(image, tile.columns, 0);
    tile.columns = ready;
  }
}
