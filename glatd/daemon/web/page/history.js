// All events that are kept, searched and a page at a time.

import { get } from "./api.js";
import { h, say } from "./dom.js";
import { EventList } from "./events.js";

const PAGE = 50;
const WAIT_MS = 250; // after the last letter
const MOST = 2000; // rows of the page

export class History {
  /**
   * @param {App} app
   * @param {URLSearchParams} query what is searched for at the beginning
   */
  constructor(app, query) {
    this.app = app;
    this.store = app.store;
    this.title = "Events";
    this.next = null;
    this.list = new EventList(this.store, app.verdicts, { name: "Events", most: MOST });
    this.words = h("span.soft.tabular", { role: "status" });
    this.older = h("button", { type: "button", hidden: true, onclick: () => this.load(this.next) }, "Older events");
    const change = () => this.changed();
    const field = (key, name, properties) => h("label.field", {}, h("span", {}, name),
      (this[key] = h("input", { name: key, value: query.get(key) ?? "", oninput: change, ...properties })));
    const select = (key, name, choices) => h("label.field", {}, h("span", {}, name),
      (this[key] = h("select", { name: key, onchange: change }, choices.map(([value, word]) => h("option", { value }, word)))));
    this.element = h("div.history", {},
      h("div.title-line", {}, h("h1", {}, "Events"), this.words),
      h("form.search", { role: "search", onsubmit: (event) => event.preventDefault() },
        field("text", "Search", { type: "search", placeholder: "class or stream" }),
        select("stream", "Stream", [["", "all"]]),
        // A class that is half typed is none: it is asked for when it is whole.
        field("label", "Class", { type: "text", list: "all-labels", placeholder: "any", oninput: null, onchange: change }),
        field("since", "From", { type: "datetime-local" }),
        field("until", "Until", { type: "datetime-local" }),
        field("min_peak", "Peak at least", { type: "number", min: "0", max: "1", step: "0.05", placeholder: "0" }),
        select("verdict", "Verdict", [["", "any"], ["open", "none yet"], ["confirmed", "confirmed"], ["rejected", "rejected"]])),
      this.list.element, this.older, app.verdicts.links());
    this.wanted = query.get("stream") ?? "";
    this.ends = [
      this.store.on("streams", () => this.offer()),
      this.store.on("event", (row) => this.fits(row) && this.list.take([row])),
      this.store.on("hello", () => this.load()),
    ];
    this.offer();
    app.watch([], []);
    if (this.store.session) void this.load();
  }

  close() {
    for (const end of this.ends) end();
    clearTimeout(this.timer);
    this.asking?.abort();
    this.list.close();
  }

  /** Name the streams, also one that is gone and was asked for. */
  offer() {
    this.app.offerLabels();
    const chosen = this.stream.value || this.wanted;
    const names = [...new Set([...this.store.names, ...(chosen ? [chosen] : [])])];
    const there = [...this.stream.options].slice(1).map((option) => option.value);
    if (names.join("\n") === there.join("\n")) return;
    this.stream.replaceChildren(h("option", { value: "" }, "all"), ...names.map((name) => h("option", { value: name }, name)));
    this.stream.value = chosen;
    this.wanted = "";
  }

  query() {
    const instant = (field) => (field.value ? new Date(field.value).toISOString() : "");
    return {
      text: this.text.value.trim(), stream: this.stream.value, label: this.label.value.trim(),
      since: instant(this.since), until: instant(this.until), min_peak: this.min_peak.value, verdict: this.verdict.value,
    };
  }

  /** Whether an event that has just been told belongs to what is searched for. */
  fits(row) {
    const { text, stream, label, since, until, min_peak: peak, verdict } = this.query();
    const said = `${row.label}\n${row.stream}`.toLowerCase();
    return (!text || said.includes(text.toLowerCase())) && (!stream || row.stream === stream) && (!label || row.label === label)
      && (!until || Date.parse(row.time) <= Date.parse(until)) && (!since || Date.parse(row.time) >= Date.parse(since))
      && row.peak >= Number(peak || 0) && (!verdict || verdict === "open");
  }

  changed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), WAIT_MS);
  }

  /** The newest page, or the one before an offset. */
  async load(before = undefined) {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    this.element.setAttribute("aria-busy", "true");
    try {
      const { events, next } = await get("/api/events", { ...this.query(), before, limit: PAGE }, asking.signal);
      if (before === undefined) this.list.clear();
      this.list.take(events);
      this.next = next;
      this.older.hidden = next === null || next === undefined;
      say(this.list.trouble, "");
      const shown = (before === undefined ? 0 : this.shown) + events.length;
      this.shown = shown;
      say(this.words, `${shown}${this.older.hidden ? "" : " and older ones"}`);
      // A rare thing is looked for in several goes: the daemon reads only so much at once.
      if (!events.length && !this.older.hidden && asking === this.asking) return void this.load(next);
      say(this.list.empty, this.asksForAll() ? "Nothing has been told yet." : "No event is like that.");
    } catch (error) {
      if (error.name !== "AbortError") say(this.list.trouble, error.message);
    }
    if (this.asking === asking) this.element.removeAttribute("aria-busy");
  }

  asksForAll() {
    return Object.values(this.query()).every((value) => !value);
  }

  onKey(key) {
    if (this.list.onKey(key)) return true;
    if (key === "/") this.text.focus();
    else return this.app.walk(key, [...this.list.list.querySelectorAll(".event-head")]);
    return true;
  }
}
