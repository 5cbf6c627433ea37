// Connecting, being refused, being closed, coming back.

import assert from "node:assert/strict";

import { provokeClose } from "../lib/client.mjs";
import { SOON_MS, once, within } from "../lib/wait.mjs";

const TOO_LONG = 1_100_000;

export function connectionChecks(check, on) {
  check("connects, with an id of its own", async (t) => {
    const socket = await on.connect(t);
    assert.equal(socket.connected, true);
    assert.equal(typeof socket.id, "string");
    assert.notEqual(socket.id, socket.io.engine.id, "the public id must not be the session's");
    assert.ok(!socket.recovered);
  });

  check("is on the transport it should be on", async (t) => {
    const socket = await on.connect(t);
    await on.settled(socket);
    assert.equal(socket.io.engine.transport.name, on.transport);
    assert.equal(await socket.emitWithAck("echo", "over it"), "over it");
  });

  check("sends its auth payload", async (t) => {
    const socket = on.client(t, "/", { auth: { token: "abc", list: [1, { deep: "ü" }] } });
    const [auth] = await once(socket, "auth");
    assert.deepEqual(auth, { token: "abc", list: [1, { deep: "ü" }] });
  });

  check("sends no auth payload", async (t) => {
    const [auth] = await once(on.client(t), "auth");
    assert.deepEqual(auth, {});
  });

  check("asks its auth function for each connection", async (t) => {
    let asked = 0;
    const socket = on.client(t, "/", {
      auth: (give) => give({ asked: ++asked }),
      reconnection: true,
      reconnectionDelay: 10,
    });
    assert.deepEqual(await once(socket, "auth"), [{ asked: 1 }]);
    const again = once(socket, "auth");
    await on.settled(socket);
    provokeClose(socket);
    assert.deepEqual(await again, [{ asked: 2 }]);
  });

  check("gets events sent on connect only after it is connected", async (t) => {
    const socket = on.client(t);
    const order = [];
    socket.on("connect", () => order.push("connect"));
    socket.on("auth", () => order.push("auth"));
    await once(socket, "auth");
    assert.deepEqual(order, ["connect", "auth"]);
  });

  check("sends headers and a query with its handshake", async (t) => {
    const socket = await on.connect(t, "/", { extraHeaders: { "x-test": "1" }, query: { room: "a&b", über: "ü" } });
    assert.equal(await socket.emitWithAck("echo", 1), 1);
  });

  check("is refused in an unknown namespace", async (t) => {
    const [error] = await once(on.client(t, "/random"), "connect_error");
    assert.equal(error.message, "Invalid namespace");
  });

  check("is refused by a plugin, with a message and data", async (t) => {
    const socket = on.client(t, "/filtered");
    const [error] = await once(socket, "connect_error");
    assert.equal(error.message, "a user is required");
    assert.equal(error.data.code, "rejected");
    assert.equal(error.data.reason.code, "user_required");
    assert.equal(socket.active, false, "the client does not try again by itself");
  });

  check("is refused, and admitted with another auth payload", async (t) => {
    const socket = on.client(t, "/filtered");
    await once(socket, "connect_error");
    socket.auth = { user: "alice" };
    socket.connect();
    await once(socket, "connect");
  });

  check("disconnects by itself", async (t) => {
    const socket = await on.connect(t);
    const gone = once(socket, "disconnect");
    socket.disconnect();
    assert.equal((await gone)[0], "io client disconnect");
    assert.equal(socket.connected, false);
  });

  check("disconnects and connects again by hand, with another id", async (t) => {
    const socket = await on.connect(t);
    const { id } = socket;
    socket.disconnect();
    socket.connect();
    await once(socket, "connect");
    assert.notEqual(socket.id, id);
    assert.equal(await socket.emitWithAck("echo", "again"), "again");
  });

  check("is told that the server closed the connection", async (t) => {
    const socket = await on.connect(t);
    await on.settled(socket);
    const gone = once(socket, "disconnect");
    provokeClose(socket);
    assert.equal((await gone)[0], "transport close");
  });

  check("comes back after the server closed the connection", async (t) => {
    const socket = await on.connect(t, "/", { reconnection: true, reconnectionDelay: 10 });
    await on.settled(socket);
    const { id } = socket;
    const [gone, back] = [once(socket, "disconnect"), once(socket.io, "reconnect")];
    provokeClose(socket);
    await gone;
    await back;
    if (!socket.connected) await once(socket, "connect");
    assert.notEqual(socket.id, id);
    assert.equal(await socket.emitWithAck("echo", "back"), "back");
  });

  check("sends after coming back what it was given meanwhile, in order", async (t) => {
    const socket = await on.connect(t, "/", { reconnection: true, reconnectionDelay: 10 });
    await on.settled(socket);
    const heard = [];
    socket.on("message-back", (n) => heard.push(n));
    const gone = once(socket, "disconnect");
    provokeClose(socket);
    await gone;
    for (let n = 0; n < 5; n++) socket.emit("message", n);
    assert.equal(await within(socket.emitWithAck("echo", "end"), "the last ack", SOON_MS), "end");
    assert.deepEqual(heard, [0, 1, 2, 3, 4]);
  });

  check("is closed for a message beyond the limit", async (t) => {
    const socket = await on.connect(t);
    await on.settled(socket);
    const gone = once(socket, "disconnect");
    socket.emit("message", "x".repeat(TOO_LONG));
    assert.match((await gone)[0], /^transport (close|error)$/);
  });

  check("ends its connection with its last namespace", async (t) => {
    const socket = await on.connect(t);
    await on.settled(socket);
    const { engine } = socket.io;
    const closed = once(engine, "close");
    socket.disconnect();
    await closed;
  });
}
