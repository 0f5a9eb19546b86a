/** Globs of streams, as everywhere in glatd: * and ? and [abc] and [!abc], case counts. */

const SPECIAL = /[.+^${}()|\\/]/;

/**
 * @param {string} glob
 * @returns {(name: string) => boolean} whether a name fits
 */
export function fitting(glob) {
  if (glob === "*") return () => true;
  const pattern = new RegExp(`^${translated(glob)}$`, "su");
  return (name) => pattern.test(name);
}

function translated(glob) {
  const letters = [...glob];
  let pattern = "";
  for (let at = 0; at < letters.length; at++) {
    const letter = letters[at];
    if (letter === "*") pattern += ".*";
    else if (letter === "?") pattern += ".";
    else if (letter === "[") {
      const [set, end] = letterSet(letters, at);
      pattern += set;
      at = end;
    } else pattern += SPECIAL.test(letter) || letter === "]" ? `\\${letter}` : letter;
  }
  return pattern;
}

/** The set that begins at a bracket, and where it ends; a bracket that nothing closes is itself. */
function letterSet(letters, start) {
  const not = letters[start + 1] === "!";
  const first = start + (not ? 2 : 1);
  const end = letters.indexOf("]", first + 1); // a bracket that comes first is in the set
  if (end < 0) return ["\\[", start];
  const inside = ranges(letters.slice(first, end));
  if (inside === "") return [not ? "." : "(?!)", end];
  return [`[${not ? "^" : ""}${inside}]`, end];
}

/** Without ranges that run backwards, which hold nothing. */
function ranges(letters) {
  let set = "";
  for (let at = 0; at < letters.length; at++) {
    if (letters[at + 1] === "-" && at + 2 < letters.length) {
      if (letters[at] <= letters[at + 2]) set += `${escaped(letters[at])}-${escaped(letters[at + 2])}`;
      at += 2;
    } else set += escaped(letters[at]);
  }
  return set;
}

const escaped = (letter) => (/[\\\]^[-]/.test(letter) ? `\\${letter}` : letter);
