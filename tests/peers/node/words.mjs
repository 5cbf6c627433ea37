// A word filter that sees through the common disguises: case, accents, leetspeak, invisible characters, repeated
// letters. It sees less than Hubbub's: neither spaced letters nor homoglyphs of other scripts.

const LEET = { 0: "o", 1: "i", 3: "e", 4: "a", 5: "s", 7: "t", "@": "a", $: "s", "!": "i", "|": "i", "+": "t" };
const LEET_PATTERN = /[013457@$!|+]/g;
const INVISIBLE = /[\u00ad\u200b-\u200f\u2060\ufeff]/g;
const MARKS = /\p{M}/gu;
const REPEATED = /(.)\1+/gu;
const WORDS = /[\p{L}\p{N}]+/gu;
const NOT_ASCII = /[^\x00-\x7f]/;

const squeeze = (word) => word.replace(REPEATED, "$1");

export class WordFilter {
  constructor(words) {
    this.words = new Set(words.map((word) => squeeze(word.toLowerCase())));
  }

  /** Whether a text holds one of the words. */
  finds(text) {
    if (this.words.size === 0) {
      return false;
    }
    let plain = text;
    if (NOT_ASCII.test(plain)) {
      plain = plain.normalize("NFKD").replace(MARKS, "").replace(INVISIBLE, "");
    }
    plain = plain.toLowerCase();
    return this.has(plain) || (/[013457@$!|+]/.test(plain) && this.has(plain.replace(LEET_PATTERN, (c) => LEET[c])));
  }

  has(plain) {
    for (const word of plain.match(WORDS) ?? []) {
      if (this.words.has(squeeze(word))) {
        return true;
      }
    }
    return false;
  }
}
