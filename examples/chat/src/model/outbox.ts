// Messages on their way out. Each keeps its `client_id`, so sending again after a lost answer says nothing twice.

import { Refusal } from "./refusal";
import type { Session } from "./session";
import type { Item, Thread } from "./thread";
import type { SentAck } from "./wire";

const TYPING_EVERY_MS = 3000;

function freshId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Outbox {
  readonly #session: Session;
  #typedAt = new Map<Thread, number>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** Sends a text, or keeps it until there is a connection. */
  send(thread: Thread, text: string, replyTo?: number): void {
    this.#typedAt.delete(thread);
    const you = thread.you ?? { name: this.#session.displayName, socket: "", user: this.#session.identity?.user };
    const message = { ...you, id: 0, time_ms: Date.now(), text, ...(replyTo ? { reply_to: replyTo } : {}) };
    const item = thread.begin(freshId(), message, this.#session.isReady ? "sending" : "waiting");
    this.#session.changed(thread);
    if (this.#session.isReady) void this.#deliver(thread, item);
  }

  /** Once more, what was refused or waits. */
  again(thread: Thread, item: Item): void {
    thread.settle(item.key, this.#session.isReady ? "sending" : "waiting");
    this.#session.changed(thread);
    if (this.#session.isReady) void this.#deliver(thread, item);
  }

  discard(thread: Thread, item: Item): void {
    thread.discard(item.key);
    this.#session.changed(thread);
  }

  /** Sends what waits, one after the other. */
  flush(): void {
    for (const thread of this.#session.threads.values()) void this.#flush(thread);
  }

  async #flush(thread: Thread): Promise<void> {
    for (const item of thread.items.filter((one) => one.delivery === "waiting")) {
      thread.settle(item.key, "sending");
      await this.#deliver(thread, item);
    }
  }

  async #deliver(thread: Thread, { key, message: { text, reply_to } }: Item): Promise<void> {
    const [event, body] =
      thread.kind === "room"
        ? ["message", { room: thread.name, text, client_id: key, ...(reply_to ? { reply_to } : {}) }]
        : ["direct", { to: thread.name, text, client_id: key }];
    try {
      const ack = await this.#session.ask<SentAck>(event as string, body as object);
      thread.settle(key, "sent", { id: ack.id, time_ms: ack.time_ms });
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal("unknown", String(error));
      const waits = refusal.isPassing && !this.#session.isReady;
      if (thread.settle(key, waits ? "waiting" : "refused", undefined, refusal)?.delivery === "refused") {
        this.#session.noticeIn(thread, `Not sent. ${refusal.text}`, "bad");
      }
    }
    this.#session.changed(thread);
  }

  /** Tells the room that this client is typing, or has stopped. */
  typing(thread: Thread, on: boolean): void {
    if (!thread.isOpen || !this.#session.isReady) return;
    const last = this.#typedAt.get(thread) ?? 0;
    if (on ? Date.now() - last < TYPING_EVERY_MS : last === 0) return;
    if (on) this.#typedAt.set(thread, Date.now());
    else this.#typedAt.delete(thread);
    this.#session.ask("typing", { ...thread.place, on }).catch(() => undefined);
  }
}
