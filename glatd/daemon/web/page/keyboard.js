// Keys: single letters that work wherever nothing is being typed, and the list of them.

import { h } from "./dom.js";

const KEYS = [
  ["Everywhere", [["?", "this list"], ["o", "all streams"], ["e", "events"], ["h", "health"], ["t", "theme: as the system, light, dark"], ["j, k", "next, previous line"], ["Enter", "open the line"]]],
  ["On an event", [["y", "confirm, or take that back"], ["n", "reject, or take that back"], ["p", "play its clip"]]],
  ["In a stream", [["Space", "hold the waterfall"], ["← →", "move the waterfall that is held"], ["m", "go to the threshold"], ["a", "add a class"], ["[ ]", "previous, next stream"]]],
  ["On the threshold", [["↑ ↓", "by 0.01"], ["Page ↑ ↓", "by 0.1"], ["Esc", "back to what it is"]]],
  ["In events", [["/", "search"]]],
];
const KEY = "glatd.keys";

/** Listen for keys. @param {App} app */
export function startKeyboard(app) {
  const on = () => localStorage.getItem(KEY) !== "off";
  const help = () => showHelp(on);
  document.getElementById("help").addEventListener("click", help);
  const everywhere = {
    "?": help,
    o: () => (location.hash = "#/"),
    e: () => (location.hash = "#/events"),
    h: () => (location.hash = "#/health"),
    t: () => app.theme(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const { target, key } = event;
    if (target.closest("input, select, textarea, [contenteditable]") && target.type !== "radio") return;
    if (key === " " && target.closest("button, a, audio, summary")) return;
    if (!on() && key !== "?") return;
    if (app.view?.onKey(key)) event.preventDefault();
    else if (everywhere[key]) {
      event.preventDefault();
      everywhere[key]();
    }
  });
}

function showHelp(on) {
  const single = h("input", { type: "checkbox", checked: on(), onchange: () => localStorage.setItem(KEY, single.checked ? "on" : "off") });
  const dialog = h("dialog.keys", { "aria-labelledby": "keys-title", onclose: () => dialog.remove(), onclick: (event) => event.target === dialog && dialog.close() },
    h("div", {},
      h("h2", { id: "keys-title" }, "Keys"),
      h("div.key-groups", {}, KEYS.map(([where, keys]) => h("section", {}, h("h3", {}, where),
        h("dl", {}, keys.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what))))))),
      h("label.check", {}, single, " Single keys work"),
      h("div.buttons", {}, h("button.main", { type: "button", onclick: () => dialog.close() }, "Close"))));
  document.body.append(dialog);
  dialog.showModal();
}
