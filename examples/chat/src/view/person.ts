// How people look: a coloured tile with their initials, a name.

import { h } from "./dom";

const HUES = 8;

/** The same tile for the same name, everywhere. */
export function avatar(name: string): HTMLElement {
  let hash = 0;
  for (const char of name.toLowerCase()) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) >>> 0;
  return h("span", { class: `avatar hue-${hash % HUES}`, "aria-hidden": "true" }, initials(name));
}

function initials(name: string): string {
  const words = name.replace(/^guest-/, "").split(/[\s._-]+/).filter(Boolean);
  const first = [...(words[0] ?? "?")];
  const second = words.length > 1 ? [...(words.at(-1) ?? "")] : [];
  return `${first[0] ?? "?"}${second[0] ?? ""}`.toUpperCase();
}
