// A room or a direct conversation as this client knows it: messages in the node's order, members, who is typing.

import type { Refusal } from "./refusal";
import type { Act, Edited, Identity, JoinAck, Member, Message, Reacted } from "./wire";

/** `waiting`: until there is a connection. `held`: until a moderator has looked. */
export type Delivery = "sent" | "sending" | "waiting" | "refused" | "held";

/** A message and how far it is. `key` stays the same from the first attempt on. */
export interface Item {
  key: string;
  message: Message;
  delivery: Delivery;
  refusal?: Refusal;
}

export type ThreadKind = "room" | "direct";

const TYPING_MS = 6000;
/** A busy room would fill the memory: beyond so many the older ones are dropped, and loaded again by scrolling. */
const ITEMS_MAX = 600;
const ITEMS_KEPT = 300;
/** Messages not yet sent stand behind all others. */
const UNSENT_ID = Number.MAX_SAFE_INTEGER;

export class Thread {
  /** In the order of ids, what is not sent yet at the end. */
  items: Item[] = [];
  members: Member[] = [];
  /** How many sockets are in the room; more than are listed, perhaps. */
  membersCount = 0;
  topic = "";
  /** Who this client is here, once it has joined. */
  you?: Member;
  /** Whether there are older messages on the node. */
  more = false;
  loading = false;
  loaded = false;
  /** Why it cannot be entered. */
  refused?: Refusal;
  /** Given again when the room must be joined again. Only in memory. */
  password?: string;
  unread = 0;
  mentioned = false;
  readId = 0;
  /** The id of the newest message that is known of, loaded or not. */
  newestId = 0;
  /** How far others have read. */
  receipts = new Map<string, { by: Member; id: number }>();
  /** Who came and went between asking to join and the answer. */
  #meanwhile: { name: "joined" | "left"; member: Member }[] = [];
  #isEntering = false;
  #typing = new Map<string, { name: string; until: number }>();
  /** What came while a page was on its way: messages it may lack, and acts to be done to its messages as well. */
  #late: { messages: Message[]; acts: ((thread: Thread) => void)[] } | undefined;

  constructor(
    readonly kind: ThreadKind,
    /** The room's name, or the other one's user id. */
    readonly name: string,
    /** What people read. */
    public title: string,
  ) {}

  get key(): string {
    return `${this.kind}:${this.name}`;
  }

  /** How requests name it. */
  get place(): { room: string } | { user: string } {
    return this.kind === "room" ? { room: this.name } : { user: this.name };
  }

  /** Whether this client may act in it. */
  get isOpen(): boolean {
    return this.kind === "direct" || this.you !== undefined;
  }

  get lastId(): number {
    return this.items.findLast((item) => item.message.id !== UNSENT_ID)?.message.id ?? 0;
  }

  get firstId(): number {
    const first = this.items[0]?.message.id ?? UNSENT_ID;
    return first === UNSENT_ID ? 0 : first;
  }

  find(id: number): Item | undefined {
    return this.items.find((item) => item.message.id === id);
  }

  /** A message came, live or with a page. What this client sent itself takes the place of its attempt. */
  put(message: Message): { item: Item; isNew: boolean } {
    // nobody else knows the id of an attempt; a guest that is let in anew is another user, so the author does not count
    const isAttempt = (item: Item): boolean => item.delivery !== "sent" && item.key === message.client_id;
    const old = this.find(message.id) ?? this.items.find(isAttempt);
    this.newestId = Math.max(this.newestId, message.id);
    this.#late?.messages.push(message);
    const item: Item = { key: old?.key ?? `#${message.id}`, message, delivery: "sent" };
    if (old) this.items.splice(this.items.indexOf(old), 1);
    this.#insert(item);
    return { item, isNew: !old };
  }

  /** A message that this client is about to send. */
  begin(key: string, message: Message, delivery: Delivery): Item {
    const item: Item = { key, message: { ...message, id: UNSENT_ID, client_id: key }, delivery };
    this.#insert(item);
    return item;
  }

  /** How it went with a message of this client. The event with the message may have come before. */
  settle(key: string, delivery: Delivery, known?: { id: number; time_ms: number }, refusal?: Refusal): Item | undefined {
    const item = this.items.find((one) => one.key === key);
    // the message itself, or that it is held, may be known before the ack
    if (!item || item.delivery === "sent" || (item.delivery === "held" && delivery === "sent")) return item;
    item.delivery = delivery;
    item.refusal = refusal;
    if (known) {
      item.message = { ...item.message, ...known };
      this.#late?.messages.push(item.message);
      this.items.splice(this.items.indexOf(item), 1);
      this.#insert(item);
    }
    return item;
  }

  /** A moderator has to look first, or has said no. */
  hold(key: string, refusal?: Refusal): Item | undefined {
    const item = this.items.find((one) => one.key === key);
    if (!item) return undefined;
    this.discard(key);
    item.message = { ...item.message, id: UNSENT_ID };
    item.delivery = refusal ? "refused" : "held";
    item.refusal = refusal;
    this.#insert(item);
    return item;
  }

  discard(key: string): void {
    this.items = this.items.filter((item) => item.key !== key);
  }

  #insert(item: Item): void {
    const at = this.items.findLastIndex((one) => one.message.id <= item.message.id);
    this.items.splice(at + 1, 0, item);
  }

  /** Drops what is far back; for when nobody looks at it. */
  trim(): void {
    if (this.items.length <= ITEMS_MAX || this.loading) return;
    const unsent = this.items.slice(0, -ITEMS_KEPT).filter((item) => item.delivery !== "sent");
    this.items = [...unsent, ...this.items.slice(-ITEMS_KEPT)].sort((a, b) => a.message.id - b.message.id);
    this.more = true;
  }

  /** From now until `endPage`, acts are kept to be done again. */
  beginPages(): void {
    this.loading = true;
    this.#late = { messages: [], acts: [] };
  }

  /** Takes what was loaded: older messages are put before, or all that was known is replaced. */
  endPages(messages: Message[], more: boolean, replace: boolean): void {
    const late = this.#late;
    this.failPages();
    const newest = messages.at(-1)?.id ?? 0;
    // a node that kept nothing counts from the beginning again: what is shown is what it has now
    if (replace) this.items = this.items.filter((item) => item.delivery !== "sent");
    messages.forEach((message) => this.put(message));
    late?.messages.filter((message) => message.id > newest).forEach((message) => this.put(message));
    late?.acts.forEach((act) => act(this));
    this.more = more;
    this.loaded = true;
  }

  /** Nothing came. */
  failPages(): void {
    this.#late = undefined;
    this.loading = false;
  }

  edited(act: Edited): Item | undefined {
    return this.#change(act, (message) => ({ ...message, text: act.text, edited_ms: act.time_ms }));
  }

  deleted(act: Act): Item | undefined {
    return this.#change(act, (message) => ({ ...message, text: "", deleted: true, reactions: [], mentions: [] }));
  }

  reacted(act: Reacted, mine: boolean): Item | undefined {
    return this.#change(act, (message) => {
      const old = message.reactions ?? [];
      const known = old.find((one) => one.emoji === act.emoji);
      const reaction = { emoji: act.emoji, count: act.count, mine: mine ? act.on : (known?.mine ?? false) };
      const reactions = known ? old.map((one) => (one === known ? reaction : one)) : [...old, reaction];
      return { ...message, reactions: reactions.filter((one) => one.count > 0) };
    });
  }

  #change(act: Act, change: (message: Message) => Message): Item | undefined {
    const apply = (thread: Thread): Item | undefined => {
      const item = thread.find(act.id);
      if (item) item.message = change(item.message);
      return item;
    };
    this.#late?.acts.push(apply);
    return apply(this);
  }

  /** From now until `enter` or `stayOut`, who comes and goes is remembered: the answer may be older or newer. */
  beginEnter(): void {
    this.#isEntering = true;
    this.#meanwhile = [];
  }

  stayOut(why: Refusal | undefined): void {
    this.#isEntering = false;
    this.you = undefined;
    this.refused = why ?? this.refused;
  }

  enter({ you, members, members_count: count, topic, last_id: last }: JoinAck): void {
    // the first time, what was said before is no news; a node that kept nothing begins with small ids again
    this.newestId = this.newestId === 0 ? last : Math.min(this.newestId, last);
    this.readId = Math.min(this.readId, last);
    this.you = you;
    this.members = [...members];
    this.membersCount = count;
    this.topic = topic ?? "";
    this.refused = undefined;
    this.#typing.clear();
    this.#isEntering = false;
    this.#meanwhile.forEach(({ name, member }) => this.presence(name, member));
  }

  presence(name: "joined" | "left", member: Member): void {
    if (this.#isEntering) this.#meanwhile.push({ name, member });
    else if (name === "joined") this.#arrived(member);
    else this.#departed(member);
  }

  /** Somebody has another name now. */
  renamed(member: Member): void {
    const { name, socket, user } = member;
    this.members = this.members.map((one) => (one.socket === socket ? { name, socket, user } : one));
    if (this.you?.socket === socket) this.you = { name, socket, user };
  }

  #arrived(member: Member): void {
    if (this.members.some((one) => one.socket === member.socket)) return;
    this.members.push(member);
    this.membersCount += 1;
  }

  #departed(member: Member): void {
    const before = this.members.length;
    this.members = this.members.filter((one) => one.socket !== member.socket);
    if (this.members.length < before || this.membersCount > before) this.membersCount -= 1;
    this.#typing.delete(member.socket);
  }

  typing(socket: string, name: string, on: boolean): void {
    if (on) this.#typing.set(socket, { name, until: Date.now() + TYPING_MS });
    else this.#typing.delete(socket);
  }

  /** The names of those who are typing now. */
  get typists(): string[] {
    const now = Date.now();
    for (const [socket, { until }] of this.#typing) if (until <= now) this.#typing.delete(socket);
    return [...this.#typing.values()].map(({ name }) => name);
  }

  /** The names of those who have read up to this message and no further, but for its author. */
  readersOf({ id, user, socket }: Message): string[] {
    const isAuthor = (by: Member): boolean => (by.user ?? by.socket) === (user ?? socket);
    return [...this.receipts.values()].filter((receipt) => receipt.id === id && !isAuthor(receipt.by)).map(({ by }) => by.name);
  }
}

/** Whether a member is this client's user: on this or another of its sockets. */
export function isSelf(member: Member, identity: Identity | undefined, socket: string): boolean {
  return member.socket === socket || (member.user !== undefined && member.user === identity?.user);
}
