// Elements made of plain values. Whatever came from a microphone's name or a label goes in as text, never as markup.

/**
 * An element with its properties and children.
 *
 * @param {string} tag        name of the element, with classes behind dots: "p.soft"
 * @param {Object} properties `on*` are listeners, `data` a map for dataset, `style` a map of properties; keys with a
 *                            dash and `role` are attributes; everything else is a property. What is undefined or null
 *                            is left out.
 * @param {...(Node|string|number|null|false|Array)} children
 * @returns {HTMLElement}
 */
export function h(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "data") Object.assign(element.dataset, value);
    else if (key === "style") for (const [name, text] of Object.entries(value)) element.style.setProperty(name, text);
    else if (key === "role" || key === "for" || key === "list" || key.includes("-")) element.setAttribute(key, value);
    else element[key] = value;
  }
  put(element, ...children);
  return element;
}

/** Append children; null, false and undefined are nothing, lists are their items. */
export function put(element, ...children) {
  for (const child of children.flat(3)) {
    if (child !== null && child !== false && child !== undefined) element.append(child);
  }
  return element;
}

/** The children of `element` are these, and no others. */
export function fill(element, ...children) {
  element.replaceChildren();
  return put(element, ...children);
}

/** Set the text only where it is another one: a screen reader, and the layout, are left alone otherwise. */
export function say(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/**
 * Let a list hold one element for each key, in order, and keep those that are there already.
 *
 * @param {HTMLElement} list
 * @param {string[]} keys
 * @param {(key: string) => HTMLElement} make
 * @returns {Map<string, HTMLElement>}
 */
export function keep(list, keys, make) {
  const there = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const wanted = new Set(keys);
  const focused = document.activeElement;
  for (const [key, child] of there) if (!wanted.has(key)) child.remove();
  let before = list.firstElementChild;
  const kept = new Map();
  for (const key of keys) {
    let child = there.get(key);
    if (!child) {
      child = make(key);
      child.dataset.key = key;
    }
    if (child === before) before = child.nextElementSibling;
    else list.insertBefore(child, before);
    kept.set(key, child);
  }
  // An element that is moved loses the focus.
  if (list.contains(focused) && document.activeElement !== focused) focused.focus({ preventScroll: true });
  return kept;
}
