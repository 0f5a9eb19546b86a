// Light, dark, or as the system has it; and the colours that canvases need, read from the style sheet.

const KEY = "glatd.theme";
const ORDER = ["auto", "light", "dark"];
const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();
let choice = ORDER.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : "auto";
let read = {};

/** Whether the page is dark now. */
export const isDark = () => (choice === "auto" ? dark.matches : choice === "dark");

/** Whether movement is not wanted. */
const still = matchMedia("(prefers-reduced-motion: reduce)");
export const isStill = () => still.matches;

/** The colour of a name in the style sheet: `colour("heard")` is `--heard`. */
export function colour(name) {
  read[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return read[name];
}

/** Be told when colours are others. */
export const onTheme = (listener) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** The next of auto, light and dark. */
export function nextTheme() {
  choice = ORDER[(ORDER.indexOf(choice) + 1) % ORDER.length];
  localStorage.setItem(KEY, choice);
  apply();
}

function apply() {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  read = {};
  const button = document.getElementById("theme");
  button.textContent = { auto: "◐", light: "○", dark: "●" }[choice];
  const words = { auto: "as the system", light: "light", dark: "dark" }[choice];
  button.setAttribute("aria-label", `Theme: ${words}`);
  button.title = `Theme: ${words}`;
  for (const listener of listeners) listener();
}

/** Take the choice of last time; call it once. */
export function startTheme() {
  document.getElementById("theme").addEventListener("click", nextTheme);
  dark.addEventListener("change", apply);
  apply();
}
