// The messages of the thread that is shown: kept up to date in place, older ones loaded by scrolling up.

import type { Session } from "../model/session";
import type { Item, Thread } from "../model/thread";
import { day, midnight } from "../model/time";
import { h, icon } from "./dom";
import { renderMessage, standTogether, type MessageActions } from "./message";
import { Toolbar, type ToolbarActions } from "./toolbar";

export interface LogActions extends MessageActions, ToolbarActions {}

/** Who is nearer to the end than this stays there when a message comes. */
const NEAR_END_PX = 120;
const NEAR_START_PX = 200;

interface Shown {
  element: HTMLElement;
  /** What the element was made of; another one means that it is made anew. */
  made: string;
  message: object;
}

export class Log {
  readonly element = h("div", { class: "log", role: "log", "aria-live": "polite", tabindex: 0 });
  readonly #older = h("button", { type: "button", class: "older", on: { click: () => void this.#loadOlder() } }, "Load earlier messages");
  readonly #newest = h("button", { type: "button", class: "newest", hidden: true, on: { click: () => this.#toEnd() } }, icon("down"), "New messages");
  readonly #empty = h("p", { class: "empty quiet" });
  readonly frame = h("div", { class: "log-frame" }, this.element, this.#newest);
  readonly #toolbar: Toolbar;
  readonly #session: Session;
  readonly #actions: LogActions;
  #shown = new Map<string, Shown>();
  #thread: Thread | undefined;
  #atEnd = true;

  constructor(session: Session, actions: LogActions) {
    this.#session = session;
    this.#actions = actions;
    this.#toolbar = new Toolbar(session, actions);
    session.on("items", (thread) => thread === session.active && this.render());
    session.on("room", (thread) => thread === session.active && this.render());
    session.on("active", () => this.render());
    this.element.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("pointerover", (event) => this.#point(event.target));
    this.element.addEventListener("focusin", (event) => this.#point(event.target));
    new ResizeObserver(() => this.#atEnd && this.#toEnd()).observe(this.element);
    this.render();
  }

  render(): void {
    const thread = this.#session.active;
    if (thread !== this.#thread) this.#start(thread);
    if (!thread) return;
    if (this.#atEnd) thread.trim();
    // while a page is put before what is there, nothing of it is news
    this.element.setAttribute("aria-busy", String(thread.loading));
    this.#older.hidden = !thread.more;
    this.#older.disabled = thread.loading;
    this.#older.textContent = thread.loading ? "Loading…" : "Load earlier messages";
    const [height, top] = [this.element.scrollHeight, this.element.scrollTop];
    const anchor = this.#shown.get(thread.items[0]?.key ?? "") ? undefined : height;
    const focused = this.#focused();
    this.#reconcile(thread);
    // an element that is made anew or moved loses the focus
    if (focused && document.activeElement === document.body) this.#find(focused)?.focus();
    this.#empty.textContent = emptyText(thread);
    if (this.#atEnd) this.#toEnd();
    else if (anchor !== undefined) this.element.scrollTop = top + this.element.scrollHeight - anchor;
  }

  /** Shows and focuses a message. */
  jump(id: number): void {
    const element = this.element.querySelector<HTMLElement>(`[data-id="${id}"]`);
    if (!element) return this.#session.notice("That message is further back. Load earlier messages to see it.");
    element.scrollIntoView({ block: "center" });
    element.focus();
  }

  /** The message with the focus in it. */
  #focused(): DOMStringMap | undefined {
    const active = document.activeElement;
    return active && this.element.contains(active) ? active.closest("article")?.dataset : undefined;
  }

  #find({ key, id }: DOMStringMap): HTMLElement | undefined {
    const byId = id ? this.element.querySelector<HTMLElement>(`[data-id="${id}"]`) : null;
    return this.#shown.get(key ?? "")?.element ?? byId ?? undefined;
  }

  #start(thread: Thread | undefined): void {
    this.#thread = thread;
    this.#shown.clear();
    this.#atEnd = true;
    this.#newest.hidden = true;
    this.element.replaceChildren(this.#older, this.#empty);
    this.element.setAttribute("aria-label", thread ? `Messages in ${thread.title}` : "Messages");
  }

  /** Makes the elements be those of the thread's messages, in their order; what did not change stays as it is. */
  #reconcile(thread: Thread): void {
    const kept = new Map<string, Shown>();
    let cursor: Element = this.#older;
    let before: Item | undefined;
    const follow = (element: HTMLElement): void => {
      if (cursor.nextElementSibling !== element) cursor.after(element);
      cursor = element;
    };
    for (const item of thread.items) {
      const date = midnight(item.message.time_ms);
      const isNewDay = !before || midnight(before.message.time_ms) !== date;
      if (isNewDay) {
        const key = `day ${date}`;
        const shown = this.#shown.get(key) ?? { element: separator(item.message.time_ms), made: "", message: item };
        kept.set(key, shown);
        follow(shown.element);
      }
      const shown = this.#item(thread, item, !isNewDay && standTogether(before, item));
      kept.set(item.key, shown);
      follow(shown.element);
      before = item;
    }
    for (const [key, { element }] of this.#shown) if (!kept.has(key)) element.remove();
    this.#shown = kept;
    follow(this.#empty);
  }

  #item(thread: Thread, item: Item, together: boolean): Shown {
    const readers = item.delivery === "sent" ? thread.readersOf(item.message).join() : "";
    const made = [item.delivery, together, readers, item.refusal?.text].join("|");
    const old = this.#shown.get(item.key);
    if (old && old.made === made && old.message === item.message) return old;
    const element = renderMessage(this.#session, thread, item, together, this.#actions);
    old?.element.replaceWith(element);
    return { element, made, message: item.message };
  }

  #scrolled(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (this.#atEnd) this.#newest.hidden = true;
    if (scrollTop < NEAR_START_PX && !this.#atEnd) void this.#loadOlder();
  }

  /** A message came while the reader is further up. */
  arrived(): void {
    if (!this.#atEnd) this.#newest.hidden = false;
  }

  #toEnd(): void {
    this.#atEnd = true;
    this.#newest.hidden = true;
    this.element.scrollTop = this.element.scrollHeight;
  }

  /** What one sends oneself is to be seen. */
  sent(): void {
    this.#toEnd();
  }

  async #loadOlder(): Promise<void> {
    if (this.#thread) await this.#session.loadOlder(this.#thread);
  }

  // ---- the keyboard: arrows go from message to message, Tab into the one that has the focus

  #key(event: KeyboardEvent): void {
    if (!(event.target instanceof HTMLElement) || !["ArrowUp", "ArrowDown", "Home", "End", "Escape"].includes(event.key)) return;
    const article = event.target.closest("article");
    if (event.target !== this.element && event.target !== article && event.key !== "Escape") return;
    const all = [...this.element.querySelectorAll("article")];
    const at = article ? all.indexOf(article) : all.length;
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1, Escape: -1 }[event.key] ?? at;
    event.preventDefault();
    if (event.key === "Escape" || to >= all.length) this.#actions.toComposer();
    else all[Math.max(0, to)]?.focus();
  }

  /** The one set of tools goes where the pointer or the focus is. */
  #point(target: EventTarget | null): void {
    const article = target instanceof Element ? target.closest<HTMLElement>("article") : null;
    const key = article?.dataset["key"];
    const item = key ? this.#thread?.items.find((one) => one.key === key) : undefined;
    if (!article || !item || !this.#thread) return;
    this.#toolbar.showAt(article, this.#thread, item);
  }
}

function separator(ms: number): HTMLElement {
  return h("div", { class: "day" }, h("span", {}, day(ms)));
}

function emptyText(thread: Thread): string {
  if (thread.items.length > 0 || thread.loading || !thread.loaded) return "";
  return thread.kind === "room" ? "Nobody has said anything here yet." : `This is the beginning of your conversation with ${thread.title}.`;
}
