// What moderators do and what moderation tells: plugins/moderation/PROTOCOL.md as types and calls.

import { Emitter } from "./emitter";
import { Refusal } from "./refusal";
import type { Session } from "./session";
import { duration } from "./time";
import type { Member } from "./wire";

export type SanctionKind = "mute" | "ban" | "shadow";

export interface Sanction {
  id: number;
  kind: SanctionKind;
  user?: string;
  socket?: string;
  room?: string;
  until_ms?: number;
  reason?: string;
  by: string;
  time_ms: number;
}

/** A message that waits for review. */
export interface Held {
  id: number;
  time_ms: number;
  event: string;
  room?: string;
  to?: string;
  from: Partial<Member>;
  text: string;
  code: string;
  rule: string;
}

export interface AuditEntry {
  id: number;
  time_ms: number;
  act: string;
  user?: string;
  socket?: string;
  room?: string;
  rule?: string;
  code?: string;
  by?: string;
  until_ms?: number;
  reason?: string;
  name?: string;
}

export interface Rule {
  kind: string;
  name: string;
  source: "config" | "moderators";
  off?: boolean;
  words?: string[];
  mode?: string;
  action?: string | { mute: { seconds: number } };
  [field: string]: unknown;
}

interface Notice {
  kind: "mute" | "unmute" | "ban" | "unban" | "kick" | "held" | "approved" | "declined";
  room?: string;
  to?: string;
  until_ms?: number;
  reason?: string;
  client_id?: string;
  message?: string;
}

type ModerationEvents = {
  /** What the moderator's panel shows is no longer up to date. */
  changed: [];
};

/** Whom a sanction is about: the user where there is one, else the socket. */
export function whom(member: Partial<Member>): { user: string } | { socket: string } {
  return member.user ? { user: member.user } : { socket: member.socket ?? "" };
}

export class Moderation extends Emitter<ModerationEvents> {
  readonly #session: Session;
  /** How many messages wait for review, as far as is known. */
  waiting = 0;

  constructor(session: Session) {
    super();
    this.#session = session;
    session.on("other", (name, body) => this.#event(name, body));
    session.on("status", () => {
      if (session.status === "online" && session.isModerator) void this.queue().catch(() => undefined);
    });
  }

  async sanction(kind: SanctionKind, member: Partial<Member>, how: { room?: string; seconds?: number; reason?: string }): Promise<void> {
    await this.#session.ask(`mod:${kind}`, { ...whom(member), ...given(how) });
  }

  async kick(member: Partial<Member>, how: { room?: string; reason?: string }): Promise<void> {
    await this.#session.ask("mod:kick", { ...whom(member), ...given(how) });
  }

  async queue(): Promise<Held[]> {
    const { items, more } = await this.#session.ask<{ items: Held[]; more: boolean }>("mod:queue", { limit: 20 });
    this.waiting = items.length + (more ? 1 : 0);
    this.emit("changed");
    return items;
  }

  async approve(item: Held): Promise<void> {
    const place = item.room ? { room: item.room } : { from: item.from.user, to: item.to };
    await this.#session.ask("mod:approve", { id: item.id, ...place });
  }

  async decline(item: Held): Promise<void> {
    await this.#session.ask("mod:decline", { id: item.id });
  }

  async sanctions(): Promise<Sanction[]> {
    return (await this.#session.ask<{ sanctions: Sanction[] }>("mod:sanctions", { limit: 50 })).sanctions;
  }

  async lift(sanction: Sanction): Promise<void> {
    await this.#session.ask("mod:lift", { id: sanction.id });
  }

  async audit(): Promise<AuditEntry[]> {
    return (await this.#session.ask<{ entries: AuditEntry[] }>("mod:audit", { limit: 50 })).entries;
  }

  rules(): Promise<{ rules: Rule[]; slow: Record<string, number> }> {
    return this.#session.ask("mod:rules", {});
  }

  async setWords(name: string, words: string[], mode: string, action: string): Promise<void> {
    await this.#session.ask("mod:rule_set", { rule: { kind: "words", name, words, mode, action } });
  }

  async removeRule(name: string): Promise<void> {
    await this.#session.ask("mod:rule_remove", { name });
  }

  async resetRule(name: string): Promise<void> {
    await this.#session.ask("mod:rule_reset", { name });
  }

  async slow(room: string, seconds: number): Promise<void> {
    await this.#session.ask("mod:slow", { room, seconds });
  }

  #event(name: string, body: unknown): void {
    switch (name) {
      case "mod:notice":
        return this.#notice(body as Notice);
      case "mod:held":
        this.waiting += 1;
        this.#session.say("A message waits for review.");
        return this.emit("changed");
      case "mod:decided":
        this.waiting = Math.max(0, this.waiting - 1);
        return this.emit("changed");
      case "mod:sanctioned":
      case "mod:lifted":
      case "mod:rules_changed":
        return this.emit("changed");
    }
  }

  #notice(notice: Notice): void {
    const where = notice.room ? ` in ${notice.room}` : "";
    const until = notice.until_ms ? ` for ${duration(notice.until_ms - Date.now())}` : "";
    const why = notice.reason ? ` Reason: ${notice.reason}` : "";
    const tell = (text: string, tone: "good" | "bad" | "info" = "bad"): void => this.#session.notice(text + why, tone);
    switch (notice.kind) {
      case "mute":
        return tell(`A moderator muted you${where}${until}.`);
      case "unmute":
        return tell(`You may speak again${where}.`, "good");
      case "unban":
        return tell(`Your ban${where} is lifted.`, "good");
      case "kick":
      case "ban": {
        const text = `A moderator ${notice.kind === "ban" ? "banned" : "removed"} you${notice.room ? " from this room" : ""}${until}.${why}`;
        const code = notice.kind === "ban" ? "expelled_ban" : "expelled_kick";
        return this.#session.removed(notice.room, new Refusal(code, text));
      }
      case "held":
        return this.#held(notice);
      case "approved":
        return tell("A moderator approved your message.", "good");
      case "declined":
        return this.#held(notice, new Refusal("declined", `A moderator declined it.${why}`));
    }
  }

  #held({ room, to, client_id }: Notice, refusal?: Refusal): void {
    const thread = this.#session.threads.get(room ? `room:${room}` : `direct:${to ?? ""}`);
    if (!thread || !client_id) return;
    const known = thread.hold(client_id, refusal);
    this.#session.changed(thread);
    if (known) this.#session.noticeIn(thread, refusal ? `Not sent. ${refusal.text}` : "Your message waits for a moderator.", refusal ? "bad" : "info");
  }
}

function given<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== "")) as Partial<T>;
}
