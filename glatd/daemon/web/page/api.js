// What is asked of the daemon over HTTP. Errors are the one line that it gives, which names the value and the remedy.

/** An answer that says no. */
export class Refused extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("the daemon does not answer; is it running?", 0);
  }
  const text = await answer.text();
  let said = {};
  try {
    said = text ? JSON.parse(text) : {};
  } catch {
    said = { error: text.slice(0, 200) };
  }
  if (!answer.ok) throw new Refused(said.error || `the daemon answered ${answer.status}`, answer.status);
  return said;
}

/** GET with a query; keys without a value are left out. */
export function get(path, query = {}, signal = undefined) {
  const words = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") words.append(key, one);
  }
  const tail = words.toString();
  return ask(tail ? `${path}?${tail}` : path, { signal });
}

/** POST of a map. */
export function post(path, fields, signal = undefined) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(fields), signal });
}
