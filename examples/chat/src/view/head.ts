// Above the messages: which room, its topic, what can be done with it; and how the connection is.

import type { Session } from "../model/session";
import { fill, h, icon, iconButton } from "./dom";
import { openMenu, type MenuItem } from "./menu";
import { avatar } from "./person";

export interface HeadActions {
  openRooms(): void;
  toggleMembers(): void;
  roomItems(): MenuItem[];
  /** The room cannot be entered as it is: ask for what is missing. */
  enter(): void;
}

export class Head {
  readonly #picture = h("span", { class: "head-picture" });
  readonly #title = h("h1", {});
  readonly #topic = h("p", { class: "topic" });
  readonly rooms: HTMLButtonElement;
  readonly members: HTMLButtonElement;
  readonly #more: HTMLButtonElement;
  readonly element: HTMLElement;
  readonly #banner = h("div", { class: "banner", role: "status" });
  readonly #refused = h("div", { class: "refused-room" });
  readonly #session: Session;
  readonly #actions: HeadActions;

  constructor(session: Session, actions: HeadActions) {
    this.#session = session;
    this.#actions = actions;
    this.rooms = iconButton("menu", "Rooms", () => actions.openRooms(), { "aria-controls": "sidebar", "aria-expanded": "false" });
    this.rooms.classList.add("only-narrow");
    this.members = iconButton("people", "Members", () => actions.toggleMembers(), { "aria-controls": "members" });
    this.#more = iconButton("more", "More about this conversation", () => openMenu(this.#more, "Conversation", actions.roomItems()), {
      "aria-haspopup": "menu",
    });
    this.element = h(
      "div",
      { class: "head-frame" },
      h("header", { class: "head" }, this.rooms, this.#picture, h("div", { class: "head-text" }, this.#title, this.#topic), this.members, this.#more),
      this.#banner,
      this.#refused,
    );
    session.on("active", () => this.#render());
    session.on("room", () => this.#render());
    session.on("status", () => this.#status());
    this.#render();
    this.#status();
  }

  #render(): void {
    const thread = this.#session.active;
    const isRoom = thread?.kind === "room";
    this.#title.textContent = thread?.title ?? "No room";
    fill(this.#picture, thread && (isRoom ? icon("hash") : avatar(thread.title)));
    this.#topic.textContent = isRoom ? thread.topic : thread ? "Only you two see this" : "";
    this.members.hidden = !isRoom;
    this.#more.hidden = !thread;
    fill(
      this.#refused,
      thread?.refused && h("p", {}, thread.refused.text),
      thread?.refused && h("button", { type: "button", class: "primary", on: { click: () => this.#actions.enter() } }, "Enter again"),
    );
  }

  #status(): void {
    const { status } = this.#session;
    const words = {
      connecting: "Connecting…",
      online: "",
      lost: "The connection is lost. What you write is sent when it is back.",
      catching_up: "Connected again. Loading what happened meanwhile…",
      ended: "",
    }[status];
    this.#banner.className = `banner ${status}`;
    fill(
      this.#banner,
      words && h("span", { class: "pulse", "aria-hidden": "true" }),
      words && h("span", {}, words),
      status === "lost" && h("button", { type: "button", class: "text-button", on: { click: () => this.#session.retry() } }, "Try now"),
    );
  }
}
