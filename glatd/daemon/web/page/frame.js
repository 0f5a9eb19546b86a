// The page's one animation loop: it runs while something that is seen may move, and not at all otherwise.

const painters = new Map(); // element -> paint
const seen = new Set();
const watching = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) seen.add(target);
    else seen.delete(target);
  }
  for (const listener of listeners) listener();
  wake();
});
const listeners = new Set();
let asked = 0;

function turn(now) {
  asked = 0;
  for (const element of seen) painters.get(element)?.(now);
  if (seen.size) wake();
}

function wake() {
  if (!asked && !document.hidden) asked = requestAnimationFrame(turn);
}

document.addEventListener("visibilitychange", wake);

/**
 * Let `paint(now)` be called before each frame while the element is on the screen. It should return at once when
 * nothing has moved by a pixel. Returns what ends it.
 */
export function paints(element, paint) {
  painters.set(element, paint);
  watching.observe(element);
  return () => {
    painters.delete(element);
    seen.delete(element);
    watching.unobserve(element);
  };
}

/** Whether an element that paints is on the screen. */
export const isSeen = (element) => seen.has(element);

/** Be told when other elements are on the screen. */
export function onSeen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
