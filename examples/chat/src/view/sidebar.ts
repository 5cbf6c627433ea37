// Left: who this client is, its rooms and its direct messages.

import type { Session } from "../model/session";
import type { Moderation } from "../model/moderation";
import type { Thread } from "../model/thread";
import { fill, h, icon, iconButton } from "./dom";
import { avatar } from "./person";

export interface SidebarActions {
  pick(thread: Thread): void;
  addRoom(): void;
  moderate(): void;
  signOut(): void;
}

export class Sidebar {
  readonly #rooms = h("ul", { class: "threads" });
  readonly #directs = h("ul", { class: "threads" });
  readonly #noDirects = h("p", { class: "quiet hint" }, "Pick a member to write to.");
  readonly #me = h("div", { class: "me" });
  readonly #tools = h("div", { class: "tools" });
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #moderation: Moderation;
  readonly #actions: SidebarActions;

  constructor(session: Session, moderation: Moderation, actions: SidebarActions) {
    this.#session = session;
    this.#moderation = moderation;
    this.#actions = actions;
    this.element = h(
      "nav",
      { class: "sidebar", id: "sidebar", "aria-label": "Rooms and direct messages" },
      h("p", { class: "brand" }, h("span", { class: "mark", "aria-hidden": "true" }), "Hubbub"),
      h(
        "div",
        { class: "lists" },
        h("div", { class: "list-head" }, h("h2", { id: "rooms-title" }, "Rooms"), iconButton("plus", "Join or create a room", () => actions.addRoom())),
        this.#rooms,
        h("div", { class: "list-head" }, h("h2", { id: "directs-title" }, "Direct messages")),
        this.#directs,
        this.#noDirects,
      ),
      this.#tools,
      this.#me,
    );
    this.#rooms.setAttribute("aria-labelledby", "rooms-title");
    this.#directs.setAttribute("aria-labelledby", "directs-title");
    session.on("threads", () => this.#lists());
    session.on("active", () => this.#lists());
    session.on("room", () => this.#lists());
    session.on("status", () => this.#person());
    moderation.on("changed", () => this.#person());
    this.#lists();
    this.#person();
  }

  #lists(): void {
    const focused = (document.activeElement as HTMLElement | null)?.dataset["thread"];
    fill(this.#rooms, ...this.#session.rooms.map((thread) => this.#entry(thread)));
    fill(this.#directs, ...this.#session.directs.map((thread) => this.#entry(thread)));
    this.#noDirects.hidden = this.#session.directs.length > 0;
    if (focused) this.element.querySelector<HTMLElement>(`[data-thread="${CSS.escape(focused)}"]`)?.focus();
  }

  #entry(thread: Thread): HTMLElement {
    const picture = thread.kind === "direct" ? avatar(thread.title) : icon(thread.refused ? "lock" : "hash");
    const current = thread === this.#session.active;
    const unread = thread.unread > 0 && !current;
    const badge = unread && h("span", { class: thread.mentioned || thread.kind === "direct" ? "badge loud" : "badge" }, thread.unread);
    const words = unread && h("span", { class: "unseen" }, thread.mentioned ? " unread, you are mentioned" : " unread");
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: unread ? "thread unread" : "thread",
          "aria-current": current ? "page" : undefined,
          "data-thread": thread.key,
          on: { click: () => this.#actions.pick(thread) },
        },
        picture,
        h("span", { class: "thread-name" }, thread.title),
        badge,
        words,
      ),
    );
  }

  #person(): void {
    const { identity, displayName, isModerator } = this.#session;
    const role = isModerator ? "Moderator" : identity?.guest ? "Guest" : identity ? "Signed in" : "";
    fill(
      this.#me,
      avatar(displayName),
      h("span", { class: "me-name" }, h("strong", {}, displayName), h("span", { class: "quiet" }, role)),
      iconButton("out", "Sign out", () => this.#actions.signOut()),
    );
    const waiting = this.#moderation.waiting;
    fill(
      this.#tools,
      isModerator &&
        h(
          "button",
          { type: "button", class: "thread", on: { click: () => this.#actions.moderate() } },
          icon("shield"),
          h("span", { class: "thread-name" }, "Moderation"),
          waiting > 0 && h("span", { class: "badge loud" }, waiting, h("span", { class: "unseen" }, " to review")),
        ),
    );
  }
}
