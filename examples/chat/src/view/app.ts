// The page of one signed-in client: puts the parts together.

import { Moderation } from "../model/moderation";
import { Refusal } from "../model/refusal";
import type { Session } from "../model/session";
import type { Item, Thread } from "../model/thread";
import type { Member } from "../model/wire";
import { Composer } from "./composer";
import { Drawers } from "./drawers";
import { h } from "./dom";
import { openForm } from "./dialog";
import { Head } from "./head";
import { Log } from "./log";
import { Members } from "./members";
import { openMenu, type MenuItem } from "./menu";
import { Notices } from "./notices";
import { openPanel, openSlow } from "./panel";
import { enter, openAddRoom, openInvite, openTopic } from "./rooms";
import { moderatorItems } from "./sanction";
import { Sidebar } from "./sidebar";

const READ_AFTER_MS = 600;

export class App {
  readonly #session: Session;
  readonly #moderation: Moderation;
  readonly #drawers: Drawers;
  readonly #composer: Composer;
  readonly #log: Log;
  #reading: number | undefined;

  constructor(root: HTMLElement, session: Session, signOut: () => void) {
    this.#session = session;
    this.#moderation = new Moderation(session);
    this.#composer = new Composer(session, { sent: () => this.#log.sent(), edit: (item, text) => this.#edit(item, text) });
    this.#log = new Log(session, {
      react: (item, emoji, on) => void this.#act("react", item, { emoji, on }),
      reply: (item) => this.#composer.reply(item),
      edit: (item) => this.#composer.edit(item),
      remove: (item) => this.#remove(item),
      jump: (id) => this.#log.jump(id),
      again: (item) => this.#inThread((thread) => session.outbox.again(thread, item)),
      discard: (item) => this.#inThread((thread) => session.outbox.discard(thread, item)),
      rewrite: (item) => {
        this.#inThread((thread) => session.outbox.discard(thread, item));
        this.#composer.rewrite(item.message.text);
      },
      memberItems: (member) => this.#memberItems(member),
      toComposer: () => this.#composer.focus(),
    });
    const head = new Head(session, {
      openRooms: () => this.#drawers.toggleRooms(),
      toggleMembers: () => this.#drawers.toggleMembers(),
      roomItems: () => this.#roomItems(),
      enter: () => this.#enterAgain(),
    });
    const sidebar = new Sidebar(session, this.#moderation, {
      pick: (thread) => this.#pick(thread),
      addRoom: () => openAddRoom(session, () => this.#drawers.close()),
      moderate: () => openPanel(session, this.#moderation),
      signOut,
    });
    const members = new Members(session, {
      open: (member, anchor) => openMenu(anchor, member.name, this.#memberItems(member)),
      close: () => this.#drawers.close(),
    });
    const main = h("main", { class: "main" }, head.element, this.#log.frame, this.#composer.element);
    this.#drawers = new Drawers({ element: sidebar.element, button: head.rooms }, { element: members.element, button: head.members }, main);
    const skip = h("a", { class: "skip", href: "#composer" }, "Skip to the message box");
    const page = h("div", { class: "app" }, skip, sidebar.element, main, members.element, this.#drawers.shade);
    root.replaceChildren(page);
    const notices = new Notices(page);
    session.on("notice", (text, tone) => notices.show(text, tone));
    session.on("spoken", (text) => notices.say(text));
    session.on("arrived", (thread) => thread === session.active && this.#log.arrived());
    session.on("items", (thread) => thread === session.active && this.#readSoon());
    session.on("threads", () => this.#title());
    session.on("active", () => {
      this.#title();
      this.#readSoon();
      members.element.classList.toggle("none", session.active?.kind !== "room");
    });
    document.addEventListener("visibilitychange", this.#seen);
    this.#title();
    this.#composer.offer();
  }

  /** The page goes. */
  end(): void {
    document.removeEventListener("visibilitychange", this.#seen);
    clearTimeout(this.#reading);
    this.#composer.end();
    document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
    this.#drawers.end();
  }

  #pick(thread: Thread): void {
    this.#session.activate(thread);
    this.#drawers.close();
    if (thread.refused) this.#enterAgain();
    else this.#composer.offer();
  }

  #enterAgain(): void {
    this.#inThread((thread) => {
      enter(this.#session, thread.name, {}, () => this.#composer.focus()).catch((error: unknown) => this.#tell(error));
    });
  }

  // ---- messages

  #inThread(act: (thread: Thread) => void): void {
    if (this.#session.active) act(this.#session.active);
  }

  async #act(event: string, item: Item, more: object): Promise<boolean> {
    const place = this.#session.active?.place;
    return (await this.#session.attempt(event, { ...place, id: item.message.id, ...more })) !== undefined;
  }

  #edit(item: Item, text: string): Promise<boolean> {
    return this.#act("edit", item, { text });
  }

  #remove(item: Item): void {
    openForm("Delete this message?", [], { label: "Delete", danger: true }, async () => void (await this.#act("delete", item, {})), item.message.text);
  }

  // ---- menus

  #memberItems(member: Member): MenuItem[] {
    const thread = this.#session.active;
    const items: MenuItem[] = [{ label: `Mention ${member.name}`, act: () => this.#mention(member) }];
    const { user } = member;
    if (user) items.push({ label: "Direct message", act: () => this.#direct(user, member.name) });
    if (thread?.kind === "room" && this.#session.isModerator) items.push(...moderatorItems(this.#session, this.#moderation, thread, member));
    return items;
  }

  #mention(member: Member): void {
    this.#drawers.close();
    this.#composer.mention(member.name);
  }

  #direct(user: string, name: string): void {
    this.#session.direct(user, name);
    this.#drawers.close();
    this.#composer.focus();
  }

  #roomItems(): MenuItem[] {
    const [session, thread] = [this.#session, this.#session.active];
    if (!thread) return [];
    const close: MenuItem = { label: thread.kind === "room" ? "Leave the room" : "Close the conversation", act: () => void session.leave(thread), danger: true };
    if (thread.kind === "direct" || !thread.you) return [close];
    const items: MenuItem[] = [
      { label: "Set the topic", act: () => openTopic(session, thread) },
      { label: "Invite", act: () => openInvite(session, thread) },
    ];
    if (session.isModerator) items.push({ label: "Slow mode", act: () => openSlow(session, this.#moderation, thread.name) });
    return [...items, close];
  }

  // ---- what was read, and what waits to be

  readonly #seen = (): void => {
    if (!document.hidden) this.#readSoon();
  };

  #readSoon(): void {
    clearTimeout(this.#reading);
    this.#reading = window.setTimeout(() => {
      const thread = this.#session.active;
      if (thread && !document.hidden) void this.#session.read(thread);
    }, READ_AFTER_MS);
  }

  #title(): void {
    const unread = [...this.#session.threads.values()].reduce((sum, thread) => sum + thread.unread, 0);
    const name = this.#session.active?.title ?? "Hubbub";
    document.title = unread > 0 ? `(${unread}) ${name} – Hubbub` : `${name} – Hubbub`;
  }

  #tell(error: unknown): void {
    this.#session.notice(error instanceof Refusal ? error.text : "That did not work.", "bad");
  }
}
