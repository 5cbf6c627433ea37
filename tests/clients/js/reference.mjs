// The reference: what the node's `echo`, `rooms`, `word-filter`, `router` and test identity plugins do, on Node's
// socket.io. The suites are run against it to prove that they ask for nothing that the protocol's own server
// does not do. `node reference.mjs --port 3000 --ping-interval 300` runs it alone.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { Server } from "socket.io";
import * as msgpackParser from "socket.io-msgpack-parser";

const ASK_TIMEOUT_MS = 10_000;
const MASKED_WORD = /\bdarn\b/gi;
const URGENT_MARK = "#urgent";
const TO_USER = /^@(\S+) /;

function echo(socket) {
  socket.emit("auth", socket.handshake.auth);
  const events = {
    message: (args) => void socket.emit("message-back", ...args),
    "message-with-ack": (args, ack) => ack?.(...args),
    echo: (args, ack) => ack?.(...args),
    "emit-with-ack": (args) => {
      socket.timeout(ASK_TIMEOUT_MS).emit("emit-with-ack", ...args, (late, ...answer) => {
        if (!late) socket.emit("emit-with-ack", ...answer);
      });
    },
  };
  socket.onAny((event, ...args) => handle(socket, events, event, args));
}

function rooms(socket, route = (body) => ({ body, to: [body.room] })) {
  const namespace = socket.nsp;
  const notice = (name, room) => namespace.to(room).emit(name, { room, socket: socket.id });
  const events = {
    join: ([{ room }], ack) => {
      if (!socket.rooms.has(room)) {
        socket.join(room);
        notice("joined", room);
      }
      ack?.({ ok: true, members: namespace.adapter.rooms.get(room).size });
    },
    message: ([message], ack) => {
      if (!socket.rooms.has(message.room)) throw notAMember(message.room);
      const id = randomUUID();
      const { body, to } = route({ ...message, from: socket.id, id });
      namespace.to(to).emit("message", body);
      ack?.({ ok: true, id });
    },
    leave: ([{ room }], ack) => {
      if (!socket.rooms.has(room)) throw notAMember(room);
      notice("left", room);
      socket.leave(room);
      ack?.({ ok: true });
    },
  };
  socket.on("disconnecting", () => {
    for (const room of socket.rooms) if (room !== socket.id) socket.to(room).emit("left", { room, socket: socket.id });
  });
  socket.onAny((event, ...args) => handle(socket, events, event, args));
}

const userRoom = (user) => `user:${user}`;

/** What the word filter and the router make of a message. */
function filterAndRoute(message) {
  const body = { ...message, text: message.text.replace(MASKED_WORD, (word) => "*".repeat(word.length)) };
  const named = TO_USER.exec(body.text);
  if (named) return { body, to: [userRoom(named[1])] };
  return { body, to: body.text.startsWith(URGENT_MARK) ? [body.room, "urgent"] : [body.room] };
}

function handle(socket, events, event, args) {
  const ack = typeof args.at(-1) === "function" ? args.pop() : undefined;
  try {
    if (!Object.hasOwn(events, event)) throw { code: "unhandled", message: `no plugin handles \`${event}\`` };
    events[event](args, ack);
  } catch (error) {
    if (!error.code) throw error;
    if (ack) ack({ error });
    else socket.emit("error", { error, event });
  }
}

function notAMember(room) {
  const message = `not a member of ${room}`;
  return { code: "rejected", message, reason: { code: "not_a_member", message } };
}

/** What the test identity plugin refuses a CONNECT with. */
function userRequired() {
  const error = new Error("a user is required");
  error.data = {
    code: "rejected",
    reason: { code: "user_required", message: error.message, data: { hint: "send auth {user}" } },
  };
  return error;
}

/**
 * Starts a server on a free or the given port of 127.0.0.1. Resolves with `url` and `close()`.
 * Times in milliseconds, Node's defaults.
 */
export async function start({
  port = 0,
  pingInterval = 25_000,
  pingTimeout = 20_000,
  connectTimeout = 45_000,
  msgpack = false,
} = {}) {
  const web = createServer((_, response) => response.writeHead(404).end());
  const io = new Server(web, {
    pingInterval,
    pingTimeout,
    connectTimeout,
    maxHttpBufferSize: 1_000_000,
    ...(msgpack ? { parser: msgpackParser } : {}),
  });
  for (const name of ["/", "/custom", /^\/many-\d+$/]) io.of(name).on("connection", echo);
  io.of("/chat").on("connection", (socket) => rooms(socket));
  io.of("/filtered")
    .use((socket, next) => next(socket.handshake.auth.user ? undefined : userRequired()))
    .on("connection", (socket) => {
      socket.join(userRoom(socket.handshake.auth.user));
      rooms(socket, filterAndRoute);
    });
  await new Promise((resolve, reject) => web.once("error", reject).listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${web.address().port}`,
    close: () => new Promise((resolve) => io.close(() => resolve())),
  };
}

async function main() {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "0" },
      "ping-interval": { type: "string", default: "25000" },
      "ping-timeout": { type: "string", default: "20000" },
      "connect-timeout": { type: "string", default: "45000" },
      msgpack: { type: "boolean", default: false },
    },
  });
  const server = await start({
    port: Number(values.port),
    pingInterval: Number(values["ping-interval"]),
    pingTimeout: Number(values["ping-timeout"]),
    connectTimeout: Number(values["connect-timeout"]),
    msgpack: values.msgpack,
  });
  console.log(server.url);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close().then(() => process.exit(0)));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
