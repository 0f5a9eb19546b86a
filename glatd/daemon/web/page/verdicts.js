// Who may do more than look; and what people say of events: it was so, or it was not.

import { get, post } from "./api.js";
import { h, put, say } from "./dom.js";

/** The token that is asked for once, and the verdicts that need it. */
export class Verdicts {
  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    this.button = document.getElementById("access");
    this.button.addEventListener("click", () => (this.may ? this.leave() : this.enter()));
    store.on("hello", () => this.show());
    this.show();
  }

  /** Whether verdicts, clips and listening are open to this browser. */
  get may() {
    return Boolean(this.store.web.may_write);
  }

  /** Whether they can be opened at all. */
  get possible() {
    return Boolean(this.store.web.token_set);
  }

  show() {
    this.button.hidden = !this.possible;
    say(this.button, this.may ? "Log out" : "Log in");
  }

  /** Re-read what this browser may do. */
  async refresh() {
    const state = await get("/api/state");
    this.store.web = state.web;
    this.show();
    this.store.emit("access");
  }

  async leave() {
    await post("/api/logout", {});
    await this.refresh();
  }

  /** Ask for the token; true once it is right. */
  enter() {
    if (this.may) return Promise.resolve(true);
    return new Promise((resolve) => {
      const field = h("input", { type: "password", name: "token", id: "token", autocomplete: "current-password", required: true });
      const trouble = h("p.bad", { role: "alert" });
      const cancel = h("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
      const form = h("form", { onsubmit: async (event) => {
        event.preventDefault();
        try {
          await post("/api/login", { token: field.value.trim() });
          await this.refresh();
          dialog.close();
        } catch (error) {
          say(trouble, error.message);
          field.select();
        }
      } },
      h("h2", { id: "token-title" }, "Token"),
      h("p.soft", {}, "Verdicts, clips and live listening need it. It is in the file that ", h("code", {}, "[web] token"), " names, on the machine that listens."),
      h("label", { for: "token" }, "Token"), field, trouble,
      h("div.buttons", {}, cancel, h("button.main", { type: "submit" }, "Log in")));
      const dialog = h("dialog", { "aria-labelledby": "token-title", onclose: () => {
        dialog.remove();
        resolve(this.may);
      } }, form);
      document.body.append(dialog);
      dialog.showModal();
      field.focus();
    });
  }

  /** Say of an event "confirmed", "rejected" or null; asks for the token first where it is needed. */
  async give(row, verdict, note = row.note ?? "") {
    if (!(await this.enter())) return;
    await post("/api/verdicts", { id: row.id, verdict, note });
    const told = { type: "verdict", id: row.id, verdict, note };
    this.store.take(told);
  }

  /** The two buttons of a row. `row()` is how it stands when they are pressed. */
  buttons(row, onTrouble) {
    const make = (verdict, sign, word) => h("button.sign", {
      type: "button", data: { verdict }, title: word, "aria-label": `${word}: ${row().label}`,
      onclick: async (event) => {
        event.stopPropagation();
        try {
          await this.give(row(), row().verdict === verdict ? null : verdict);
        } catch (error) {
          onTrouble(error.message);
        }
      },
    }, sign);
    return h("span.signs", {}, make("confirmed", "✓", "Confirm"), make("rejected", "✗", "Reject"));
  }

  /** Let the buttons of an element show how the row stands. */
  mark(element, row) {
    for (const button of element.querySelectorAll("[data-verdict]")) {
      button.setAttribute("aria-pressed", String(row.verdict === button.dataset.verdict));
      button.hidden = !this.possible && !row.verdict;
      button.disabled = !this.possible;
    }
  }

  /** Where the verdicts can be had, for `glatd calibrate`. */
  links() {
    return put(h("p.soft.small-print"), "All verdicts, as ", h("code", {}, "glatd calibrate --labels"), " reads them: ",
      h("a", { href: "/api/verdicts.tsv", download: "verdicts.tsv" }, "verdicts.tsv"), ", ",
      h("a", { href: "/api/verdicts.json", download: "verdicts.json" }, "verdicts.json"));
  }
}
