// All streams at a glance: a line each, with its state, level, last seconds and what it hears now; and the last events.

import { h, keep, put, say } from "./dom.js";
import { EventList } from "./events.js";
import { get } from "./api.js";
import { level, many, score, span } from "./format.js";
import { isSeen, onSeen } from "./frame.js";
import { STRIP_S, Strip } from "./strip.js";

const TAGS = 3;
const SHOWN = 0.1; // score below which a class is not named
const QUIETEST = -80; // dBFS, of the level's bar

export class Overview {
  /**
   * @param {App} app
   */
  constructor(app) {
    this.app = app;
    this.store = app.store;
    this.title = "Streams";
    this.strips = new Map();
    this.lines = new Map(); // name -> parts of its line
    this.sum = h("p.sum.tabular");
    this.list = h("ul.streams", { "aria-label": "Streams" });
    this.empty = h("p.empty", { hidden: true }, "No stream yet. Add one with --source, a [[source]] of glatd.toml, or glatd control.");
    this.events = new EventList(this.store, app.verdicts, { name: "Last events", most: 40 });
    this.element = h("div.overview", {},
      h("section.main-part", { "aria-labelledby": "streams-title" },
        h("div.title-line", {}, h("h1", { id: "streams-title" }, "Streams"), this.sum),
        h("div.streams-head", { "aria-hidden": "true" }, h("span", {}, "source"), h("span", {}, "level"), h("span", {}, `last ${STRIP_S} s`), h("span", {}, "hears now")),
        this.list, this.empty),
      h("section.side-part", { "aria-labelledby": "last-title" },
        h("div.title-line", {}, h("h2", { id: "last-title" }, "Last events"), h("a", { href: "#/events" }, "all")),
        this.events.element));
    this.ends = [
      this.store.on("streams", () => this.draw()),
      this.store.on("tags", (tags) => this.heard(tags)),
      this.store.on("node", () => this.summarise()),
      this.store.on("event", (row) => this.events.take([row])),
      this.store.on("hello", () => this.load()),
      onSeen(() => this.watch()),
    ];
    this.draw();
    this.load();
  }

  close() {
    for (const end of this.ends) end();
    for (const strip of this.strips.values()) strip.close();
    this.events.close();
  }

  async load() {
    if (!this.store.session) return;
    try {
      const { events } = await get("/api/events", { limit: 40 });
      this.events.take(events);
      this.store.know(events);
    } catch (error) {
      say(this.events.trouble, error.message);
    }
  }

  /** Ask for the spectrograms of the lines that are on the screen, and for no others. */
  watch() {
    const seen = [...this.strips].filter(([, strip]) => isSeen(strip.canvas)).map(([name]) => name);
    this.app.watch(seen, []);
  }

  draw() {
    const { names } = this.store;
    keep(this.list, names, (name) => this.make(name));
    this.list.dataset.room = names.length <= 5 ? "much" : names.length <= 9 ? "some" : "little";
    for (const [name, strip] of this.strips) {
      if (this.store.streams.has(name)) continue;
      strip.close();
      this.strips.delete(name);
      this.lines.delete(name);
    }
    for (const name of names) this.update(name);
    this.empty.hidden = names.length > 0 || !this.store.session;
    this.summarise();
  }

  make(name) {
    const strip = new Strip(this.store, name);
    this.strips.set(name, strip);
    const parts = {
      dot: h("i.dot", { "aria-hidden": "true" }),
      state: h("span.state"),
      meter: h("i"),
      level: h("span.level-text.tabular"),
      tags: h("ol.tags", { "aria-label": `What ${name} hears now` }),
      trouble: h("span.trouble"),
    };
    const link = h("a.stream-name", { href: `#/stream/${encodeURIComponent(name)}` }, name);
    parts.item = h("li.stream", {},
      h("div.who", {}, parts.dot, link, parts.state, parts.trouble),
      h("div.level", {}, h("span.meter", { "aria-hidden": "true" }, parts.meter), parts.level),
      strip.canvas, parts.tags);
    this.lines.set(name, parts);
    return parts.item;
  }

  update(name) {
    const stream = this.store.streams.get(name);
    const parts = this.lines.get(name);
    parts.item.dataset.severity = stream.severity;
    parts.item.dataset.over = String(stream.over);
    say(parts.state, stream.state === "live" ? "" : stream.state);
    say(parts.trouble, stream.trouble);
    parts.trouble.title = stream.trouble;
    if (stream.tags) this.heard(stream.tags);
    if (stream.state !== "live" && stream.state !== "silent") this.quieten(parts);
  }

  quieten(parts) {
    parts.meter.style.setProperty("width", "0");
    say(parts.level, "");
    if (parts.tags.childElementCount) parts.tags.replaceChildren();
  }

  heard({ stream, level_dbfs: dbfs, tags, quiet }) {
    const parts = this.lines.get(stream);
    if (!parts) return;
    parts.meter.style.setProperty("width", `${100 * Math.min(1, Math.max(0, 1 - dbfs / QUIETEST))}%`);
    say(parts.level, level(dbfs));
    const shown = tags.filter((tag) => tag.score >= SHOWN).slice(0, TAGS);
    const kept = keep(parts.tags, shown.map((tag) => tag.label), (label) => h("li", {}, h("span.tag-bar", { "aria-hidden": "true" }, h("i")), h("span.tag-name", {}, label), h("span.tag-score.tabular")));
    for (const tag of shown) {
      const item = kept.get(tag.label);
      item.dataset.loud = String(tag.score >= 0.5);
      item.querySelector("i").style.setProperty("width", `${100 * tag.score}%`);
      say(item.querySelector(".tag-score"), score(tag.score));
    }
    if (quiet) put(parts.tags, kept.has("quiet") ? null : h("li.soft", { data: { key: "quiet" } }, "quiet"));
  }

  summarise() {
    const streams = [...this.store.streams.values()];
    const live = streams.filter((stream) => stream.state === "live").length;
    const words = [`${live} of ${streams.length} live`];
    const node = this.store.nodeStatus;
    if (node) {
      words.push(`${Math.round(node.late_ms)} ms late`);
      if (node.level) words.push(`overload: ${node.policy}`);
      words.push(`up ${span(node.uptime)}`);
    }
    const going = [...this.store.events.values()].filter((row) => row.end === null && row.phase !== "retract" && row.session === this.store.session);
    if (going.length) words.push(`${many(going.length, "event")} going on`);
    say(this.sum, words.join(" · "));
  }

  onKey(key) {
    if (this.events.onKey(key)) return true;
    return this.app.walk(key, [...this.list.querySelectorAll(".stream-name")], [...this.events.list.querySelectorAll(".event-head")]);
  }
}
