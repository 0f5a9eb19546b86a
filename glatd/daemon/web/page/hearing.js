// "What does it hear": a threshold that is moved by mouse or keys, and what would have been told with it.
// The daemon decides, over its memory of scores, with the very code that decides live; nothing is imitated here.

import { post } from "./api.js";
import { fill, h, say } from "./dom.js";
import { many, moment, score, span } from "./format.js";
import { colour, onTheme } from "./theme.js";
import { Sheet } from "./sheet.js";

const WAIT_MS = 120; // after the last movement, before the daemon is asked
const AGAIN_MS = 1500; // after an event ended
const STEPS = { ArrowUp: 0.01, ArrowRight: 0.01, ArrowDown: -0.01, ArrowLeft: -0.01, PageUp: 0.1, PageDown: -0.1 };
const LOWEST = 0.1; // below it the daemon remembers no scores
const OTHERS = [["off", "ends below", 0.01, 1], ["hold", "pause, s", 0.1, 600], ["min_duration", "at least, s", 0.1, 600], ["cooldown", "cooldown, s", 1, 86_400]];
const LANE = 14; // CSS pixels of a row of bars
const LEFT = 38; // as of the plot
const SHOWN = 8; // of what would have been told, as text

export class Hearing {
  /**
   * @param {Store} store
   * @param {Timeline} timeline that the threshold is drawn on
   */
  constructor(store, timeline) {
    this.store = store;
    this.timeline = timeline;
    this.name = timeline.name;
    this.label = null;
    this.value = 0.5;
    this.answer = null;
    this.line = h("div.threshold", {
      role: "slider", tabIndex: 0, "aria-orientation": "vertical", "aria-valuemin": String(LOWEST), "aria-valuemax": "1",
      onkeydown: (event) => this.onKey(event),
      onpointerdown: (event) => this.onDown(event),
    }, (this.tag = h("span.threshold-tag.tabular")));
    this.canvas = h("canvas.rehearsal", { "aria-hidden": "true" });
    this.sheet = new Sheet(this.canvas);
    this.sheet.observer.disconnect();
    this.observer = new ResizeObserver(() => {
      this.sheet.measure();
      this.draw();
    });
    this.observer.observe(this.canvas);
    this.words = h("p.verdict-line", { role: "status" });
    this.list = h("ul.would");
    this.toml = h("pre.toml", { tabIndex: 0, "aria-label": "Lines for glatd.toml" });
    this.copy = h("button.small", { type: "button", onclick: () => this.onCopy() }, "Copy");
    this.back = h("button.small", { type: "button", onclick: () => this.reset() }, "As it is");
    this.lines = h("div.toml-box", { hidden: true }, h("div.toml-head", {}, h("span.soft", {}, "For glatd.toml"), this.copy), this.toml);
    this.others = OTHERS.map(([key, word, step, most]) => h("input", { type: "number", name: key, min: "0", max: String(most),
      step: String(step), placeholder: "as it is", "aria-label": word, oninput: () => this.set(this.value) }));
    const more = h("details.others", {}, h("summary", {}, "Other keys of the rule"), h("div.search", {},
      this.others.map((input, at) => h("label.field", {}, h("span", {}, OTHERS[at][1]), input))));
    this.element = h("div.hearing", {}, this.canvas, h("div.hearing-line", {}, this.words, this.back), this.list, more, this.lines);
    this.forget = onTheme(() => this.draw());
    timeline.onBuild = (plot) => plot.over.append(this.line);
    // A plot knows its scales when it is drawn, and no sooner.
    timeline.onDraw = () => {
      this.place();
      this.draw();
    };
  }

  close() {
    this.forget();
    this.observer.disconnect();
    clearTimeout(this.timer);
    this.asking?.abort();
  }

  get stream() {
    return this.store.streams.get(this.name);
  }

  /** The threshold that holds for the class now. */
  get actual() {
    const rules = this.stream?.rules ?? {};
    const rule = rules[this.label] ?? rules["*"] ?? {};
    return rule.on ?? rule.threshold ?? 0.5;
  }

  /** Look at another class. */
  choose(label) {
    this.label = label;
    this.line.hidden = !label;
    if (label) this.reset();
  }

  /** Back to the rule as it is. */
  reset() {
    for (const input of this.others) input.value = "";
    this.set(this.actual);
  }

  set(value) {
    this.value = Math.min(1, Math.max(LOWEST, Math.round(value * 100) / 100));
    this.place();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), WAIT_MS);
  }

  /** Put the line where its value is. */
  place() {
    const { plot } = this.timeline;
    if (!plot || !this.label) return;
    this.line.style.setProperty("top", `${plot.valToPos(this.value, "y")}px`);
    say(this.tag, `${this.label} ≥ ${score(this.value)}`);
    this.line.setAttribute("aria-label", `Threshold of ${this.label}`);
    this.line.setAttribute("aria-valuenow", score(this.value));
    this.line.setAttribute("aria-valuetext", `${this.label} from ${score(this.value)} on`);
    this.line.dataset.low = String(this.value > 0.85);
  }

  /** Something was told of the stream: what would have been is another answer now. */
  onEvent(row) {
    if (!this.label || (row.phase !== "end" && row.phase !== "retract")) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), AGAIN_MS);
  }

  onKey(event) {
    const step = STEPS[event.key];
    if (step) this.set(this.value + step);
    else if (event.key === "Home") this.set(LOWEST);
    else if (event.key === "End") this.set(1);
    else if (event.key === "Escape") this.reset();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  onDown(event) {
    event.preventDefault();
    this.line.focus();
    this.line.setPointerCapture(event.pointerId);
    const { over } = this.timeline.plot;
    const move = ({ clientY }) => this.set(this.timeline.plot.posToVal(clientY - over.getBoundingClientRect().top, "y"));
    const up = () => {
      this.line.removeEventListener("pointermove", move);
      this.line.removeEventListener("pointerup", up);
      this.line.removeEventListener("pointercancel", up);
    };
    this.line.addEventListener("pointermove", move);
    this.line.addEventListener("pointerup", up);
    this.line.addEventListener("pointercancel", up);
  }

  async ask() {
    this.asking?.abort();
    // Before its first window there is nothing to decide on; it is asked when there is.
    this.isWaiting = !this.stream?.tags;
    if (this.isWaiting) return;
    const asking = (this.asking = new AbortController());
    const asked = { stream: this.name, label: this.label, threshold: this.value };
    asked.seconds = this.timeline.seconds();
    for (const { name, value } of this.others) if (value !== "") asked[name] = Number(value);
    try {
      const answer = await post("/api/rehearse", asked, asking.signal);
      if (asking.signal.aborted) return;
      this.answer = this.compare(answer);
      this.tell(asked);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.answer = null;
      say(this.words, error.message);
      fill(this.list);
      this.lines.hidden = true;
    }
    this.draw();
  }

  /** Which of what would have been told was told, and what of that would not have been. */
  compare({ fired, actual, seconds, toml }) {
    const touches = (one, other) => one.onset < (other.end ?? Infinity) && other.onset < (one.end ?? Infinity);
    const would = fired.map((event) => ({ ...event, fresh: !actual.some((other) => touches(event, other)) }));
    const did = actual.map((event) => ({ ...event, gone: !fired.some((other) => touches(event, other)) }));
    return { would, did, seconds, toml };
  }

  tell({ label, threshold }) {
    const { would, did, seconds, toml } = this.answer;
    const fresh = would.filter((event) => event.fresh).length;
    const gone = did.filter((event) => event.gone).length;
    const changes = [fresh && `${fresh} new`, gone && `${gone} no longer`].filter(Boolean).join(", ");
    const at = `At ${score(threshold)}, ${label} would have been told ${times(would.length)} in the last ${span(seconds)}`;
    say(this.words, `${at}; it was told ${times(did.length)}${changes ? `: ${changes}` : ""}.`);
    const listed = would.slice(-SHOWN).reverse();
    fill(this.list, listed.map((event) => h("li.tabular", { data: { fresh: String(event.fresh) } },
      moment(this.stream?.momentOf(event.onset) || Date.parse(event.time)), " ", h("span.soft", {}, score(event.peak)),
      event.fresh && h("b", {}, " new"))),
    would.length > SHOWN && h("li.soft", {}, `and ${many(would.length - SHOWN, "earlier one")}`));
    this.toml.textContent = toml ?? "";
    const same = threshold === this.actual && this.others.every(({ value }) => value === "");
    this.lines.hidden = !toml || same;
    this.back.hidden = same;
  }

  async onCopy() {
    const text = this.toml.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Not allowed over plain HTTP from another machine: select it, and copy as of old.
      getSelection().selectAllChildren(this.toml);
      document.execCommand("copy");
    }
    say(this.copy, "Copied");
    setTimeout(() => say(this.copy, "Copy"), 1500);
  }

  /** Two rows of bars under the plot: what was told, and what would have been. */
  draw() {
    const { plot } = this.timeline;
    if (!plot || !this.sheet.width) return;
    const context = this.sheet.clean();
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.textAlign = "left";
    const rows = [["did", this.answer?.did ?? [], "heard"], ["would", this.answer?.would ?? [], "try"]];
    const { stream } = this;
    rows.forEach(([word, events, name], row) => {
      const y = row * (LANE + 2) + 2;
      context.fillStyle = colour("soft");
      context.fillText(word, 2, y + LANE / 2);
      context.fillStyle = colour("line");
      context.fillRect(LEFT, y + LANE / 2, this.sheet.width - LEFT, 1);
      for (const event of events) {
        const from = stream?.momentOf(event.onset) / 1000;
        const to = event.end === null || event.end === undefined ? plot.scales.x.max : stream?.momentOf(event.end) / 1000;
        const x = Math.max(LEFT, LEFT + plot.valToPos(from, "x"));
        const end = LEFT + plot.valToPos(to, "x");
        if (!(end > LEFT)) continue;
        context.fillStyle = colour(name);
        context.strokeStyle = colour(name);
        const width = Math.max(3, end - x);
        if (event.gone) context.strokeRect(x + 0.5, y + 3.5, width - 1, LANE - 8);
        else context.fillRect(x, y + (event.fresh ? 1 : 3), width, event.fresh ? LANE - 2 : LANE - 7);
      }
    });
  }
}

const times = (number) => (number === 0 ? "never" : number === 1 ? "once" : number === 2 ? "twice" : `${number} times`);
