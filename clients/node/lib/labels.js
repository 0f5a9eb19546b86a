/** AudioSet's labels and their place in its ontology; labels.json is made from glatd's own table (README.md). */

import { readFileSync } from "node:fs";

import { ConfigError } from "./errors.js";

const OWN = "own:"; // in front of the name of a class of one's own, which only an engine can know
let table; // read when it is first asked for

function nodes() {
  if (table === undefined) {
    const rows = JSON.parse(readFileSync(new URL("./labels.json", import.meta.url), "utf8"));
    table = { byName: new Map(rows.map(([mid, name]) => [name, mid])), children: new Map() };
    for (const [mid, , ...parents] of rows) {
      for (const parent of parents) {
        table.children.set(parent, [...(table.children.get(parent) ?? []), mid]);
      }
    }
  }
  return table;
}

/**
 * Machine ids of a class or a group by display name, and of all below it: "Vehicle" has "Truck" in it.
 *
 * @param {string} name
 * @returns {Set<string>}
 */
export function midsBelow(name) {
  if (String(name).startsWith(OWN)) return new Set([`/own/${name.slice(OWN.length)}`]);
  const { byName, children } = nodes();
  const top = byName.get(name);
  if (top === undefined) {
    const near = nearest(name, byName.keys());
    throw new ConfigError(`unknown label or group ${JSON.stringify(name)}${near ? `; did you mean "${near}"?` : ""}`);
  }
  const found = new Set([top]);
  for (const mid of found) for (const child of children.get(mid) ?? []) found.add(child); // a Set grows while it is read
  return found;
}

function nearest(name, names) {
  let best;
  let least = 1 + Math.floor(String(name).length / 3); // so many letters may differ
  for (const known of names) {
    const distance = lettersBetween(String(name), known, least);
    if (distance < least) [best, least] = [known, distance];
  }
  return best;
}

/** Letters to change, add, leave out or swap, to get from one word to another; `most` where it is more than that. */
function lettersBetween(one, other, most) {
  if (Math.abs(one.length - other.length) >= most) return most;
  const lines = [Array.from({ length: other.length + 1 }, (_, column) => column)];
  for (let row = 1; row <= one.length; row++) {
    const line = [row];
    for (let column = 1; column <= other.length; column++) {
      const same = one[row - 1] === other[column - 1];
      const swapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      line.push(
        Math.min(
          lines[row - 1][column - 1] + (same ? 0 : 1),
          lines[row - 1][column] + 1,
          line[column - 1] + 1,
          swapped ? lines[row - 2][column - 2] + 1 : Infinity,
        ),
      );
    }
    lines.push(line);
  }
  return lines[one.length][other.length];
}
