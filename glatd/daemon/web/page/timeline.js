// The scores of chosen classes over time, drawn by uPlot; the place where a threshold is moved.

import uPlot from "./vendor/uPlot.esm.js";
import { get } from "./api.js";
import { h } from "./dom.js";
import { clock, minute } from "./format.js";
import { colour, onTheme } from "./theme.js";

export const MOST_LABELS = 6;
const HEIGHT = 190; // CSS pixels
const LEAST_S = 60; // that are drawn, however little is remembered
const HOLE_S = 12; // without a score, where the line is broken: what a window and its hop do not reach over
const LEFT = 38; // as of the waterfall above it

/** The colour of the n-th class. */
export const lineColour = (index) => colour(`line-${index % MOST_LABELS}`);

export class Timeline {
  /**
   * @param {string} name of the stream
   * @param {() => string[]} labels that are drawn
   * @param {() => number} seconds that are seen
   */
  constructor(name, labels, seconds) {
    this.name = name;
    this.labels = labels;
    this.seconds = seconds;
    this.element = h("div.plot", { role: "img", "aria-label": "Scores of the chosen classes over time" });
    this.times = []; // s since 1970
    this.scores = new Map(); // label -> values
    this.plot = null;
    this.onDraw = () => {};
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(this.element);
    this.forget = onTheme(() => this.build());
  }

  close() {
    this.forget();
    this.observer.disconnect();
    this.asking?.abort();
    this.plot?.destroy();
    this.plot = null;
  }

  /** Ask the daemon for what it remembers, and draw it. */
  async load() {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const labels = this.labels();
    const came = [];
    this.late = came; // scores that come while it answers
    let answer = { time: [], scores: {} };
    if (labels.length) {
      const query = { stream: this.name, label: labels, seconds: this.seconds() };
      answer = await get("/api/timeline", query, asking.signal);
    }
    if (asking.signal.aborted) return;
    this.times = answer.time.map((time) => (typeof time === "number" ? time : Date.parse(time) / 1000));
    this.scores = new Map(labels.map((label) => [label, answer.scores[label] ?? this.times.map(() => null)]));
    this.late = null;
    for (const message of came) this.take(message, false);
    this.build();
  }

  /** One look more. */
  take(message, draw = true) {
    if (message.stream !== this.name) return;
    if (this.late) {
      this.late.push(message);
      return;
    }
    const time = Date.parse(message.time) / 1000;
    if (time <= (this.times.at(-1) ?? 0)) return;
    this.times.push(time);
    for (const [label, values] of this.scores) values.push(message.scores[label] ?? null);
    const oldest = time - this.seconds() - 60;
    const stale = this.times.findIndex((one) => one >= oldest);
    if (stale > 200) {
      this.times.splice(0, stale);
      for (const values of this.scores.values()) values.splice(0, stale);
    }
    if (draw) this.refresh();
  }

  /** s since 1970 at both ends: no more than is remembered, and not less than a minute. */
  range() {
    const end = this.times.at(-1) ?? Date.now() / 1000;
    const first = this.times[0] ?? end;
    return [Math.max(end - this.seconds(), Math.min(first, end - LEAST_S)), end];
  }

  /** As uPlot wants it: times, then values; nulls where nothing was heard. */
  data() {
    const times = [];
    const rows = [...this.scores.values()].map(() => []);
    const from = [...this.scores.values()];
    for (let at = 0; at < this.times.length; at += 1) {
      if (at && this.times[at] - this.times[at - 1] > HOLE_S) {
        times.push(this.times[at - 1] + 0.01);
        for (const row of rows) row.push(null);
      }
      times.push(this.times[at]);
      for (let row = 0; row < rows.length; row += 1) rows[row].push(from[row][at]);
    }
    return [times, ...rows];
  }

  refresh() {
    this.plot?.setData(this.data());
  }

  fit() {
    const { clientWidth } = this.element;
    if (clientWidth && !this.plot) this.build();
    else if (clientWidth && this.plot.width !== clientWidth) this.plot.setSize({ width: clientWidth, height: HEIGHT });
  }

  build() {
    const width = this.element.clientWidth;
    if (!width) return;
    this.plot?.destroy();
    const font = "11px system-ui, sans-serif";
    const axis = { stroke: colour("soft"), font, ticks: { stroke: colour("line"), size: 4 } };
    const series = [...this.scores.keys()].map((label, index) => ({
      label, stroke: lineColour(index), width: 1.5, points: { show: false }, spanGaps: false,
    }));
    this.plot = new uPlot({
      width, height: HEIGHT, series: [{}, ...series], legend: { show: false },
      padding: [8, 0, 0, 0],
      scales: { x: { time: true, range: () => this.range() }, y: { range: [0, 1] } },
      axes: [
        { ...axis, size: 24, space: 80, grid: { show: false }, values: (_, ticks) => this.ticks(ticks) },
        { ...axis, size: LEFT, grid: { stroke: colour("grid"), width: 1 }, splits: [0, 0.25, 0.5, 0.75, 1],
          values: (_, ticks) => ticks.map((tick) => tick.toFixed(2).replace(/0$/, "")) },
      ],
      cursor: { drag: { x: false, y: false }, points: { size: 6 }, y: false },
      hooks: {
        draw: [() => this.onDraw()],
        setCursor: [(plot) => this.onCursor?.(plot.cursor.idx, plot)],
      },
    }, this.data(), this.element);
    this.onBuild?.(this.plot);
  }

  ticks(ticks) {
    const near = ticks.length > 1 && ticks[1] - ticks[0] < 60;
    return ticks.map((tick) => (near ? clock(tick * 1000) : minute(tick * 1000)));
  }
}
