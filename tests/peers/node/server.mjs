// The peer on Node's socket.io: rooms, echo and a word filter, written as its documentation recommends.
//
// Usage: node server.mjs [--port N] [--words bad,worse]. Prints {"port":N,"pid":N} when it listens; ends on SIGTERM.

import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { Server } from "socket.io";

const { values } = parseArgs({
  options: { port: { type: "string", default: "0" }, words: { type: "string", default: "" } },
});
const words = new Set(values.words.split(",").filter(Boolean));
const http = createServer();
const io = new Server(http);
let nextId = 0;

const hasWord = (text) => words.size > 0 && text.toLowerCase().split(/[^\p{L}\p{N}]+/u).some((word) => words.has(word));

io.on("connection", (socket) => {
  socket.on("join", ({ room }, ack) => {
    socket.join(room);
    ack?.({ ok: true, members: io.sockets.adapter.rooms.get(room).size });
  });
  socket.on("message", (message, ack) => {
    if (hasWord(message.text)) {
      ack?.({ error: { code: "rejected", message: "a forbidden word" } });
      return;
    }
    const id = nextId++;
    io.to(message.room).emit("message", { ...message, from: socket.id, id });
    ack?.({ ok: true, id });
  });
});

io.of("/echo").on("connection", (socket) => {
  socket.on("echo", (argument, ack) => ack?.(argument));
});

http.listen(Number(values.port), "127.0.0.1", () => {
  console.log(JSON.stringify({ port: http.address().port, pid: process.pid }));
});
process.on("SIGTERM", () => process.exit(0));
