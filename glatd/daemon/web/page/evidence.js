// All that is known of one event: what each look said, where the best of them was, how it went on, and its sound.

import { get } from "./api.js";
import { fill, h, put, say } from "./dom.js";
import { moment, score, span } from "./format.js";
import { lengthOf, momentsOf } from "./store.js";

const PHASES = { start: "began", update: "update", end: "ended", retract: "taken back" };

/** A score as a bar and a number. */
export function gauge(word, value, kind = "") {
  return h("div.gauge", { data: { kind } },
    h("span.gauge-name", {}, word),
    h("span.gauge-bar", { "aria-hidden": "true" }, h("i", { style: { width: `${100 * Math.max(0, Math.min(1, value || 0))}%` } })),
    h("span.tabular", {}, score(value)));
}

/** The list of facts: terms and what they are; those without a value are left out. */
export function facts(...pairs) {
  return put(h("dl.facts"), pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd.tabular", {}, value))));
}

/** An element that shows the evidence of a row, and asks the daemon for the rest of it. */
export class Evidence {
  /**
   * @param {Store} store
   * @param {Verdicts} verdicts
   * @param {Object} row
   */
  constructor(store, verdicts, row) {
    this.store = store;
    this.verdicts = verdicts;
    this.element = h("div.evidence");
    this.top = h("div.evidence-top");
    this.phases = h("ol.phases");
    this.trouble = h("p.bad", { role: "alert" });
    this.sound = h("div.sound");
    this.note = h("input", { type: "text", maxLength: 500, placeholder: "Note", "aria-label": "Note",
      onchange: () => this.onNote() });
    put(this.element, this.top, this.sound, this.phases, this.note, this.trouble);
    this.update(row);
    this.load();
  }

  update(row) {
    this.row = row;
    const evidence = row.evidence ?? {};
    const { onset, end } = momentsOf(row);
    const [from, to] = evidence.crop ?? [];
    const at = (sample) => moment(onset + ((sample - row.onset) / row.rate) * 1000);
    fill(this.top,
      h("div.gauges", {},
        gauge("whole 10 s", evidence.global, "global"),
        gauge("second look", evidence.local, "local"),
        gauge("together", evidence.fused, "fused")),
      facts(
        ["onset", moment(onset)],
        ["end", Number.isNaN(end) ? this.endless(row) : moment(end)],
        ["lasted", Number.isNaN(end) ? null : span(lengthOf(row))],
        ["peak", score(row.peak)],
        ["mean", score(row.mean)],
        ["looked at", from === undefined ? null : `${at(from)}, for ${span((to - from) / row.rate)}`],
        ["looked for", evidence.chosen_for],
        ["why", row.cause],
        ["offset", row.offset === undefined ? null : String(row.offset)],
        ["id", row.id]));
    this.note.hidden = !this.verdicts.may || !row.verdict;
    if (document.activeElement !== this.note) this.note.value = row.note ?? "";
    this.hear();
  }

  /** Words for an event that has no end. */
  endless(row) {
    if (row.phase === "retract") return "taken back";
    return row.session === this.store.session ? "goes on" : "none told: the daemon was started again";
  }

  /** The clip, where there is one and this browser may hear it. */
  hear() {
    const state = `${this.row.clip} ${this.verdicts.may}`;
    if (state === this.heard) return;
    this.heard = state;
    if (!this.row.clip) return void fill(this.sound);
    if (this.verdicts.may) {
      const source = `/api/events/${encodeURIComponent(this.row.id)}/clip`;
      fill(this.sound, h("audio", { controls: true, preload: "none", src: source,
        "aria-label": `Clip of ${this.row.label}`, onerror: () => say(this.trouble, "the clip cannot be played; it may have been deleted") }));
    } else if (this.verdicts.possible) {
      fill(this.sound, h("button.small", { type: "button", onclick: () => this.verdicts.enter() }, "Log in to hear the clip"));
    } else {
      fill(this.sound, h("p.soft", {}, "A clip is kept; hearing it here needs ", h("code", {}, "[web] token"), "."));
    }
  }

  /** Play the clip, or stop it. */
  play() {
    const audio = this.sound.querySelector("audio");
    if (audio) void (audio.paused ? audio.play() : audio.pause());
    else this.sound.querySelector("button")?.click();
  }

  async load() {
    try {
      const all = await get(`/api/events/${encodeURIComponent(this.row.id)}`);
      fill(this.phases, (all.phases ?? []).map((one) => h("li.tabular", {}, moment(Date.parse(one.time)), " ",
        PHASES[one.phase] ?? one.phase, h("span.soft", {}, ` ${score(one.peak)}${one.cause ? `, ${one.cause}` : ""}`))));
    } catch (error) {
      if (error.code !== 404) say(this.trouble, error.message);
    }
  }

  async onNote() {
    try {
      await this.verdicts.give(this.row, this.row.verdict, this.note.value);
    } catch (error) {
      say(this.trouble, error.message);
    }
  }
}
