// What can be done with the message under the pointer or the focus.

import type { Session } from "../model/session";
import type { Item, Thread } from "../model/thread";
import type { Member } from "../model/wire";
import { fill, h, iconButton } from "./dom";
import { openMenu, type MenuItem } from "./menu";

export interface ToolbarActions {
  react(item: Item, emoji: string, on: boolean): void;
  reply(item: Item): void;
  edit(item: Item): void;
  remove(item: Item): void;
  /** What may be done with a message's author. */
  memberItems(member: Member): MenuItem[];
  toComposer(): void;
}

const EMOJI = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏", "👀"];

export class Toolbar {
  // its coming and going is no news in the log
  readonly #element = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Message", "aria-live": "off" });
  readonly #session: Session;
  readonly #actions: ToolbarActions;
  #item: Item | undefined;

  constructor(session: Session, actions: ToolbarActions) {
    this.#session = session;
    this.#actions = actions;
  }

  showAt(article: HTMLElement, thread: Thread, item: Item): void {
    if (this.#element.parentElement === article && this.#item === item) return;
    if (this.#element.contains(document.activeElement) || this.#element.querySelector("[aria-expanded=true]")) return;
    this.#item = item;
    const buttons = this.#buttons(thread, item);
    if (buttons.length === 0) return this.#element.remove();
    fill(this.#element, ...buttons);
    article.append(this.#element);
  }

  #buttons(thread: Thread, item: Item): HTMLElement[] {
    if (item.delivery !== "sent" || item.message.deleted || !thread.isOpen) return [];
    const { message } = item;
    const inRoom = thread.kind === "room";
    const mine = this.#session.isMe(message);
    const items: MenuItem[] = [{ label: "Copy text", act: () => void navigator.clipboard?.writeText(message.text) }];
    if (mine) items.push({ label: "Edit", act: () => this.#actions.edit(item) });
    if (mine || (inRoom && this.#session.isModerator)) items.push({ label: "Delete", act: () => this.#actions.remove(item), danger: true });
    if (inRoom && !mine) items.push(...this.#actions.memberItems(message));
    const more = iconButton("more", "More", () => openMenu(more, `Message of ${message.name}`, items), { "aria-haspopup": "menu" });
    const react = iconButton("smile", "React", () => this.#pick(react, item), { "aria-haspopup": "menu" });
    return [react, inRoom && iconButton("reply", "Reply", () => this.#actions.reply(item)), more].filter((button) => button !== false);
  }

  #pick(anchor: HTMLElement, item: Item): void {
    const items = EMOJI.map((emoji) => {
      const mine = item.message.reactions?.some((one) => one.emoji === emoji && one.mine) ?? false;
      return { label: emoji, act: () => this.#actions.react(item, emoji, !mine) };
    });
    openMenu(anchor, "React with", items, "emoji");
  }
}
