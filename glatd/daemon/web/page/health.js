// How the node fares: its engine, how late it is, what it left out, and every source with what is wrong with it.

import { fill, h, keep, say } from "./dom.js";
import { facts } from "./evidence.js";
import { count, drift, level, many, span } from "./format.js";

const COLUMNS = ["Source", "State", "What is wrong", "Level", "Heard", "Lost", "Late", "Windows", "Left out", "Opened", "Clock"];

export class Health {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.store = app.store;
    this.title = "Health";
    this.node = h("div.node-facts");
    this.engine = h("div.engine-facts");
    this.page = h("div.page-facts");
    this.trouble = h("p.bad", { role: "status" });
    this.body = h("tbody");
    this.element = h("div.health", {},
      h("div.title-line", {}, h("h1", {}, "Health")),
      this.trouble,
      h("section", { "aria-labelledby": "sources-title" }, h("h2", { id: "sources-title" }, "Sources"),
        h("div.scroll", { tabIndex: 0, role: "region", "aria-label": "Sources" },
          h("table.sources", {}, h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, name)))), this.body))),
      h("div.columns", {},
        h("section", { "aria-labelledby": "node-title" }, h("h2", { id: "node-title" }, "Node"), this.node),
        h("section", { "aria-labelledby": "engine-title" }, h("h2", { id: "engine-title" }, "Engine"), this.engine),
        h("section", { "aria-labelledby": "page-title" }, h("h2", { id: "page-title" }, "This page"), this.page)));
    this.ends = [
      this.store.on("streams", () => this.drawSources()),
      this.store.on("tags", ({ stream, level_dbfs: dbfs }) => this.loud(stream, dbfs)),
      this.store.on("node", () => this.drawNode()),
      this.store.on("hello", () => this.drawNode()),
      this.store.on("access", () => this.drawNode()),
    ];
    app.watch([], []);
    this.drawNode();
    this.drawSources();
  }

  close() {
    for (const end of this.ends) end();
  }

  drawNode() {
    const { nodeStatus: node, engine, web } = this.store;
    if (node) {
      say(this.trouble, node.trouble);
      fill(this.node, facts(
        ["name", node.node],
        ["glatd", this.store.version],
        ["up", span(node.uptime)],
        ["memory", `${Math.round(node.memory_mb)} MB`],
        ["streams", `${node.live} of ${node.streams} live`],
        ["late, 99th percentile", `${Math.round(node.late_ms)} ms`],
        ["overload policy", `${node.policy}${node.level ? ` (step ${node.level})` : ""}`],
        ["steps so far", count(node.steps)],
        ["windows", count(node.windows)],
        ["not looked at", count(node.skipped + node.dropped)],
        ["quiet", count(node.quiet)],
        ["second looks", `${count(node.looked)}, and ${count(node.known)} known already`],
        ["writing", node.trouble || "no trouble"]));
    } else {
      fill(this.node, h("p.soft", {}, "The node has not spoken yet; it does every 10 s."));
    }
    if (engine) {
      fill(this.engine, facts(
        ["model", engine.model],
        ["runs on", `${engine.target}, ${engine.precision}`],
        ["hash", engine.hash],
        ["window", `${engine.window_s} s, every ${engine.hop_s} s`],
        ["second looks a window", node ? `at most ${node.crops}` : null],
        ["classes", count(engine.classes)],
        ["sound", `${count(engine.rate)} Hz, ${engine.mels} mel bins`]));
    }
    fill(this.page, facts(
      ["session", this.store.session],
      ["journal", web.journal ? "kept" : "none: events of this run only"],
      ["clips", web.clips ? "kept" : "none"],
      ["scores remembered", span(web.memory_s)],
      ["may give verdicts", web.may_write ? "yes" : web.token_set ? "after logging in" : "no: no token is set"],
      ["messages missed", this.store.missed ? many(this.store.missed, "message") : "none"]));
  }

  drawSources() {
    const kept = keep(this.body, this.store.names, (name) => h("tr", {},
      h("th", { scope: "row" }, h("a", { href: `#/stream/${encodeURIComponent(name)}` }, name), h("span.uri")),
      COLUMNS.slice(1).map((column) => h("td.tabular", { data: { column } }))));
    for (const [name, row] of kept) {
      const stream = this.store.streams.get(name);
      const { status } = stream;
      row.dataset.severity = stream.severity;
      if (!status) continue;
      const s = (samples) => span(samples / status.rate);
      say(row.querySelector(".uri"), status.uri);
      const values = {
        State: stream.state, Heard: s(status.samples), Lost: status.lost ? s(status.lost) : "", Late: `${Math.round(status.late_ms)} ms`,
        Windows: count(status.windows), "Left out": status.skipped + status.dropped ? count(status.skipped + status.dropped) : "",
        Opened: `${count(status.connections)} ×`, Clock: drift(status.drift_ppm),
        "What is wrong": stream.trouble,
      };
      for (const cell of row.querySelectorAll("td")) if (cell.dataset.column in values) say(cell, values[cell.dataset.column]);
      if (stream.tags) this.loud(name, stream.tags.level_dbfs);
    }
  }

  loud(name, dbfs) {
    const row = [...this.body.children].find((one) => one.dataset.key === name);
    const cell = row?.querySelector('[data-column="Level"]');
    if (cell) say(cell, level(dbfs));
  }

  onKey(key) {
    return this.app.walk(key, [...this.body.querySelectorAll("a")]);
  }
}
