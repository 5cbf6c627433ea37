// The box that messages are written in: new ones, replies, and changes of old ones.

import type { Session } from "../model/session";
import type { Item, Thread } from "../model/thread";
import { fill, h, icon, iconButton } from "./dom";
import { MentionPicker } from "./mentions";

const TEXT_MAX_CHARS = 4000;
const COUNT_FROM_CHARS = 3500;
const STOPPED_TYPING_MS = 4000;

type Mode = { kind: "new" } | { kind: "reply" | "edit"; item: Item };

export interface ComposerActions {
  sent(): void;
  /** The refusal is shown by the caller; whether it went well. */
  edit(item: Item, text: string): Promise<boolean>;
}

export class Composer {
  readonly #input = h("textarea", {
    id: "composer",
    rows: 1,
    "aria-label": "Message",
    "aria-describedby": "composer-hint",
    enterkeyhint: "send",
  });
  readonly #hint = h("p", { class: "unseen", id: "composer-hint" }, "Enter sends, Shift and Enter begins a new line.");
  readonly #mode = h("div", { class: "mode", hidden: true });
  readonly #typing = h("p", { class: "typing" });
  readonly #count = h("span", { class: "count", hidden: true });
  readonly #send = h("button", { type: "submit", class: "send", "aria-label": "Send", title: "Send" }, icon("send"));
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #actions: ComposerActions;
  /** What was begun in other threads. */
  #drafts = new Map<string, string>();
  #thread: Thread | undefined;
  #now: Mode = { kind: "new" };
  #stop: number | undefined;
  readonly #clock: number;

  constructor(session: Session, actions: ComposerActions) {
    this.#session = session;
    this.#actions = actions;
    const picker = new MentionPicker(this.#input, () => this.#others());
    this.element = h(
      "form",
      { class: "composer", on: { submit: (event) => this.#submit(event) } },
      this.#typing,
      this.#mode,
      h("div", { class: "box" }, picker.element, this.#input, this.#count, this.#send),
      this.#hint,
    );
    this.#input.addEventListener("input", () => this.#changed());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    session.on("active", () => this.#switch());
    session.on("room", () => this.#switch());
    session.on("status", () => this.#switch());
    session.on("typing", (thread) => thread === session.active && this.#typists());
    this.#clock = window.setInterval(() => this.#typists(), 2000);
    this.#switch();
  }

  focus(): void {
    this.#input.focus();
  }

  /** For who has a keyboard: on a phone the one on the screen would cover what is to be read. */
  offer(): void {
    if (matchMedia("(hover: hover)").matches) this.focus();
  }

  /** The page goes. */
  end(): void {
    clearInterval(this.#clock);
    clearTimeout(this.#stop);
  }

  reply(item: Item): void {
    this.#set({ kind: "reply", item });
    this.focus();
  }

  edit(item: Item): void {
    this.#set({ kind: "edit", item });
    this.#write(item.message.text);
  }

  /** Puts a text into the box, and the cursor behind it. */
  #write(text: string): void {
    this.#input.value = text;
    this.#changed();
    this.focus();
    this.#input.setSelectionRange(text.length, text.length);
  }

  /** A refused text, to be changed. */
  rewrite(text: string): void {
    this.#set({ kind: "new" });
    this.#write(text);
  }

  mention(name: string): void {
    const before = this.#input.value;
    this.#write(`${before}${before && !before.endsWith(" ") ? " " : ""}@${name} `);
  }

  /** The names that can be mentioned. */
  #others(): string[] {
    const members = this.#thread?.kind === "room" ? this.#thread.members : [];
    return [...new Set(members.filter((member) => !this.#session.isMe(member)).map(({ name }) => name))].sort((a, b) => a.localeCompare(b));
  }

  #switch(): void {
    const thread = this.#session.active;
    if (thread !== this.#thread) {
      if (this.#thread) this.#drafts.set(this.#thread.key, this.#now.kind === "edit" ? "" : this.#input.value);
      this.#thread = thread;
      this.#set({ kind: "new" });
      this.#input.value = this.#drafts.get(thread?.key ?? "") ?? "";
      this.#resize();
    }
    const closed = !thread || thread.refused !== undefined;
    this.#input.disabled = closed;
    this.#send.disabled = closed;
    this.#input.placeholder = !thread ? "" : thread.kind === "room" ? `Message to ${thread.title}` : `Message to ${thread.title}, for nobody else`;
    this.#input.setAttribute("aria-label", this.#input.placeholder || "Message");
    this.#typists();
  }

  #set(mode: Mode): void {
    if (this.#now.kind === "edit" && mode.kind !== "edit") this.#input.value = "";
    this.#now = mode;
    this.#mode.hidden = mode.kind === "new";
    if (mode.kind === "new") return fill(this.#mode);
    const words = mode.kind === "reply" ? `Reply to ${mode.item.message.name}` : "Change your message";
    fill(
      this.#mode,
      icon("reply"),
      h("strong", {}, words),
      h("span", { class: "mode-text" }, mode.kind === "reply" ? mode.item.message.text : ""),
      iconButton("close", "Cancel", () => this.#cancel()),
    );
  }

  #cancel(): void {
    this.#set({ kind: "new" });
    this.#resize();
    this.focus();
  }

  #submit(event?: Event): void {
    event?.preventDefault();
    const [thread, text, mode] = [this.#thread, this.#input.value.trim(), this.#now];
    if (!thread || !text || this.#input.disabled) return;
    if ([...text].length > TEXT_MAX_CHARS) return this.#session.notice(`A message has at most ${TEXT_MAX_CHARS} characters.`, "bad");
    this.#stopTyping();
    if (mode.kind === "edit") return void this.#saveEdit(mode.item, text);
    this.#session.outbox.send(thread, text, mode.kind === "reply" ? mode.item.message.id : undefined);
    this.#input.value = "";
    this.#set({ kind: "new" });
    this.#resize();
    this.focus();
    this.#actions.sent();
  }

  async #saveEdit(item: Item, text: string): Promise<void> {
    if (text === item.message.text || (await this.#actions.edit(item, text))) this.#cancel();
  }

  #key(event: KeyboardEvent): void {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "Escape" && this.#now.kind !== "new") {
      event.preventDefault();
      event.stopPropagation();
      this.#cancel();
    } else if (event.key === "ArrowUp" && this.#input.value === "" && this.#thread?.isOpen) {
      const last = this.#thread.items.findLast((item) => item.delivery === "sent" && !item.message.deleted && this.#session.isMe(item.message));
      if (!last) return;
      event.preventDefault();
      this.edit(last);
    }
  }

  #changed(): void {
    this.#resize();
    const length = [...this.#input.value].length;
    this.#count.hidden = length < COUNT_FROM_CHARS;
    this.#count.textContent = String(TEXT_MAX_CHARS - length);
    this.#count.classList.toggle("over", length > TEXT_MAX_CHARS);
    if (!this.#thread || this.#now.kind === "edit") return;
    clearTimeout(this.#stop);
    if (length === 0) return this.#stopTyping();
    this.#session.outbox.typing(this.#thread, true);
    this.#stop = window.setTimeout(() => this.#stopTyping(), STOPPED_TYPING_MS);
  }

  #stopTyping(): void {
    clearTimeout(this.#stop);
    if (this.#thread) this.#session.outbox.typing(this.#thread, false);
  }

  /** As high as the text. Before it is on the page it has no height that could be measured. */
  #resize(): void {
    if (!this.#input.isConnected) return;
    this.#input.style.height = "auto";
    this.#input.style.height = `${this.#input.scrollHeight}px`;
  }

  #typists(): void {
    const names = this.#thread?.typists ?? [];
    const who = names.length > 2 ? "Several people are" : `${names.join(" and ")} ${names.length === 1 ? "is" : "are"}`;
    const text = names.length === 0 ? "" : `${who} typing…`;
    if (this.#typing.textContent !== text) this.#typing.textContent = text;
    this.#typing.classList.toggle("on", names.length > 0);
  }
}
