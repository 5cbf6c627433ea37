// The official client with the msgpack parser; the server must run with it too.

import assert from "node:assert/strict";

import msgpackParser from "socket.io-msgpack-parser";

import { TRANSPORTS, client, connected, provokeClose, upgraded } from "./lib/client.mjs";
import { Suite, targetUrl } from "./lib/suite.mjs";
import { once } from "./lib/wait.mjs";

const NUMBERS = [0, 1, -1, 127, 128, -33, 65_535, 65_536, 2 ** 31, 2 ** 32, 2 ** 40, -(2 ** 40), 0.1, -2.5];
const LARGE = 900_000;
const MANY = 300;

const url = targetUrl();
const suite = new Suite("msgpack", { deadlineMs: 90_000 });

for (const [name, transports] of Object.entries(TRANSPORTS)) {
  const make = (t, namespace = "/", options = {}) =>
    client(t, url, namespace, { transports, parser: msgpackParser, ...options });
  const connect = (t, namespace, options) => connected(make(t, namespace, options));
  const check = (what, run) => suite.check(`${name}: ${what}`, run);

  check("connects with an auth payload", async (t) => {
    const [auth] = await once(make(t, "/", { auth: { token: "abc", n: [1, null, { ü: true }] } }), "auth");
    assert.deepEqual(auth, { token: "abc", n: [1, null, { ü: true }] });
  });

  check("connects without an auth payload", async (t) => {
    const socket = await connect(t, "/custom");
    assert.equal(typeof socket.id, "string");
  });

  check("ends on its last transport", async (t) => {
    const socket = await connect(t);
    if (transports.length > 1) await upgraded(socket);
    assert.equal(socket.io.engine.transport.name, transports.at(-1));
    assert.equal(await socket.emitWithAck("echo", "over it"), "over it");
  });

  check("an event comes back with all kinds of values", async (t) => {
    const socket = await connect(t);
    const values = [null, true, false, "", "Zürich 漢字 🎉", [], {}, [[1], { a: { b: ["c"] } }]];
    const back = once(socket, "message-back");
    socket.emit("message", ...values);
    assert.deepEqual(await back, values);
  });

  check("numbers of all sizes come back unchanged", async (t) => {
    const socket = await connect(t);
    assert.deepEqual(await socket.emitWithAck("echo", NUMBERS), NUMBERS);
  });

  check("an ack gets all arguments", async (t) => {
    const socket = await connect(t);
    const args = await new Promise((resolve) =>
      socket.emit("message-with-ack", 1, "2", { 3: [true] }, (...got) => resolve(got)),
    );
    assert.deepEqual(args, [1, "2", { 3: [true] }]);
  });

  check("bytes come back, at their place", async (t) => {
    const socket = await connect(t);
    const answer = await socket.emitWithAck("echo", { a: [Buffer.from([1, 2, 3])], b: Buffer.alloc(0), c: "text" });
    assert.deepEqual(Buffer.from(answer.a[0]), Buffer.from([1, 2, 3]));
    assert.equal(Buffer.from(answer.b).length, 0);
    assert.equal(answer.c, "text");
  });

  check("a long text and many bytes", async (t) => {
    const socket = await connect(t);
    const size = transports[0] === "polling" ? LARGE * 0.7 : LARGE;
    const text = "x".repeat(size);
    assert.equal(await socket.emitWithAck("echo", text), text);
    const bytes = Buffer.alloc(size, 7);
    assert.ok(bytes.equals(Buffer.from(await socket.emitWithAck("echo", bytes))));
  });

  check("the server asks and gets the client's answer", async (t) => {
    const socket = await connect(t);
    const back = new Promise((resolve) => {
      socket.on("emit-with-ack", (...args) => {
        const ack = args.at(-1);
        if (typeof ack === "function") ack("answer", Buffer.from([4, 5]));
        else resolve(args);
      });
    });
    socket.emit("emit-with-ack", "question", Buffer.from([1]));
    const [text, bytes] = await back;
    assert.equal(text, "answer");
    assert.deepEqual(Buffer.from(bytes), Buffer.from([4, 5]));
  });

  check("events keep their order", async (t) => {
    const socket = await connect(t);
    const heard = [];
    socket.on("message-back", (n) => heard.push(n));
    for (let n = 0; n < MANY; n++) socket.emit("message", n);
    await socket.emitWithAck("echo", "end");
    assert.deepEqual(
      heard,
      Array.from({ length: MANY }, (_, n) => n),
    );
  });

  check("a room", async (t) => {
    const [alice, bob] = await Promise.all([connect(t, "/chat"), connect(t, "/chat")]);
    const room = `msgpack-${Math.random()}`;
    for (const [n, socket] of [alice, bob].entries()) {
      assert.deepEqual(await socket.emitWithAck("join", { room }), { ok: true, members: n + 1 });
    }
    const heard = once(bob, "message");
    const { ok, id } = await alice.emitWithAck("message", { room, text: "hello", bytes: Buffer.from([1]) });
    assert.equal(ok, true);
    const [message] = await heard;
    assert.deepEqual(
      { ...message, bytes: Buffer.from(message.bytes) },
      { room, text: "hello", bytes: Buffer.from([1]), from: alice.id, id },
    );
  });

  check("refusals carry their data", async (t) => {
    const [unknown] = await once(make(t, "/random"), "connect_error");
    assert.equal(unknown.message, "Invalid namespace");
    const [refused] = await once(make(t, "/filtered"), "connect_error");
    assert.equal(refused.message, "a user is required");
    assert.equal(refused.data.reason.code, "user_required");
    const socket = await connect(t);
    assert.equal((await socket.emitWithAck("nobody-knows-this")).error.code, "unhandled");
  });

  check("a packet that is none closes the connection", async (t) => {
    const socket = await connect(t);
    if (transports.length > 1) await upgraded(socket);
    const gone = once(socket, "disconnect");
    provokeClose(socket);
    assert.equal((await gone)[0], "transport close");
  });

  check("leaving one namespace leaves the others alone", async (t) => {
    const main = await connect(t);
    const custom = main.io.socket("/custom");
    t.defer(() => custom.disconnect());
    await connected(custom);
    custom.disconnect();
    assert.equal(await main.emitWithAck("echo", "still here"), "still here");
  });
}

suite.check("a client with the JSON parser is turned away, not left hanging", async (t) => {
  const socket = client(t, url, "/", { transports: ["websocket"] });
  await new Promise((resolve) => {
    socket.io.on("close", resolve);
    socket.on("connect_error", resolve);
  });
  assert.equal(socket.connected, false);
});

await suite.run();
