/** The keys of a client: the file that `glatd keys add NAME` made, a secret. Whoever can read it is that client. */

import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { ConfigError } from "./errors.js";

const OTHERS = 0o077; // the bits of a file's mode that are for other users
const NAMES = ["name", "public", "secret", "node"];
const LINE = /^\s*(?:#.*|([A-Za-z0-9_-]+)\s*=\s*"([^"\\]*)"\s*(?:#.*)?)?$/;
const Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/** Of one client; keys are Z85, 40 characters that stand for 32 bytes. */
export class Keys {
  #secret; // so that no log shows it by chance

  constructor({ name, public: own, secret, node }, where = "keys") {
    this.name = name;
    this.public = own;
    this.node = node; // the node's public key: without it, anybody could pretend to be the node
    this.#secret = secret;
    for (const [what, key] of [["public", own], ["secret", secret], ["node", node]]) {
      if (!isKey(key)) {
        throw new ConfigError(`${where}: ${what} is no key of 40 characters; make the file anew with \`glatd keys\``);
      }
    }
  }

  /** Encrypt all connections of a socket; to be called before it connects. */
  use(socket) {
    socket.curvePublicKey = this.public;
    socket.curveSecretKey = this.#secret;
    socket.curveServerKey = this.node;
  }
}

/** The keys of a file that `glatd keys add` made. */
export function readKeys(path) {
  const name = path instanceof URL ? fileURLToPath(path) : String(path);
  let text;
  try {
    const file = openSync(name, "r");
    try {
      const mode = fstatSync(file).mode & 0o777;
      if (mode & OTHERS && process.platform !== "win32") {
        throw new ConfigError(`${name} can be used by other users (mode ${mode.toString(8)}); chmod 600 ${name}`);
      }
      text = readFileSync(file, "utf8");
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`cannot read the keys ${name}: ${error.code}; make them with \`glatd keys\``);
  }
  const table = {};
  for (const line of text.split(/\r?\n/)) {
    const match = LINE.exec(line); // what an error said of the line may be a piece of a secret
    if (!match) throw new ConfigError(`${name} is no file of keys; make it anew with \`glatd keys\``);
    if (match[1]) table[match[1]] = match[2];
  }
  for (const key of NAMES) {
    if (!table[key]) {
      throw new ConfigError(`${name} has no ${key}; give the file that \`glatd keys add\` made for this client`);
    }
  }
  return new Keys(table, name);
}

/**
 * The keys for an endpoint, of the option `keys`.
 *
 * @param {undefined | string | URL | Keys | object} keys a file, keys, or one of them for each endpoint
 * @param {string} endpoint
 * @returns {Keys | undefined}
 */
export function keysFor(keys, endpoint) {
  if (keys === undefined || keys === null || keys instanceof Keys) return keys ?? undefined;
  if (typeof keys === "string" || keys instanceof URL) return readKeys(keys);
  if (typeof keys.secret === "string") return new Keys(keys);
  if (!Object.hasOwn(keys, endpoint)) {
    throw new ConfigError(`keys has none for ${endpoint}; give one file for all, or a file for each endpoint`);
  }
  return keysFor(keys[endpoint], endpoint);
}

function isKey(key) {
  if (typeof key !== "string" || key.length !== 40) return false;
  for (let at = 0; at < 40; at += 5) {
    let value = 0;
    for (const letter of key.slice(at, at + 5)) {
      const digit = Z85.indexOf(letter);
      if (digit < 0) return false;
      value = 85 * value + digit;
    }
    if (value > 0xffffffff) return false;
  }
  return true;
}
