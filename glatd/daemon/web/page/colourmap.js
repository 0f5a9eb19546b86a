// From a level to a colour: paper and ink in the light theme, night and glow in the dark one.
// Lightness rises (or falls) evenly from end to end, so that the picture reads the same to who sees no colours.

const STOPS = {
  dark: ["#0d1013", "#14273b", "#1d4f66", "#3f8580", "#92b97c", "#f0dc9c", "#fffbe6"],
  light: ["#fbfbf8", "#dfe6e6", "#b3c7cd", "#7c9fb0", "#4a728d", "#254766", "#0b1c33"],
};
const made = new Map();

const parts = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** The 256 colours of a theme as the pixels of an ImageData, which are little-endian RGBA. */
function ramp(theme) {
  if (!made.has(theme)) {
    const stops = STOPS[theme].map(parts);
    const pixels = new Uint32Array(256);
    for (let at = 0; at < 256; at += 1) {
      const place = (at / 255) * (stops.length - 1);
      const index = Math.min(stops.length - 2, Math.floor(place));
      const share = place - index;
      const [r, g, b] = stops[index].map((value, part) => Math.round(value + share * (stops[index + 1][part] - value)));
      pixels[at] = (255 << 24) | (b << 16) | (g << 8) | r;
    }
    made.set(theme, pixels);
  }
  return made.get(theme);
}

/** A pixel for each of the 256 levels, where `low` and what is below is the ground and `high` the full colour. */
export function levels(theme, low, high) {
  const pixels = ramp(theme);
  const table = new Uint32Array(256);
  for (let level = 0; level < 256; level += 1) {
    const share = Math.min(1, Math.max(0, (level - low) / (high - low)));
    table[level] = pixels[Math.round(255 * share)];
  }
  return table;
}

/** CSS colour at a share from 0 to 1, for the scale beside the picture. */
export function tone(theme, share) {
  const pixel = ramp(theme)[Math.round(255 * share)];
  return `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`;
}
