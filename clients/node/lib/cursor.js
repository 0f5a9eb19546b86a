/** Where a subscriber remembers what it has dealt with: one position, `{journal, offset}`, for each node. */

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";

import { ConfigError, DataError } from "./errors.js";
import { isMap } from "./messages.js";

/** Remembers nothing beyond its own life. */
export class MemoryCursor {
  #positions = new Map();

  load(node) {
    return this.#positions.get(node);
  }

  save(node, position) {
    this.#positions.set(node, position);
  }
}

/** A small JSON file, replaced as a whole: a kill leaves the old one or the new one. Python's FileCursor reads it too. */
export class FileCursor {
  #path;
  #positions = new Map();

  constructor(path) {
    this.#path = String(path);
    let text = "{}";
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (error) {
      if (error.code !== "ENOENT") {
        throw new DataError(`cannot read the cursor ${path}: ${error.code ?? error.message}; name another file`);
      }
    }
    let saved;
    try {
      saved = JSON.parse(text);
    } catch {
      saved = undefined;
    }
    if (!isMap(saved) || !Object.values(saved).every(isPosition)) {
      throw new DataError(`${path} is no cursor; delete it to hear all that is kept once more`);
    }
    for (const [node, { journal, offset }] of Object.entries(saved)) this.#positions.set(node, { journal, offset });
  }

  load(node) {
    return this.#positions.get(node);
  }

  /** Remember, on the disk itself. */
  save(node, position) {
    this.#positions.set(node, position);
    const temporary = `${this.#path}.new`;
    try {
      const file = openSync(temporary, "w");
      try {
        writeSync(file, `${JSON.stringify(Object.fromEntries(this.#positions))}\n`);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, this.#path);
    } catch (error) {
      throw new ConfigError(`cannot write the cursor ${this.#path}: ${error.code}; name another file`);
    }
  }
}

const isPosition = (value) =>
  isMap(value) && typeof value.journal === "string" && Number.isSafeInteger(value.offset);
