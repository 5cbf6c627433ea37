// Names that rooms take: no spaces, no `@`, nothing that cannot be seen.

import { Refusal } from "./refusal";

const NAME_MAX_CHARS = 32;
const TRIES = 4;

/** A display name as a room's member may have it; `undefined` when nothing of it is left. */
export function roomName(display: string | undefined): string | undefined {
  const name = [...(display ?? "").normalize("NFC").trim().replace(/\s+/gu, "-").replace(/[@\p{C}]/gu, "")]
    .slice(0, NAME_MAX_CHARS)
    .join("");
  return name === "" || name.toLowerCase().startsWith("guest-") ? undefined : name;
}

/** Calls with the name, then with a number behind it while somebody else has it, at last without one. */
export async function withFreeName<T>(name: string | undefined, call: (name?: string) => Promise<T>): Promise<T> {
  const wanted = name ? [name, ...Array.from({ length: TRIES - 1 }, (_, n) => `${name.slice(0, NAME_MAX_CHARS - 2)}-${n + 2}`)] : [];
  for (const one of wanted) {
    try {
      return await call(one);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.code === "name_invalid" || error.code === "already_joined") break;
      if (error.code !== "name_taken") throw error;
    }
  }
  return call();
}
