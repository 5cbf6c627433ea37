// What a tab remembers over a reload: credentials, rooms, direct messages. Each tab may be somebody else.

import type { Credentials } from "./connection";

export interface Saved {
  credentials?: Credentials;
  rooms: string[];
  /** User ids, with the names they were last seen under. */
  directs: { user: string; name: string }[];
  active?: string;
}

const KEY = "hubbub-chat";
export const FIRST_ROOM = "lobby";

export function load(): Saved {
  const fresh: Saved = { rooms: [FIRST_ROOM], directs: [] };
  try {
    return { ...fresh, ...(JSON.parse(sessionStorage.getItem(KEY) ?? "{}") as Partial<Saved>) };
  } catch {
    return fresh;
  }
}

export function save(saved: Saved): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(saved));
  } catch {
    // a full or forbidden storage only means that a reload asks again
  }
}

export function forget(): void {
  sessionStorage.removeItem(KEY);
}
