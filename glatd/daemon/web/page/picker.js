// One choice of a few, as a row of radio buttons.

import { h } from "./dom.js";

let made = 0;

/**
 * @param {string} name what is chosen, for those who cannot see it
 * @param {[any, string][]} choices values and words
 * @param {any} chosen
 * @param {(value: any) => void} onChoice
 */
export function choose(name, choices, chosen, onChoice) {
  made += 1;
  const group = `choice-${made}`;
  return h("span.choice", { role: "radiogroup", "aria-label": name }, choices.map(([value, word]) => h("label", {},
    h("input", { type: "radio", name: group, checked: value === chosen, onchange: () => onChoice(value) }), h("span", {}, word))));
}
