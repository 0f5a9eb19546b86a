// A list of events, the newest first: a line each, which opens to its evidence.

import { h, keep, put, say } from "./dom.js";
import { Evidence } from "./evidence.js";
import { moment, score, span } from "./format.js";
import { lengthOf, momentsOf } from "./store.js";

export class EventList {
  /**
   * @param {Store} store
   * @param {Verdicts} verdicts
   * @param {{stream?: boolean, name?: string, most?: number}} options whether streams are named; what the list is
   *     called; how many rows there are at most
   */
  constructor(store, verdicts, options = {}) {
    this.store = store;
    this.verdicts = verdicts;
    this.options = { stream: true, name: "Events", most: 100, ...options };
    this.rows = new Map(); // id -> row
    this.open = new Map(); // id -> Evidence
    this.list = h("ul.events", { "aria-label": this.options.name });
    this.empty = h("p.empty", {}, "Nothing has been told yet.");
    this.trouble = h("p.bad", { role: "alert" });
    this.element = h("div.event-list", { data: { streams: String(this.options.stream) } }, this.trouble, this.list, this.empty);
    this.ends = [
      store.on("verdict", ({ id, verdict, note }) => {
        if (this.rows.has(id)) this.take([{ ...this.rows.get(id), verdict, note }]);
      }),
      store.on("access", () => this.take([...this.rows.values()])),
    ];
  }

  close() {
    for (const end of this.ends) end();
  }

  /** Forget what is listed. */
  clear() {
    this.rows.clear();
    this.open.clear();
    this.draw();
  }

  /** Rows that are new, or that have changed. */
  take(rows) {
    for (const row of rows) {
      const known = this.rows.get(row.id);
      const verdict = row.verdict === undefined ? known?.verdict : row.verdict;
      this.rows.set(row.id, { ...known, ...row, offset: known?.offset ?? row.offset, verdict });
    }
    this.ask();
  }

  /** Draw before the next frame, once, however many events came. */
  ask() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = undefined;
      this.draw();
    });
  }

  draw() {
    const sorted = [...this.rows.values()].sort((one, other) => momentsOf(other).onset - momentsOf(one).onset);
    for (const row of sorted.splice(this.options.most)) {
      this.rows.delete(row.id);
      this.open.delete(row.id);
    }
    const kept = keep(this.list, sorted.map((row) => row.id), (id) => this.make(id));
    for (const row of sorted) this.update(kept.get(row.id), row);
    this.empty.hidden = sorted.length > 0;
  }

  make(id) {
    const head = h("button.event-head", { type: "button", "aria-expanded": "false", onclick: () => this.toggle(id) },
      h("span.event-time.tabular"), h("span.event-label"), this.options.stream && h("span.event-stream"),
      h("span.event-span.tabular"), h("span.event-bar", { "aria-hidden": "true" }, h("i")), h("span.event-peak.tabular"));
    const item = h("li.event", {}, head, this.verdicts.buttons(() => this.rows.get(id), (text) => say(this.trouble, text)));
    return item;
  }

  update(item, row) {
    const part = (name) => item.querySelector(`.event-${name}`);
    const { onset, end } = momentsOf(row);
    const back = row.phase === "retract";
    const going = Number.isNaN(end) && !back && row.session === this.store.session;
    say(part("time"), moment(onset));
    say(part("label"), row.label);
    if (this.options.stream) say(part("stream"), row.stream);
    say(part("span"), back ? "taken back" : Number.isNaN(end) ? (going ? "goes on" : "no end told") : span(lengthOf(row)));
    say(part("peak"), score(row.peak));
    part("bar").firstChild.style.setProperty("width", `${100 * row.peak}%`);
    item.dataset.phase = row.phase;
    item.dataset.going = String(going);
    item.dataset.said = row.verdict ?? "";
    this.verdicts.mark(item, row);
    this.open.get(row.id)?.update(row);
  }

  /** Open a row, or close it. */
  toggle(id, wanted = !this.open.has(id)) {
    const item = this.itemOf(id);
    if (!item || wanted === this.open.has(id)) return;
    item.querySelector(".event-head").setAttribute("aria-expanded", String(wanted));
    if (wanted) {
      const evidence = new Evidence(this.store, this.verdicts, this.rows.get(id));
      this.open.set(id, evidence);
      put(item, evidence.element);
    } else {
      this.open.get(id).element.remove();
      this.open.delete(id);
    }
  }

  /** Open a row and go to it. */
  show(id) {
    this.toggle(id, true);
    const item = this.itemOf(id);
    item?.scrollIntoView({ block: "nearest" });
    item?.querySelector(".event-head").focus();
  }

  itemOf(id) {
    return [...this.list.children].find((item) => item.dataset.key === id);
  }

  /** What the keyboard is on: an id, or null. */
  get focused() {
    return document.activeElement?.closest?.(".event")?.dataset.key ?? null;
  }

  /** Keys that work on the row that has the focus; true where one was meant. */
  onKey(key) {
    const id = this.focused;
    if (!id || !this.rows.has(id)) return false;
    if (key === "p") {
      this.toggle(id, true);
      this.open.get(id).play();
    } else if (key === "y" || key === "n") {
      this.itemOf(id).querySelector(`[data-verdict=${key === "y" ? "confirmed" : "rejected"}]`).click();
    } else return false;
    return true;
  }
}
