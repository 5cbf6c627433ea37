// Events and acks, both ways.

import assert from "node:assert/strict";

import { once } from "../lib/wait.mjs";

const VALUES = [null, true, false, 0, -1.5, 1e21, "", "text", [], {}, [1, [2, [3]]], { a: { b: { c: ["d"] } } }];
const TEXTS = [
  "Zürich — naïve café",
  "日本語のテキスト",
  "🎉👩‍👩‍👧 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
  'quote " backslash \\ slash / tab \t newline \n zero \u0000 separator \u001e line \u2028',
  "\ufffd what a lone surrogate becomes",
];
const NAMES = ['say "hi"', "café", "日本語", "back\\slash", "new\nline", "", " ", "42[1]", "a/b,c", "🎉", "__proto__"];
const LONG_CHARS = 900_000;
const MANY = 500;
/** Long enough to be sure, on a connection that answers within a few ms, that nobody answered. */
const SHORT_TIMEOUT_MS = 300;
const LONG_TIMEOUT_MS = 10_000;

export function eventChecks(check, on) {
  check("an event comes back with all kinds of values", async (t) => {
    const socket = await on.connect(t);
    const back = once(socket, "message-back");
    socket.emit("message", ...VALUES);
    assert.deepEqual(await back, VALUES);
  });

  check("texts of all scripts come back unchanged", async (t) => {
    const socket = await on.connect(t);
    for (const text of TEXTS) assert.equal(await socket.emitWithAck("echo", text), text);
  });

  check("keys of all scripts come back unchanged", async (t) => {
    const socket = await on.connect(t);
    const object = Object.fromEntries(TEXTS.map((text, n) => [text, n]));
    assert.deepEqual(await socket.emitWithAck("echo", object), object);
  });

  check("an ack gets all arguments", async (t) => {
    const socket = await on.connect(t);
    const args = await new Promise((resolve) =>
      socket.emit("message-with-ack", 1, "2", { 3: [true] }, (...got) => resolve(got)),
    );
    assert.deepEqual(args, [1, "2", { 3: [true] }]);
  });

  check("an ack without arguments", async (t) => {
    const socket = await on.connect(t);
    const args = await new Promise((resolve) => socket.emit("echo", (...got) => resolve(got)));
    assert.deepEqual(args, []);
  });

  check("many acks at once find their callers", async (t) => {
    const socket = await on.connect(t);
    const numbers = Array.from({ length: MANY }, (_, n) => n);
    assert.deepEqual(await Promise.all(numbers.map((n) => socket.emitWithAck("echo", n))), numbers);
  });

  check("an ack within its timeout", async (t) => {
    const socket = await on.connect(t);
    assert.equal(await socket.timeout(LONG_TIMEOUT_MS).emitWithAck("echo", "in time"), "in time");
  });

  check("an ack that never comes is a timeout", async (t) => {
    const socket = await on.connect(t);
    await on.settled(socket);
    socket.disconnect();
    await assert.rejects(socket.timeout(SHORT_TIMEOUT_MS).emitWithAck("echo", "unheard"), /operation has timed out/);
  });

  check("an ack that a lost connection takes away is an error", async (t) => {
    const socket = await on.connect(t);
    await on.settled(socket);
    const answer = socket.timeout(LONG_TIMEOUT_MS).emitWithAck("emit-with-ack", "no ack to this one");
    socket.disconnect();
    await assert.rejects(answer, /socket has been disconnected/);
  });

  check("the server asks and gets the client's answer", async (t) => {
    const socket = await on.connect(t);
    const asked = [];
    let answered;
    const back = new Promise((resolve) => (answered = resolve));
    socket.on("emit-with-ack", (...args) => {
      const ack = args.at(-1);
      if (typeof ack !== "function") return answered(args);
      asked.push(args.slice(0, -1));
      ack("the answer", { n: 1 });
    });
    socket.emit("emit-with-ack", "a question", [1]);
    assert.deepEqual(await back, ["the answer", { n: 1 }]);
    assert.deepEqual(asked, [["a question", [1]]]);
  });

  check("a long text", async (t) => {
    const socket = await on.connect(t);
    const text = "x".repeat(LONG_CHARS);
    assert.equal(await socket.emitWithAck("echo", text), text);
  });

  check("long texts sent at once, while the client connects", async (t) => {
    const socket = on.client(t);
    const text = "y".repeat(LONG_CHARS / 3);
    const answers = Promise.all([1, 2, 3].map((n) => socket.emitWithAck("echo", n, text)));
    assert.deepEqual(await answers, [1, 2, 3]);
  });

  check("events emitted before the connection stands are sent in order", async (t) => {
    const socket = on.client(t);
    const heard = [];
    socket.on("message-back", (n) => heard.push(n));
    for (let n = 0; n < 20; n++) socket.emit("message", n);
    await socket.emitWithAck("echo", "end");
    assert.deepEqual(
      heard,
      Array.from({ length: 20 }, (_, n) => n),
    );
  });

  check("events keep their order, with and without acks", async (t) => {
    const socket = await on.connect(t);
    const heard = [];
    socket.on("message-back", (n) => heard.push(n));
    for (let n = 0; n < MANY; n++) {
      if (n % 2) socket.emit("message", n);
      else socket.emit("echo", n, (echoed) => heard.push(echoed));
    }
    await socket.emitWithAck("echo", "end");
    assert.deepEqual(
      heard,
      Array.from({ length: MANY }, (_, n) => n),
    );
  });

  check("a volatile event arrives on a connection that is ready", async (t) => {
    const socket = await on.connect(t);
    await on.settled(socket);
    await socket.emitWithAck("echo", "ready");
    let back = 0;
    socket.on("message-back", () => back++);
    // the transport takes a packet whenever none is on its way: over polling not at all times
    while (back === 0) {
      socket.volatile.emit("message", "now");
      await socket.emitWithAck("echo", "behind it");
    }
    assert.ok(back > 0);
  });

  check("a volatile event is dropped while there is no connection", async (t) => {
    const socket = on.client(t, "/", { autoConnect: false });
    const heard = [];
    socket.on("message-back", (text) => heard.push(text));
    socket.volatile.emit("message", "dropped");
    socket.emit("message", "kept");
    socket.connect();
    await socket.emitWithAck("echo", "end");
    assert.deepEqual(heard, ["kept"]);
  });

  check("event names of all scripts, with escapes, are read", async (t) => {
    const socket = await on.connect(t);
    for (const name of NAMES) {
      const answer = await socket.emitWithAck(name, "x");
      assert.equal(answer?.error?.code, "unhandled", JSON.stringify(name));
    }
    assert.equal(socket.connected, true);
  });

  check("an event that nobody handles comes back as an error event when it asked for no ack", async (t) => {
    const socket = await on.connect(t);
    for (const name of NAMES) {
      const told = once(socket, "error");
      socket.emit(name, "x");
      const [{ error, event }] = await told;
      assert.equal(error.code, "unhandled");
      assert.equal(event, name);
    }
  });
}
