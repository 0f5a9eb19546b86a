// Numbers and times as people read them. Times are shown in the browser's own zone, 24 hours a day.

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const COUNT = new Intl.NumberFormat("en-GB");

/** 14:03:21. @param {number} ms since 1970 */
export const clock = (ms) => CLOCK.format(ms);

/** 14:03. */
export const minute = (ms) => MINUTE.format(ms);

/** 14:03:21 of today, "3 Feb 14:03:21" of other days. */
export function moment(ms) {
  const today = new Date().toDateString() === new Date(ms).toDateString();
  return today ? clock(ms) : `${DAY.format(ms)} ${clock(ms)}`;
}

/** 0.91. */
export const score = (value) => (Number.isFinite(value) ? value.toFixed(2) : "–");

/** -31 dB; digital silence has no level. */
export const level = (dbfs) => (dbfs <= -119.9 ? "silence" : `${Math.round(dbfs)} dB`.replace("-", "−"));

/** "−12.4 ppm", by which a clock is slow; empty while that is not known. */
export const drift = (ppm) => (Number.isFinite(ppm) ? `${ppm.toFixed(1)} ppm`.replace("-", "−") : "");

/** 12,345. */
export const count = (value) => COUNT.format(value);

/** "4.2 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". @param {number} s */
export function span(s) {
  if (!Number.isFinite(s)) return "–";
  if (s < 60) return `${s.toFixed(s < 10 ? 1 : 0)} s`;
  const whole = Math.round(s);
  if (whole < 3600) return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  const minutes = Math.round(whole / 60);
  if (minutes < 2880) return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** "1 event", "2 events". */
export const many = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

/** 850 Hz, 1.2 kHz. */
export const hertz = (value) => (value < 1000 ? `${Math.round(value)}` : `${+(value / 1000).toFixed(1)}k`);
