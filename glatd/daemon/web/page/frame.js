// The page's one animation loop: it runs while something that is seen may move, no faster than that needs, and not at
// all otherwise. What moves slowly moves together, so that the screen is put together anew as seldom as can be.

const painters = new Map(); // element -> {paint, every, due}
const seen = new Set();
const listeners = new Set();
const watching = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting && painters.has(target)) seen.add(target);
    else seen.delete(target);
  }
  for (const listener of listeners) listener();
  wake();
});
let timer = 0;
let asked = 0;

function turn(now) {
  asked = 0;
  for (const element of seen) {
    const painter = painters.get(element);
    const slot = Math.floor(now / painter.every);
    if (slot === painter.slot) continue;
    painter.slot = slot;
    painter.paint(now);
  }
  wake();
}

function wake() {
  if (timer || asked || document.hidden || !seen.size) return;
  const every = Math.min(...[...seen].map((element) => painters.get(element).every));
  timer = setTimeout(() => {
    timer = 0;
    if (!asked) asked = requestAnimationFrame(turn);
  }, every - (performance.now() % every));
}

document.addEventListener("visibilitychange", wake);

/**
 * Let `paint(now)` be called every so often, before a frame, while the element is on the screen. It should return at
 * once when nothing has moved by a pixel. Returns what ends it.
 *
 * @param {HTMLElement} element
 * @param {(now: number) => void} paint
 * @param {number} every ms
 */
export function paints(element, paint, every) {
  painters.set(element, { paint, every, slot: -1 });
  watching.observe(element);
  return () => {
    watching.unobserve(element);
    painters.delete(element);
    seen.delete(element);
  };
}

/** Whether an element that paints is on the screen. */
export const isSeen = (element) => seen.has(element);

/** Be told when other elements are on the screen. */
export function onSeen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
