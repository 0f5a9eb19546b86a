// One stream: its waterfall, the scores of chosen classes with a threshold to move, what it hears now, its events.

import { get } from "./api.js";
import { fill, h, keep, put, say } from "./dom.js";
import { EventList } from "./events.js";
import { facts } from "./evidence.js";
import { count, drift, level, score, span } from "./format.js";
import { Hearing } from "./hearing.js";
import { choose } from "./picker.js";
import { onTheme } from "./theme.js";
import { lineColour, MOST_LABELS, Timeline } from "./timeline.js";
import { LevelScale, Waterfall } from "./waterfall.js";

const ACROSS_S = [10, 30, 60];
const SPANS = [[300, "5 min"], [900, "15 min"], [3600, "1 h"], [7200, "2 h"]];
const FIRST_LABELS = 3; // that are drawn before anyone has chosen
const SHOWN = 0.05; // score below which a class is not listed

export class StreamView {
  /**
   * @param {App} app
   * @param {string} name of the stream
   */
  constructor(app, name) {
    this.app = app;
    this.store = app.store;
    this.name = name;
    this.title = name;
    this.labels = app.remembered(`labels.${name}`, []);
    this.focus = this.labels[0] ?? null;
    this.seconds = app.remembered("span", 900);
    this.waterfall = new Waterfall(this.store, name, (id) => this.events.show(id));
    this.waterfall.across(app.remembered("across", 30));
    this.scale = new LevelScale();
    this.timeline = new Timeline(name, () => this.labels, () => this.seconds);
    this.hearing = new Hearing(this.store, this.timeline);
    this.timeline.onCursor = (index) => this.showValues(index);
    this.events = new EventList(this.store, app.verdicts, { stream: false, name: `Events of ${name}`, most: 60 });
    this.build();
    this.scale.update();
    this.ends = [
      this.store.on("streams", () => this.update()),
      this.store.on("tags", (tags) => tags.stream === name && this.heard(tags)),
      this.store.on("scores", (scores) => {
        this.timeline.take(scores);
        this.showValues(this.timeline.plot?.cursor.idx);
      }),
      this.store.on("event", (row) => {
        if (row.stream !== name) return;
        this.events.take([row]);
        this.hearing.onEvent(row);
      }),
      this.store.on("hello", () => this.begin()),
      this.store.on("access", () => this.update()),
      onTheme(() => {
        this.drawChips();
        this.scale.update();
      }),
    ];
    this.update();
    this.begin();
  }

  close() {
    for (const end of this.ends) end();
    this.waterfall.close();
    this.timeline.close();
    this.hearing.close();
    this.events.close();
    this.audio?.pause();
  }

  get stream() {
    return this.store.streams.get(this.name);
  }

  build() {
    this.dot = h("i.dot", { "aria-hidden": "true" });
    this.state = h("span.state");
    this.trouble = h("span.trouble");
    this.loud = h("span.tabular.soft");
    this.listening = h("button.small", { type: "button", hidden: true, onclick: () => this.listen() }, "Listen");
    this.hold = h("button.small", { type: "button", "aria-pressed": "false", onclick: () => this.waterfall.hold() }, "Hold");
    this.waterfall.onHold = (held) => {
      this.hold.setAttribute("aria-pressed", String(held));
      say(this.hold, held ? "Let it run" : "Hold");
    };
    const across = choose("Seconds across", ACROSS_S.map((s) => [s, `${s} s`]), this.waterfall.seconds, (s) => {
      this.app.remember("across", s);
      this.waterfall.across(s);
    });
    const spans = choose("Time that is shown", SPANS, this.seconds, (s) => {
      this.app.remember("span", s);
      this.seconds = s;
      void this.reload();
      if (this.focus) void this.hearing.ask();
    });
    this.looks = h("p.unseen");
    this.chips = h("ul.chips", { "aria-label": "Classes that are drawn" });
    this.adding = h("input.add", { type: "text", list: "all-labels", placeholder: "Add a class", "aria-label": "Add a class",
      onchange: () => this.onAdd(), onkeydown: (event) => event.key === "Escape" && this.adding.blur() });
    this.now = h("ol.now", { "aria-label": "What it hears now" });
    this.more = h("div.more");
    this.wrong = h("p.bad", { role: "alert" });
    this.element = h("div.stream-view", {},
      h("div.title-line", {}, h("h1", {}, this.dot, this.name), this.state, this.loud, this.trouble, h("span.push"), this.listening),
      h("section.picture", { "aria-label": "Waterfall" },
        h("div.tools", {}, across, this.hold, this.scale.element, h("span.push"), this.waterfall.readout),
        this.waterfall.canvas, this.looks),
      h("section.scores", { "aria-labelledby": "scores-title" },
        h("div.tools", {}, h("h2", { id: "scores-title" }, "What does it hear"), spans),
        h("div.tools", {}, this.chips, this.adding),
        this.wrong, this.timeline.element, this.hearing.element),
      h("aside.side-part", {},
        h("section", { "aria-labelledby": "now-title" }, h("div.title-line", {}, h("h2", { id: "now-title" }, "Now"), h("span.key.soft", {}, h("i.key-global"), "whole 10 s ", h("i.key-local"), "second look")), this.now),
        h("section", { "aria-labelledby": "its-title" }, h("div.title-line", {}, h("h2", { id: "its-title" }, "Events"), h("a", { href: `#/events?stream=${encodeURIComponent(this.name)}` }, "all")), this.events.element),
        h("section", { "aria-labelledby": "source-title" }, h("h2", { id: "source-title" }, "Source"), this.more)));
  }

  /** After the daemon has said hello, for the first time or once more. */
  begin() {
    if (!this.store.session) return;
    this.choose_();
    this.watch();
    void this.reload();
    void this.loadEvents();
  }

  watch() {
    this.app.watch([this.name], this.labels);
  }

  async loadEvents() {
    try {
      const { events } = await get("/api/events", { stream: this.name, limit: 60 });
      this.events.take(events);
      this.store.know(events);
      if (!this.labels.length) {
        this.choose_();
        this.watch();
        void this.reload();
      }
    } catch (error) {
      say(this.events.trouble, error.message);
    }
  }

  /** Before anyone has chosen, the classes are those of its events, then those that it hears. */
  choose_() {
    if (this.labels.length) return this.drawChips();
    const told = [...this.store.events.values()].filter((row) => row.stream === this.name).map((row) => row.label);
    const heard = (this.stream?.tags?.tags ?? []).map((tag) => tag.label);
    this.labels = [...new Set([...told.reverse(), ...heard])].slice(0, FIRST_LABELS);
    this.focus = this.labels[0] ?? null;
    return this.drawChips();
  }

  async reload() {
    try {
      await this.timeline.load();
      say(this.wrong, "");
    } catch (error) {
      if (error.name !== "AbortError") say(this.wrong, error.message);
    }
    this.showValues(null);
    if (this.hearing.label !== this.focus) this.hearing.choose(this.focus);
  }

  setLabels(labels, focus) {
    this.labels = labels;
    this.focus = labels.includes(focus) ? focus : (labels[0] ?? null);
    this.app.remember(`labels.${this.name}`, labels);
    this.drawChips();
    this.watch();
    void this.reload();
  }

  onAdd() {
    const wanted = this.adding.value.trim().toLowerCase();
    const found = this.store.labels.find(({ label }) => label.toLowerCase() === wanted);
    if (!wanted) return;
    if (!found) return say(this.wrong, `there is no class ${this.adding.value}; choose one of the list`);
    this.adding.value = "";
    this.addLabel(found.label);
  }

  addLabel(label) {
    say(this.wrong, "");
    const others = this.labels.filter((one) => one !== label);
    const kept = this.labels.includes(label) ? this.labels : [...others.slice(-(MOST_LABELS - 1)), label];
    this.setLabels(kept, label);
  }

  drawChips() {
    fill(this.chips, this.labels.map((label, index) => h("li.chip", { data: { on: String(label === this.focus) }, style: { "--line-color": lineColour(index) } },
      h("button.chip-name", { type: "button", "aria-pressed": String(label === this.focus), title: "Move its threshold",
        onclick: () => {
          this.focus = label;
          this.hearing.choose(label);
          this.drawChips();
          this.showValues(null);
          this.hearing.line.focus();
        } }, h("i.line", { "aria-hidden": "true" }), label, " ", h("span.chip-value.tabular")),
      h("button.chip-off", { type: "button", "aria-label": `Leave ${label} out`,
        onclick: () => this.setLabels(this.labels.filter((one) => one !== label), this.focus) }, "×"))));
  }

  showValues(index) {
    const at = index ?? this.timeline.times.length - 1;
    const data = this.timeline.plot?.data;
    [...this.chips.querySelectorAll(".chip-value")].forEach((element, row) => {
      const value = index === null || index === undefined ? this.timeline.scores.get(this.labels[row])?.[at] : data?.[row + 1]?.[index];
      say(element, Number.isFinite(value) ? score(value) : "");
    });
  }

  heard(tags) {
    say(this.loud, level(tags.level_dbfs));
    if (this.hearing.isWaiting) void this.hearing.ask();
    say(this.looks, `Looked at twice in the last 10 s for: ${[...new Set(tags.crops.map((crop) => crop.label))].join(", ") || "nothing"}.`);
    if (!this.labels.length && tags.tags.length) {
      this.choose_();
      this.watch();
      void this.reload();
    }
    const shown = tags.tags.filter((tag) => tag.score >= SHOWN).slice(0, 10);
    const kept = keep(this.now, shown.map((tag) => tag.label), (label) => h("li", {},
      h("button", { type: "button", title: "Draw it, and move its threshold", onclick: () => this.addLabel(label) },
        h("span.tag-name", {}, label), h("span.tag-score.tabular"),
        h("span.tag-bar", { "aria-hidden": "true" }, h("i"), h("b.key-global"), h("b.key-local")))));
    for (const tag of shown) {
      const item = kept.get(tag.label);
      item.dataset.loud = String(tag.score >= 0.5);
      say(item.querySelector(".tag-score"), score(tag.score));
      item.querySelector("i").style.setProperty("width", `${100 * tag.score}%`);
      item.querySelector(".key-global").style.setProperty("left", `${100 * tag.global}%`);
      item.querySelector(".key-local").style.setProperty("left", `${100 * tag.local}%`);
    }
    if (tags.quiet) fill(this.now, h("li.soft", {}, "quiet: the level gate keeps the networks from looking"));
  }

  update() {
    const { stream } = this;
    if (!stream?.status) {
      say(this.state, this.store.session ? "there is no such stream" : "");
      return;
    }
    const { status } = stream;
    this.element.dataset.severity = stream.severity;
    say(this.state, stream.state);
    say(this.trouble, stream.trouble);
    if (stream.tags) this.heard(stream.tags);
    const s = (samples) => span(samples / status.rate);
    const some = (value, text) => (value ? text : null);
    fill(this.more, facts(
      ["from", status.uri],
      ["heard", s(status.samples)],
      ["lost", some(status.lost, s(status.lost))],
      ["late", `${Math.round(status.late_ms)} ms`],
      ["windows", count(status.windows)],
      ["not looked at", some(status.skipped + status.dropped, `${count(status.skipped + status.dropped)} (overload)`)],
      ["quiet", some(status.quiet, count(status.quiet))],
      ["opened", `${count(status.connections)} ×`],
      ["clock", drift(status.drift_ppm)]));
    this.listening.hidden = !this.store.web.listen;
    this.app.offerLabels();
  }

  /** Hear the stream as it is now, where the daemon allows it. */
  async listen() {
    if (this.audio) {
      this.audio.pause();
      this.audio.removeAttribute("src");
      this.audio.load();
      this.audio = null;
      return say(this.listening, "Listen");
    }
    if (!(await this.app.verdicts.enter())) return undefined;
    this.audio = h("audio", { src: `/api/listen?stream=${encodeURIComponent(this.name)}`, autoplay: true,
      onerror: () => this.audio && say(this.wrong, "it cannot be listened to now") });
    put(this.element, this.audio);
    return say(this.listening, "Stop listening");
  }

  onKey(key) {
    if (this.events.onKey(key)) return true;
    if (key === " ") this.waterfall.hold();
    else if (key === "m") this.hearing.line.focus();
    else if (key === "a") this.adding.focus();
    else if (key === "[" || key === "]") this.app.neighbour(this.name, key === "]" ? 1 : -1);
    else return this.app.walk(key, [...this.events.list.querySelectorAll(".event-head")]);
    return true;
  }
}
