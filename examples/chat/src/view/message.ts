// One message as people see it.

import type { Session } from "../model/session";
import type { Item, Thread } from "../model/thread";
import type { Message } from "../model/wire";
import { h } from "./dom";
import { avatar } from "./person";
import { clock, full } from "../model/time";

/** Messages of one author within this time stand together. */
const TOGETHER_MS = 5 * 60_000;

export interface MessageActions {
  react(item: Item, emoji: string, on: boolean): void;
  jump(id: number): void;
  again(item: Item): void;
  discard(item: Item): void;
  /** Takes the text back into the message box. */
  rewrite(item: Item): void;
}

export function standTogether(before: Item | undefined, item: Item): boolean {
  if (!before || item.message.reply_to !== undefined) return false;
  const [a, b] = [before.message, item.message];
  return (a.user ?? a.socket) === (b.user ?? b.socket) && a.name === b.name && b.time_ms - a.time_ms < TOGETHER_MS;
}

/** The element of a message. `together`: the author stands above already. */
export function renderMessage(session: Session, thread: Thread, item: Item, together: boolean, actions: MessageActions): HTMLElement {
  const { message } = item;
  const mine = item.delivery !== "sent" || session.isMe(message);
  const name = thread.kind === "direct" && !mine ? thread.title : thread.kind === "direct" ? session.displayName : message.name;
  const classes = ["message", together && "together", mine && "mine", mentionsMe(session, thread, message) && "mentions-me", item.delivery];
  return h(
    "article",
    { class: classes.filter(Boolean).join(" "), tabindex: -1, "data-key": item.key, "data-id": item.delivery === "sent" ? message.id : undefined },
    together ? h("time", { class: "aside-time", "aria-hidden": "true" }, clock(message.time_ms)) : avatar(name),
    h(
      "div",
      { class: "message-body" },
      h(
        "div",
        { class: together ? "message-head unseen" : "message-head" },
        h("strong", {}, name),
        " ",
        h("time", { datetime: new Date(message.time_ms).toISOString(), title: full(message.time_ms) }, clock(message.time_ms)),
      ),
      message.reply_to !== undefined && quote(thread, message.reply_to, actions),
      text(message),
      reactions(item, actions),
      state(item, actions),
      receipts(thread, item),
    ),
  );
}

function mentionsMe(session: Session, thread: Thread, message: Message): boolean {
  const me = session.identity?.user;
  const socket = thread.you?.socket ?? "";
  return message.mentions?.some((one) => (one.user !== undefined && one.user === me) || one.sockets?.includes(socket)) ?? false;
}

function quote(thread: Thread, id: number, actions: MessageActions): HTMLElement {
  const original = thread.find(id)?.message;
  const words = original ? (original.deleted ? "a deleted message" : original.text) : "an earlier message";
  return h(
    "button",
    { type: "button", class: "quote", on: { click: () => actions.jump(id) } },
    h("span", { class: "unseen" }, "In reply to "),
    original && h("strong", {}, original.name),
    original && " ",
    words,
  );
}

function text(message: Message): HTMLElement {
  if (message.deleted) return h("p", { class: "text gone" }, "This message was deleted.");
  const names = new Set(message.mentions?.map((mention) => mention.name.toLowerCase()));
  const parts = message.text.split(/(@[^\s@]+|https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]'])/u).map((part) => {
    if (part.startsWith("@") && names.has(part.slice(1).replace(/[^\p{L}\p{N}]+$/u, "").toLowerCase())) {
      return h("mark", { class: "mention" }, part);
    }
    return /^https?:\/\//u.test(part) ? link(part) : part;
  });
  return h("p", { class: "text", dir: "auto" }, ...parts, message.edited_ms !== undefined && h("span", { class: "edited" }, " (edited)"));
}

function link(url: string): Node | string {
  return URL.canParse(url) ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow" }, url) : url;
}

function reactions(item: Item, actions: MessageActions): HTMLElement | false {
  const all = item.message.reactions ?? [];
  if (all.length === 0) return false;
  const buttons = all.map(({ emoji, count, mine }) =>
    h(
      "button",
      {
        type: "button",
        class: "reaction",
        "aria-pressed": String(mine),
        "aria-label": `${emoji} ${count}${mine ? ", with yours" : ""}`,
        on: { click: () => actions.react(item, emoji, !mine) },
      },
      `${emoji} `,
      h("span", {}, count),
    ),
  );
  return h("div", { class: "reactions", role: "group", "aria-label": "Reactions" }, ...buttons);
}

function state(item: Item, actions: MessageActions): HTMLElement | false {
  const words = (label: string, act: () => void): HTMLElement => h("button", { type: "button", class: "text-button", on: { click: act } }, label);
  switch (item.delivery) {
    case "sent":
      return false;
    case "sending":
      return h("p", { class: "state" }, "Sending…");
    case "waiting":
      return h("p", { class: "state" }, "Waits for the connection.");
    case "held":
      return h("p", { class: "state held" }, "Waits for a moderator.");
    case "refused":
      return h(
        "p",
        { class: "state refused" },
        h("span", {}, "Not sent. ", item.refusal?.text ?? ""),
        h(
          "span",
          { class: "state-acts" },
          words("Change it", () => actions.rewrite(item)),
          !item.refusal?.isAboutText && words("Send again", () => actions.again(item)),
          words("Discard", () => actions.discard(item)),
        ),
      );
  }
}

function receipts(thread: Thread, item: Item): HTMLElement | false {
  const readers = item.delivery === "sent" ? thread.readersOf(item.message) : [];
  if (readers.length === 0) return false;
  const all = `Read by ${readers.join(", ")}`;
  return h("p", { class: "receipts" }, readers.length > 3 ? `Read by ${readers.slice(0, 2).join(", ")} and ${readers.length - 2} more` : all);
}
