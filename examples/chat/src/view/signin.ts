// The first page: a name or a token.

import type { Credentials } from "../model/connection";
import { roomName } from "../model/names";
import { h } from "./dom";

/** Shows the page; `why` says why it is shown again, to whom was called `known`. */
export function signIn(app: HTMLElement, why: string | undefined, known: string | undefined, done: (credentials: Credentials) => void): void {
  const error = h("p", { class: "form-error", role: "alert", id: "signin-error" }, why);
  const name = h("input", { id: "name", name: "name", autocomplete: "nickname", maxlength: 32, value: known, "aria-describedby": "signin-error" });
  const token = h("textarea", {
    id: "token",
    name: "token",
    rows: 4,
    spellcheck: "false",
    autocomplete: "off",
    "aria-describedby": "token-hint signin-error",
  });
  const submit = (event: Event): void => {
    event.preventDefault();
    const credentials = read();
    if (typeof credentials === "string") error.textContent = credentials;
    else done(credentials);
  };
  const read = (): Credentials | string => {
    if (details.open && token.value.trim()) return { token: token.value.trim() };
    const wanted = name.value.trim();
    if (!wanted) return details.open ? "Paste a token, or give a name." : "Give a name.";
    return roomName(wanted) ? { name: wanted } : "Names have letters, and do not begin with “guest-”.";
  };
  const details = h(
    "details",
    {},
    h("summary", {}, "Sign in with a token"),
    h(
      "div",
      { class: "field" },
      h("label", { for: "token" }, "Token"),
      token,
      h("p", { class: "hint", id: "token-hint" }, "A signed token (JWT) says who you are, and whether you moderate."),
    ),
  );
  const form = h(
    "form",
    { class: "signin", on: { submit } },
    h("div", { class: "mark", "aria-hidden": "true" }),
    h("h1", {}, "Hubbub chat"),
    h("p", { class: "quiet" }, "Rooms, direct messages and moderation, all made of plugins."),
    h("div", { class: "field" }, h("label", { for: "name" }, "Your name"), name),
    details,
    error,
    h("button", { class: "primary", type: "submit" }, "Enter"),
  );
  app.replaceChildren(h("main", { class: "front" }, form));
  document.title = "Hubbub chat";
  name.focus();
}
