// One signed-in client: its connection, its threads, and what the node tells of them.

import { Connection, type Credentials } from "./connection";
import { Emitter } from "./emitter";
import { roomName, withFreeName } from "./names";
import { Outbox } from "./outbox";
import { Refusal } from "./refusal";
import { save, type Saved } from "./saved";
import { isSelf, Thread } from "./thread";
import type { Act, DirectsAck, Edited, HistoryAck, Identity, JoinAck, Member, Message, Reacted, WireError } from "./wire";

/** `catching_up`: connected again, the node had forgotten this client, rooms are being loaded anew. */
export type Status = "connecting" | "online" | "lost" | "catching_up" | "ended";
export type Tone = "info" | "good" | "bad";

type SessionEvents = {
  status: [];
  /** The lists of rooms and direct messages, or what is unread in them. */
  threads: [];
  active: [];
  items: [Thread];
  /** Members, topic, or whether it can be entered. */
  room: [Thread];
  typing: [Thread];
  /** Something to be shown for a moment, and read out. */
  notice: [text: string, tone: Tone];
  /** Something that can be seen already, to be read out. */
  spoken: [text: string];
  /** A message came that is nobody's own. */
  arrived: [Thread, Message];
  refused: [Refusal];
  /** An event of a plugin other than chat-rooms. */
  other: [name: string, body: unknown];
};

const PAGE = 50;
/** Pages that are loaded after a connection that could not be recovered; older ones come by scrolling. */
const PAGES_AGAIN = 6;
const IDENTITY_TIMEOUT_MS = 1500;
const MODERATOR_ROLE = "moderator";

export class Session extends Emitter<SessionEvents> {
  readonly threads = new Map<string, Thread>();
  readonly outbox: Outbox;
  identity: Identity | undefined;
  status: Status = "connecting";
  active: Thread | undefined;
  /** What the connection came back as, at the last time: `undefined` before it was lost. */
  recovered: boolean | undefined;
  readonly #connection: Connection;
  readonly #names = new Map<string, string>();
  /** Rooms that are not in the list until the node has let this client in. */
  readonly #entering = new Map<string, Thread>();
  #identified: (() => void) | undefined;
  #wasOnline = false;
  /** Whether the rooms were joined, so that a recovered connection lacks nothing. */
  #isSettled = false;
  #life = 0;

  constructor(
    readonly credentials: Credentials,
    saved: Saved,
  ) {
    super();
    for (const { user, name } of saved.directs) {
      this.#names.set(user, name);
      this.#open(new Thread("direct", user, name));
    }
    for (const room of saved.rooms) this.#open(new Thread("room", room, room));
    this.active = this.threads.get(saved.active ?? "") ?? this.rooms[0];
    this.outbox = new Outbox(this);
    this.#connection = new Connection(credentials, {
      online: (recovered) => void this.#online(recovered),
      lost: () => this.#lost(),
      ended: (why) => this.#ended(why),
      event: (name, body) => this.#event(name, body),
    });
  }

  get rooms(): Thread[] {
    return [...this.threads.values()].filter((thread) => thread.kind === "room");
  }

  get directs(): Thread[] {
    return [...this.threads.values()].filter((thread) => thread.kind === "direct");
  }

  get isModerator(): boolean {
    return this.identity?.roles.includes(MODERATOR_ROLE) ?? false;
  }

  /** Whether messages can go out now. */
  get isReady(): boolean {
    return this.status === "online";
  }

  get displayName(): string {
    const given = "name" in this.credentials ? this.credentials.name : undefined;
    return this.identity?.name ?? given ?? this.identity?.user ?? "";
  }

  isMe(member: Member): boolean {
    return isSelf(member, this.identity, this.#connection.id);
  }

  /** What a user was last seen to be called. */
  nameOf(user: string): string {
    return this.#names.get(user) ?? user;
  }

  ask<T>(event: string, body: object): Promise<T> {
    return this.#connection.ask<T>(event, body);
  }

  /** The same, where a refusal needs no more than being shown. */
  async attempt<T>(event: string, body: object): Promise<T | undefined> {
    try {
      return await this.ask<T>(event, body);
    } catch (error) {
      this.notice(error instanceof Refusal ? error.text : "That did not work.", "bad");
      return undefined;
    }
  }

  notice(text: string, tone: Tone = "info"): void {
    this.emit("notice", text, tone);
  }

  /** Reads out what can be seen anyway. */
  say(text: string): void {
    this.emit("spoken", text);
  }

  /** Tells something about a thread: what can be seen in it is only read out. */
  noticeIn(thread: Thread, text: string, tone: Tone): void {
    if (thread === this.active) this.say(text);
    else this.notice(text, tone);
  }

  changed(thread: Thread): void {
    this.emit("items", thread);
  }

  retry(): void {
    this.#connection.retry();
  }

  close(): void {
    this.#connection.close();
  }

  activate(thread: Thread): void {
    this.active = thread;
    thread.unread = 0;
    thread.mentioned = false;
    this.#save();
    this.emit("active");
    this.emit("threads");
    if (!thread.loaded && this.isReady) void this.#reload(thread);
  }

  /** Opens the conversation with a user. */
  direct(user: string, name: string): Thread {
    this.#names.set(user, name);
    const thread = this.threads.get(`direct:${user}`) ?? this.#open(new Thread("direct", user, name));
    this.activate(thread);
    return thread;
  }

  /** Joins a room, and shows it when that went well. A refusal is thrown. */
  async join(room: string, how: { password?: string; invite?: string } = {}): Promise<void> {
    const known = this.threads.get(`room:${room}`);
    const thread = known ?? new Thread("room", room, room);
    this.#entering.set(thread.key, thread);
    try {
      await this.#enter(thread, how);
      if (!known) this.#open(thread);
    } finally {
      this.#entering.delete(thread.key);
    }
    this.activate(thread);
    await this.#reload(thread);
  }

  async leave(thread: Thread): Promise<void> {
    if (thread.kind === "room" && thread.you) await this.attempt("leave", { room: thread.name });
    this.#close(thread);
  }

  /** Loads what is older than what is known. */
  async loadOlder(thread: Thread): Promise<void> {
    if (thread.loading || !thread.more || !this.isReady) return;
    thread.beginPages();
    this.emit("items", thread);
    try {
      const page = await this.#page(thread, thread.firstId);
      thread.endPages(page.messages, page.more, false);
    } catch {
      thread.failPages();
      this.notice("Earlier messages could not be loaded.", "bad");
    }
    this.emit("items", thread);
  }

  /** Tells the room how far this client has read. */
  async read(thread: Thread): Promise<void> {
    thread.unread = 0;
    thread.mentioned = false;
    this.emit("threads");
    const id = thread.lastId;
    if (!thread.isOpen || id <= thread.readId || !this.isReady) return;
    thread.readId = id;
    // a message that only this client got (a shadow ban) cannot be read: that is no news
    await this.ask("read", { ...thread.place, id }).catch(() => undefined);
  }

  // ---- the connection

  async #online(recovered: boolean): Promise<void> {
    const life = ++this.#life;
    const again = this.#wasOnline;
    this.#wasOnline = true;
    if (again) this.recovered = recovered;
    if (recovered && this.#isSettled) {
      this.#set("online");
      this.notice("Connected again. Nothing was missed.", "good");
      this.outbox.flush();
      return;
    }
    this.#isSettled = false;
    if (again) this.#set("catching_up");
    if (!recovered) await this.#identity();
    await Promise.all(this.rooms.map((thread) => this.#enter(thread, {}).catch(() => undefined)));
    if (life !== this.#life) return;
    this.#isSettled = true;
    this.#set("online");
    this.emit("threads");
    const wanted = [...this.threads.values()].filter((thread) => again || thread === this.active);
    await Promise.all([this.#directs(), ...wanted.map((thread) => this.#reload(thread))]);
    if (life !== this.#life) return;
    if (again) this.notice("Connected again. Rooms were joined anew and are up to date.", "good");
    this.outbox.flush();
  }

  /** Waits until the node has said who this client is. Nodes without auth-token never do. */
  #identity(): Promise<void> {
    this.identity = undefined;
    return new Promise((resolve) => {
      this.#identified = resolve;
      setTimeout(resolve, IDENTITY_TIMEOUT_MS);
    });
  }

  #lost(): void {
    this.#life += 1;
    if (this.status !== "lost") this.#set(this.#wasOnline ? "lost" : "connecting");
  }

  #ended(why: Refusal): void {
    this.#life += 1;
    this.#set("ended");
    this.emit("refused", why);
  }

  #set(status: Status): void {
    this.status = status;
    this.emit("status");
  }

  // ---- threads

  #open(thread: Thread): Thread {
    this.threads.set(thread.key, thread);
    this.#save();
    this.emit("threads");
    return thread;
  }

  #close(thread: Thread): void {
    this.threads.delete(thread.key);
    if (this.active === thread) {
      this.active = this.rooms[0] ?? this.directs[0];
      this.emit("active");
    }
    this.#save();
    this.emit("threads");
  }

  #save(): void {
    save({
      credentials: this.credentials,
      rooms: this.rooms.map((thread) => thread.name),
      directs: this.directs.map((thread) => ({ user: thread.name, name: thread.title })),
      active: this.active?.key,
    });
  }

  async #enter(thread: Thread, how: { password?: string; invite?: string }): Promise<void> {
    const password = how.password ?? thread.password;
    const body = { room: thread.name, ...(password ? { password } : {}), ...(how.invite ? { invite: how.invite } : {}) };
    const wanted = roomName(this.displayName);
    thread.beginEnter();
    try {
      const ack = await withFreeName(wanted, (name) => this.ask<JoinAck>("join", name ? { ...body, name } : body));
      thread.enter(ack);
      if (password) thread.password = password;
      ack.members.forEach((member) => this.#know(member));
      if (wanted && ack.you.name !== wanted) this.notice(`In ${thread.title} you are called ${ack.you.name}.`);
    } catch (error) {
      thread.stayOut(error instanceof Refusal ? error : undefined);
      this.emit("room", thread);
      throw error;
    }
    this.emit("room", thread);
  }

  /** Loads the newest messages, back to the oldest that is known: so nothing that changed meanwhile is missed. */
  async #reload(thread: Thread): Promise<void> {
    if (thread.loading || (thread.kind === "room" && !thread.you)) return;
    const [until, newest] = [thread.firstId, thread.newestId];
    thread.beginPages();
    this.emit("items", thread);
    try {
      let page = await this.#page(thread);
      const messages = page.messages;
      for (let n = 1; n < PAGES_AGAIN && page.more && (messages[0]?.id ?? 0) > until && until > 0; n += 1) {
        page = await this.#page(thread, messages[0]?.id);
        messages.unshift(...page.messages);
      }
      const missed = messages.filter((message) => message.id > newest && !this.isMe(message));
      thread.endPages(messages, page.more, true);
      messages.forEach((message) => this.#know(message));
      if (thread !== this.active && newest > 0) thread.unread += missed.length;
      this.emit("threads");
    } catch (error) {
      thread.failPages();
      if (error instanceof Refusal && this.isReady) this.notice(`Messages could not be loaded: ${error.text}`, "bad");
    }
    this.emit("items", thread);
  }

  /** Opens conversations that were had while this client was away, or in another tab. */
  async #directs(): Promise<void> {
    const known = await this.ask<DirectsAck>("rooms", {}).catch(() => undefined);
    // the newest comes first, and stands at the end
    for (const { user, unread } of known?.directs.toReversed() ?? []) {
      if (this.threads.has(`direct:${user}`)) continue;
      this.#open(new Thread("direct", user, this.nameOf(user))).unread = unread;
    }
    this.emit("threads");
  }

  #page(thread: Thread, before?: number): Promise<HistoryAck> {
    return this.ask<HistoryAck>("history", { ...thread.place, limit: PAGE, ...(before ? { before } : {}) });
  }

  #know(member: Member): void {
    // in direct messages a user's id stands in place of the name
    if (!member.user || member.name === member.user) return;
    this.#names.set(member.user, member.name);
    const direct = this.threads.get(`direct:${member.user}`);
    if (direct) direct.title = member.name;
  }

  // ---- what the node tells

  #event(name: string, body: unknown): void {
    const thread = this.#threadOf(body);
    switch (name) {
      case "identity":
        this.identity = body as Identity;
        this.#identified?.();
        return this.emit("status");
      case "message":
        return this.#message(thread, body as Message);
      case "direct":
        return this.#direct(body as Message);
      case "joined":
      case "left":
        return this.#presence(thread, name, body as Member & { reason?: string });
      case "renamed":
        thread?.renamed(body as Member);
        return thread && this.emit("room", thread);
      case "typing":
        return this.#typing(thread, body as Member & { on: boolean });
      case "edited":
        thread?.edited(body as Edited);
        return thread && this.emit("items", thread);
      case "deleted":
        thread?.deleted(body as Act);
        return thread && this.emit("items", thread);
      case "reacted":
        thread?.reacted(body as Reacted, this.isMe((body as Reacted).by));
        return thread && this.emit("items", thread);
      case "read":
        return this.#read(thread, body as Act);
      case "topic":
        return this.#topic(thread, body as { text: string; by: Member });
      case "mentioned":
        if (thread && thread !== this.active) thread.mentioned = true;
        return this.emit("threads");
      case "invited":
        return this.notice(`${(body as { by: Member }).by.name} invites you to ${(body as { room: string }).room}.`, "good");
      case "error":
        return this.notice(Refusal.of((body as { error: WireError }).error).text, "bad");
      default:
        this.emit("other", name, body);
    }
  }

  /** The thread that an event is about, if it is known. */
  #threadOf(body: unknown): Thread | undefined {
    const { room, to, by, user } = (body ?? {}) as { room?: string; to?: string; by?: Member; user?: string };
    if (to === undefined) return this.threads.get(`room:${room ?? ""}`) ?? this.#entering.get(`room:${room ?? ""}`);
    const actor = by?.user ?? user ?? "";
    return this.threads.get(`direct:${actor === this.identity?.user ? to : actor}`);
  }

  #message(thread: Thread | undefined, message: Message): void {
    if (!thread) return;
    this.#know(message);
    this.#put(thread, message);
  }

  #direct(message: Message): void {
    const mine = this.isMe(message);
    const other = mine ? message.to : message.user;
    if (!other) return;
    const thread = this.threads.get(`direct:${other}`) ?? this.#open(new Thread("direct", other, this.nameOf(other)));
    this.#put(thread, message);
    if (!thread.loaded) void this.#reload(thread);
  }

  #put(thread: Thread, message: Message): void {
    const mine = this.isMe(message);
    const { isNew } = thread.put(message);
    if (thread !== this.active) thread.trim();
    if (isNew && !mine) {
      thread.typing(message.socket, message.name, false);
      this.emit("typing", thread);
      if (thread !== this.active || document.hidden) thread.unread += 1;
      this.emit("threads");
      this.emit("arrived", thread, message);
    }
    this.emit("items", thread);
  }

  #presence(thread: Thread | undefined, name: "joined" | "left", member: Member & { reason?: string }): void {
    if (!thread) return;
    this.#know(member);
    thread.presence(name, member);
    this.emit("room", thread);
    this.emit("typing", thread);
  }

  #typing(thread: Thread | undefined, body: Member & { on: boolean }): void {
    if (!thread || this.isMe(body)) return;
    thread.typing(body.socket, shownName(thread, body), body.on);
    this.emit("typing", thread);
  }

  #read(thread: Thread | undefined, act: Act): void {
    if (!thread || this.isMe(act.by)) return;
    thread.receipts.set(act.by.user ?? act.by.socket, { by: { ...act.by, name: shownName(thread, act.by) }, id: act.id });
    this.emit("items", thread);
  }

  #topic(thread: Thread | undefined, { text, by }: { text: string; by: Member }): void {
    if (!thread) return;
    thread.topic = text;
    this.emit("room", thread);
    if (!this.isMe(by)) this.notice(`${by.name} set the topic of ${thread.title}.`);
  }

  /** This client was taken out of a room, or of everything. */
  removed(room: string | undefined, why: Refusal): void {
    if (!room) return this.#connection.expectEnd(why);
    const thread = this.threads.get(`room:${room}`);
    if (!thread) return;
    thread.you = undefined;
    thread.refused = why;
    thread.members = [];
    thread.membersCount = 0;
    this.emit("room", thread);
    this.emit("threads");
  }
}

/** In direct messages a user's id stands in place of the name. */
function shownName(thread: Thread, member: Member): string {
  return thread.kind === "direct" ? thread.title : member.name;
}
