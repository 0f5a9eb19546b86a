// Tells those who cannot see the page what was heard: at most one sentence in a while, with the rest as a number.

import { say } from "./dom.js";
import { many } from "./format.js";

const PAUSE_MS = 10_000; // between two sentences
const SETTLE_MS = 1500; // for several events that begin together

/** @param {Store} store */
export function startAnnouncing(store) {
  const place = document.getElementById("said");
  let waiting = [];
  let timer = null;
  let last = -Infinity;
  const tell = () => {
    timer = null;
    const [first, ...others] = waiting;
    waiting = [];
    if (!first) return;
    last = performance.now();
    say(place, `${first.label} on ${first.stream}${others.length ? `, and ${many(others.length, "other event")}` : ""}`);
  };
  store.on("event", (row) => {
    if (row.phase !== "start") return;
    waiting.push(row);
    timer ??= setTimeout(tell, Math.max(SETTLE_MS, last + PAUSE_MS - performance.now()));
  });
}
