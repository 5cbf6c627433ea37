// Right: who is in the room.

import type { Session } from "../model/session";
import type { Thread } from "../model/thread";
import type { Member } from "../model/wire";
import { fill, h, iconButton } from "./dom";
import { avatar } from "./person";

export interface MembersActions {
  /** The menu of a member, at a button. */
  open(member: Member, anchor: HTMLElement): void;
  close(): void;
}

export class Members {
  readonly #list = h("ul", { class: "members-list" });
  readonly #title = h("h2", { id: "members-title" });
  readonly #more = h("p", { class: "quiet hint" });
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #actions: MembersActions;

  constructor(session: Session, actions: MembersActions) {
    this.#session = session;
    this.#actions = actions;
    this.element = h(
      "aside",
      { class: "members", id: "members", "aria-labelledby": "members-title" },
      h("header", {}, this.#title, iconButton("close", "Close the list of members", () => actions.close(), { class: "icon-button only-drawer" })),
      this.#list,
      this.#more,
    );
    session.on("room", (thread) => thread === session.active && this.#render());
    session.on("active", () => this.#render());
    session.on("status", () => this.#render());
    this.#render();
  }

  #render(): void {
    const thread = this.#session.active;
    if (thread?.kind !== "room") return;
    const people = onePerUser(thread, (member) => this.#session.isMe(member));
    const more = thread.membersCount - thread.members.length;
    this.#title.textContent = `Members · ${people.length + Math.max(0, more)}`;
    fill(this.#list, ...people.map((member) => this.#entry(member)));
    this.#more.textContent = more > 0 ? `and ${more} more` : "";
  }

  #entry(member: Member): HTMLElement {
    const me = this.#session.isMe(member);
    const name = h("span", { class: "member-name" }, member.name, me && h("span", { class: "quiet" }, " you"));
    if (me) return h("li", { class: "member" }, avatar(member.name), name);
    const button = h("button", {
      type: "button",
      class: "member",
      "aria-haspopup": "menu",
      on: { click: () => this.#actions.open(member, button) },
    });
    button.append(avatar(member.name), name);
    return h("li", {}, button);
  }
}

/** Several tabs of one user are one person; oneself comes first, then the alphabet. */
function onePerUser(thread: Thread, isMe: (member: Member) => boolean): Member[] {
  const people = new Map(thread.members.map((member) => [member.user ?? member.socket, member]));
  return [...people.values()].sort((a, b) => Number(isMe(b)) - Number(isMe(a)) || a.name.localeCompare(b.name));
}
