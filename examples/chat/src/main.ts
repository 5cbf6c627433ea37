// The chat page: signing in, then the chat.

import "./style/index.css";
import type { Credentials } from "./model/connection";
import type { Refusal } from "./model/refusal";
import { forget, load, save } from "./model/saved";
import { Session } from "./model/session";
import { App } from "./view/app";
import { enter } from "./view/rooms";
import { signIn } from "./view/signin";

const root = document.getElementById("app") as HTMLElement;

function ask(why?: string, known?: string): void {
  signIn(root, why, known, (credentials) => start(credentials));
}

function start(credentials: Credentials): void {
  const saved = { ...load(), credentials };
  save(saved);
  const session = new Session(credentials, saved);
  const app = new App(root, session, () => {
    forget();
    leave();
  });
  const leave = (why?: Refusal): void => {
    session.close();
    app.end();
    ask(why?.text, "name" in credentials ? credentials.name : undefined);
  };
  session.on("refused", (why) => {
    save({ ...load(), credentials: undefined });
    leave(why);
  });
  followInvite(session);
}

/** A link with `#room=...` leads into that room, once. */
function followInvite(session: Session): void {
  const params = new URLSearchParams(location.hash.slice(1));
  const [room, invite] = [params.get("room"), params.get("invite")];
  if (!room) return;
  history.replaceState(null, "", location.pathname);
  const go = (): void => {
    if (session.status !== "online" || session.threads.get(`room:${room}`)?.you) return;
    done = true;
    enter(session, room, invite ? { invite } : {}, () => undefined).catch((error: unknown) => session.notice((error as Error).message, "bad"));
  };
  let done = false;
  session.on("status", () => done || go());
}

const { credentials } = load();
if (credentials) start(credentials);
else ask();
