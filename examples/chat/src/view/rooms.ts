// Dialogs about rooms: join, create, invite, topic.

import { Refusal } from "../model/refusal";
import type { Session } from "../model/session";
import type { Thread } from "../model/thread";
import { h } from "./dom";
import { openDialog, openForm, type Field } from "./dialog";

const ROOM: Field = { name: "room", label: "Room", maxlength: 100, required: true };

/** Joins a room, or makes one. */
export function openAddRoom(session: Session, done: () => void): void {
  const kinds: [string, string][] = [
    ["join", "Join, whoever made it"],
    ["password", "Create, with a password"],
    ["invited", "Create, for the invited"],
  ];
  const fields: Field[] = [
    ROOM,
    { name: "kind", label: "What to do", options: kinds, value: "join", hint: "A room that nobody made is open to everybody who knows its name." },
    { name: "password", label: "Password", type: "password", maxlength: 128, required: true, when: ({ kind }) => kind === "password" },
  ];
  openForm("Join or create a room", fields, { label: "Go" }, async ({ room = "", kind, password }) => {
    const name = room.trim();
    if (kind === "password") await session.ask("create", { room: name, password });
    if (kind === "invited") await session.ask("create", { room: name, invite_only: true });
    await enter(session, name, kind === "password" ? { password } : {}, done);
  });
}

/** Enters a room; asks for the password where one is needed. */
export async function enter(session: Session, room: string, how: { password?: string; invite?: string }, done: () => void): Promise<void> {
  try {
    await session.join(room, how);
    done();
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== "password_required") throw error;
    const field: Field = { name: "password", label: "Password", type: "password", maxlength: 128, required: true };
    openForm(`Enter ${room}`, [field], { label: "Enter" }, async ({ password }) => enter(session, room, { password }, done), error.text);
  }
}

export function openTopic(session: Session, thread: Thread): void {
  const field: Field = { name: "text", label: "Topic", value: thread.topic, maxlength: 200, hint: "Empty: none." };
  openForm(`Topic of ${thread.title}`, [field], { label: "Set" }, async ({ text = "" }) => {
    await session.ask("topic", { room: thread.name, text: text.trim() });
  });
}

/** Invites to a private room: a user by id, or whoever gets the link. */
export function openInvite(session: Session, thread: Thread): void {
  const field: Field = { name: "user", label: "User id", maxlength: 256, hint: "Empty: make a link that lets one person in." };
  openForm(`Invite to ${thread.title}`, [field], { label: "Invite" }, async ({ user = "" }) => {
    const whom = user.trim();
    const { invite } = await session.ask<{ invite?: string }>("invite", { room: thread.name, ...(whom ? { user: whom } : {}) });
    if (invite) showLink(thread.name, invite);
    else session.notice(`${whom} is invited.`, "good");
  });
}

function showLink(room: string, invite: string): void {
  const url = `${location.origin}${location.pathname}#${new URLSearchParams({ room, invite })}`;
  openDialog("One person may come in by this link", (dialog) => [
    h("label", { class: "unseen", for: "invite-link" }, "Link"),
    h("input", { id: "invite-link", readonly: true, value: url }),
    h(
      "footer",
      {},
      h("button", { type: "button", class: "primary", on: { click: () => void navigator.clipboard?.writeText(url).then(dialog.close) } }, "Copy"),
    ),
  ]);
}
