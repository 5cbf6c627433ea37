// The peer for the chat case on Node's socket.io: the features of the whole chat chain, written by hand.
//
// Usage: node chat.mjs [--port N] [--secret TEXT] [--words FILE]. Prints {"port":N,"pid":N} when it listens; ends on SIGTERM.
//
// Tokens (JWT, HS256), unique names in a room, ids that count up, a history of 500 in memory, a word filter that sees
// through common disguises, a flood limit, mentions, client ids that make sending twice safe, notices, typing, acks.

import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { Server } from "socket.io";
import { WordFilter } from "./words.mjs";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    secret: { type: "string", default: "bench" },
    words: { type: "string" },
  },
});
const TEXT_MAX = 4000;
const ROOM_MAX = 100;
const NAME_MAX = 32;
const MEMBERS_MAX = 10_000;
const MENTIONS_MAX = 10;
const HISTORY_MAX = 500;
const PAGE_MAX = 50;
const CLIENT_ID_TTL_MS = 24 * 3600 * 1000;
const CLIENT_IDS_MAX = 100_000;
/** As the hub's config in the bench: counted for each message, never reached. */
const FLOOD = { max: 1_000_000, windowMs: 10_000 };

const filter = new WordFilter(values.words ? readFileSync(values.words, "utf8").split("\n").filter(Boolean) : []);
const http = createServer();
const io = new Server(http);
/** By name: `{lastId, history, names: fold -> {name, sockets, user}, members: socket id -> member}` */
const rooms = new Map();
/** `user room client_id` to the first ack; the oldest fall out. */
const done = new Map();
/** By user: `{since, count}` */
const meters = new Map();

const fold = (name) => name.normalize("NFKC").toLowerCase();
const refuse = (ack, code, message) => ack?.({ error: { code: "rejected", message, reason: { code, message } } });

/** The claims of a token, or undefined. */
function verify(token) {
  const [header, body, signature, ...rest] = String(token ?? "").split(".");
  if (!signature || rest.length > 0) {
    return undefined;
  }
  try {
    const given = Buffer.from(signature, "base64url");
    const right = createHmac("sha256", values.secret).update(`${header}.${body}`).digest();
    if (JSON.parse(Buffer.from(header, "base64url")).alg !== "HS256") {
      return undefined;
    }
    if (given.length !== right.length || !timingSafeEqual(given, right)) {
      return undefined;
    }
    const claims = JSON.parse(Buffer.from(body, "base64url"));
    return typeof claims.sub === "string" && !(claims.exp * 1000 < Date.now()) ? claims : undefined;
  } catch {
    return undefined;
  }
}

io.use((socket, next) => {
  const claims = verify(socket.handshake.auth.token);
  if (!claims) {
    next(new Error("a valid token is required"));
    return;
  }
  socket.data.user = claims.sub;
  next();
});

function isFlood(user) {
  const now = Date.now();
  const meter = meters.get(user);
  if (!meter || now - meter.since > FLOOD.windowMs) {
    meters.set(user, { since: now, count: 1 });
    return false;
  }
  meter.count += 1;
  return meter.count > FLOOD.max;
}

function noteDone(key, ack) {
  done.set(key, { ack, at: Date.now() });
  if (done.size > CLIENT_IDS_MAX) {
    done.delete(done.keys().next().value);
  }
}

/** The holders of names that stand behind an `@`. */
function mentionsIn(text, room) {
  if (!text.includes("@")) {
    return [];
  }
  const found = new Map();
  let asked = 0;
  for (const [, word] of text.matchAll(/(?<![\p{L}\p{N}@])@([^\s@]+)/gu)) {
    if (++asked > MENTIONS_MAX) {
      break;
    }
    const holder = room.names.get(fold(word)) ?? room.names.get(fold(word.replace(/[^\p{L}\p{N}]+$/u, "")));
    if (holder) {
      found.set(holder.name, holder);
    }
  }
  return [...found.values()];
}

function leave(socket, name, reason) {
  const room = rooms.get(name);
  const member = room?.members.get(socket.id);
  if (!member) {
    return;
  }
  room.members.delete(socket.id);
  const holder = room.names.get(fold(member.name));
  holder.sockets.delete(socket.id);
  if (holder.sockets.size === 0) {
    room.names.delete(fold(member.name));
  }
  if (room.members.size === 0 && room.history.length === 0) {
    rooms.delete(name);
  }
  io.to(name).emit("left", { room: name, ...member, reason });
}

io.on("connection", (socket) => {
  const { user } = socket.data;

  socket.on("join", (body, ack) => {
    const { room: name, name: wanted = user } = body ?? {};
    if (typeof name !== "string" || name.length === 0 || name.length > ROOM_MAX) {
      refuse(ack, "room_invalid", "a room has 1 to 100 characters");
      return;
    }
    if (typeof wanted !== "string" || wanted.length === 0 || wanted.length > NAME_MAX || /[\s@\p{C}]/u.test(wanted)) {
      refuse(ack, "name_invalid", "this cannot be a name");
      return;
    }
    let room = rooms.get(name);
    if (!room) {
      rooms.set(name, (room = { lastId: 0, history: [], names: new Map(), members: new Map() }));
    }
    if (room.members.size >= MEMBERS_MAX) {
      refuse(ack, "room_full", "the room is full");
      return;
    }
    const holder = room.names.get(fold(wanted));
    if (holder && holder.user !== user) {
      refuse(ack, "name_taken", "somebody has this name");
      return;
    }
    if (holder) {
      holder.sockets.add(socket.id);
    } else {
      room.names.set(fold(wanted), { name: wanted, user, sockets: new Set([socket.id]) });
    }
    const member = { name: wanted, socket: socket.id, user };
    room.members.set(socket.id, member);
    socket.join(name);
    const members = [...room.members.values()].slice(0, PAGE_MAX);
    ack?.({ ok: true, room: name, you: member, members, members_count: room.members.size, last_id: room.lastId });
    io.to(name).emit("joined", { room: name, ...member });
  });

  socket.on("message", (body, ack) => {
    const { room: name, text, client_id: clientId, reply_to: replyTo } = body ?? {};
    const room = rooms.get(name);
    const member = room?.members.get(socket.id);
    if (!member) {
      refuse(ack, "not_a_member", `not a member of ${name}`);
      return;
    }
    if (typeof text !== "string" || text.length === 0 || text.length > TEXT_MAX) {
      refuse(ack, "text_invalid", "a text has 1 to 4000 characters");
      return;
    }
    if (clientId !== undefined && (typeof clientId !== "string" || clientId.length === 0 || clientId.length > 64)) {
      refuse(ack, "client_id_invalid", "a client id has 1 to 64 characters");
      return;
    }
    if (isFlood(user)) {
      refuse(ack, "too_fast", "wait a little");
      return;
    }
    const key = clientId && `${user}\n${name}\n${clientId}`;
    const earlier = key && done.get(key);
    if (earlier && Date.now() - earlier.at < CLIENT_ID_TTL_MS) {
      ack?.(earlier.ack);
      return;
    }
    if (filter.finds(text)) {
      refuse(ack, "word_not_allowed", "this word is not allowed");
      return;
    }
    if (replyTo !== undefined && !(Number.isInteger(replyTo) && replyTo >= 1 && replyTo <= room.lastId)) {
      refuse(ack, "unknown_message", "there is no such message");
      return;
    }
    const id = ++room.lastId;
    const message = { room: name, id, time_ms: Date.now(), ...member, text };
    if (clientId) {
      message.client_id = clientId;
    }
    if (replyTo !== undefined) {
      message.reply_to = replyTo;
    }
    const mentioned = mentionsIn(text, room);
    if (mentioned.length > 0) {
      message.mentions = mentioned.map(({ name, user }) => ({ name, user }));
    }
    room.history.push(message);
    if (room.history.length > HISTORY_MAX) {
      room.history.shift();
    }
    io.to(name).emit("message", message);
    for (const { sockets } of mentioned) {
      io.to([...sockets]).emit("mentioned", { room: name, id, by: member });
    }
    const answer = { ok: true, id, time_ms: message.time_ms };
    if (key) {
      noteDone(key, answer);
    }
    ack?.(answer);
  });

  socket.on("history", ({ room: name, before = Infinity, limit = PAGE_MAX } = {}, ack) => {
    const room = rooms.get(name);
    if (!room?.members.has(socket.id)) {
      refuse(ack, "not_a_member", `not a member of ${name}`);
      return;
    }
    const older = room.history.filter(({ id }) => id < before);
    ack?.({ ok: true, room: name, messages: older.slice(-Math.min(limit, PAGE_MAX)), more: older.length > limit });
  });

  socket.on("typing", ({ room: name, on = true } = {}, ack) => {
    const member = rooms.get(name)?.members.get(socket.id);
    if (member) {
      socket.to(name).volatile.emit("typing", { room: name, ...member, on });
      ack?.({ ok: true });
    }
  });

  socket.on("leave", ({ room } = {}, ack) => {
    leave(socket, room, "left");
    socket.leave(room);
    ack?.({ ok: true });
  });

  socket.on("disconnecting", (reason) => {
    for (const name of socket.rooms) {
      leave(socket, name, reason);
    }
  });
});

http.listen(Number(values.port), "127.0.0.1", () => {
  console.log(JSON.stringify({ port: http.address().port, pid: process.pid }));
});
process.on("SIGTERM", () => process.exit(0));
