// The dashboard: puts the parts together, and shows the view that the address names.

import { startAnnouncing } from "./announce.js";
import { get } from "./api.js";
import { Connection } from "./connection.js";
import { h, say } from "./dom.js";
import { Health } from "./health.js";
import { History } from "./history.js";
import { startKeyboard } from "./keyboard.js";
import { Overview } from "./overview.js";
import { Store } from "./store.js";
import { StreamView } from "./streamview.js";
import { nextTheme, startTheme } from "./theme.js";
import { Verdicts } from "./verdicts.js";

const RULES_MS = 1000; // after a stream was added, until its rules are asked for

class App {
  constructor() {
    this.store = new Store();
    this.view = null;
    this.main = document.getElementById("main");
    this.theme = nextTheme;
    startTheme();
    this.verdicts = new Verdicts(this.store);
    this.connection = new Connection(
      (message) => this.store.take(message), (data) => this.store.takeSpectrum(data), (state, text) => this.onLink(state, text));
    this.store.on("hello", ({ node, version }) => this.onHello(node, version));
    this.store.on("restart", () => this.onRestart());
    this.store.on("added", () => this.onAdded());
    startKeyboard(this);
    startAnnouncing(this.store);
    document.getElementById("skip").addEventListener("click", (event) => {
      event.preventDefault(); // the fragment of the address is the view's
      this.main.focus();
    });
    addEventListener("hashchange", () => this.show(true));
    this.show(false);
  }

  /** What the daemon should send beside its messages. Asked for once, however often it is said. */
  watch(streams, labels) {
    const wanted = JSON.stringify([streams, labels]);
    if (wanted === this.watched) return;
    this.watched = wanted;
    this.connection.watch(streams, labels);
  }

  onHello(node, version) {
    say(document.getElementById("node"), node);
    this.version ??= version;
    if (version !== this.version) this.notice(`glatd is ${version} now, and this page is of ${this.version}.`, "Load it anew", () => location.reload());
    this.retitle();
  }

  onRestart() {
    this.notice("glatd was started again: this is a new session.", "Good", () => this.notice(""));
    clearTimeout(this.noticed);
    this.noticed = setTimeout(() => this.notice(""), 8000);
  }

  onAdded() {
    clearTimeout(this.asking);
    this.asking = setTimeout(async () => {
      try {
        this.store.takeState(await get("/api/state"));
      } catch {
        // The connection says what is wrong, and a hello comes when it is back.
      }
    }, RULES_MS);
  }

  onLink(state, text) {
    const link = document.getElementById("link");
    link.dataset.state = state;
    document.documentElement.dataset.link = state;
    // The seconds that are left are for eyes only: a screen reader is told of the loss once.
    const words = document.getElementById("link-text");
    if (state !== "lost" || link.dataset.told !== "lost") say(words, state === "lost" ? "connection lost" : text);
    link.dataset.told = state;
    link.title = text;
    if (state === "lost") this.notice(`${text[0].toUpperCase()}${text.slice(1)}.`, "Try now", () => this.connection.now(), true);
    else if (this.isLost) this.notice("");
  }

  /** A line under the header; "" takes it away. */
  notice(text, word = "", onClick = null, lost = false) {
    const line = document.getElementById("notice");
    line.hidden = !text;
    this.isLost = lost;
    line.dataset.kind = lost ? "bad" : "";
    const [words, button] = line.children;
    if (lost && words && button?.textContent === word) return say(words, text);
    line.replaceChildren();
    if (text) line.append(h("span", {}, text), h("button.small", { type: "button", onclick: onClick }, word));
    return undefined;
  }

  /** Show the view of the address. `moved`: somebody went there, and the focus should go along. */
  show(moved) {
    const [path, tail = ""] = location.hash.replace(/^#/, "").split("?");
    const [, kind = "", name = ""] = path.split("/");
    this.view?.close();
    if (kind === "stream" && name) this.view = new StreamView(this, decodeURIComponent(name));
    else if (kind === "events") this.view = new History(this, new URLSearchParams(tail));
    else if (kind === "health") this.view = new Health(this);
    else this.view = new Overview(this);
    this.main.replaceChildren(this.view.element);
    const current = { stream: "overview", events: "events", health: "health" }[kind] ?? "overview";
    for (const link of document.querySelectorAll("nav [data-view]")) {
      if (link.dataset.view === current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.retitle();
    if (moved) {
      scrollTo(0, 0);
      this.main.focus({ preventScroll: true });
    }
  }

  retitle() {
    document.title = [this.view?.title, this.store.node, "glatd"].filter(Boolean).join(" · ");
  }

  /** Go to the next or the previous line of lists; true for a key that means that. */
  walk(key, ...lists) {
    if (key !== "j" && key !== "k") return false;
    const here = lists.find((list) => list.includes(document.activeElement)) ?? lists.find((list) => list.length);
    if (!here?.length) return true;
    const at = here.indexOf(document.activeElement);
    const next = here[Math.min(here.length - 1, Math.max(0, at + (key === "j" ? 1 : -1)))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    return true;
  }

  /** The stream beside one. */
  neighbour(name, step) {
    const { names } = this.store;
    const next = names[(names.indexOf(name) + step + names.length) % names.length];
    if (next) location.hash = `#/stream/${encodeURIComponent(next)}`;
  }

  /** Let fields that ask for a class offer those of the engine. */
  offerLabels() {
    const known = document.getElementById("all-labels");
    if (known?.childElementCount === this.store.labels.length) return;
    known?.remove();
    document.body.append(h("datalist", { id: "all-labels" }, this.store.labels.map(({ label }) => h("option", { value: label }))));
  }

  /** What this browser chose last time. */
  remembered(key, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(`glatd.${key}`)) ?? otherwise;
    } catch {
      return otherwise;
    }
  }

  remember(key, value) {
    localStorage.setItem(`glatd.${key}`, JSON.stringify(value));
  }
}

new App();
