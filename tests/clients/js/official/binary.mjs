// Binary arguments, both ways.

import assert from "node:assert/strict";

import { once } from "../lib/wait.mjs";

const LARGE_BYTES = 700_000;
const MANY_ATTACHMENTS = 10;

export function binaryChecks(check, on) {
  check("bytes come back", async (t) => {
    const socket = await on.connect(t);
    const back = once(socket, "message-back");
    socket.emit("message", Buffer.from([0, 1, 2, 255]));
    const [bytes] = await back;
    assert.deepEqual(Buffer.from(bytes), Buffer.from([0, 1, 2, 255]));
  });

  check("typed arrays and array buffers come back as bytes", async (t) => {
    const socket = await on.connect(t);
    const source = Uint8Array.from([9, 8, 7]);
    for (const bytes of [source, source.buffer]) {
      assert.deepEqual(Buffer.from(await socket.emitWithAck("echo", bytes)), Buffer.from([9, 8, 7]));
    }
  });

  check("bytes deep within an object come back at their place", async (t) => {
    const socket = await on.connect(t);
    const answer = await socket.emitWithAck("echo", {
      file: { name: "ü.bin", parts: [Buffer.from("a"), "text", Buffer.from("b")] },
    });
    assert.equal(answer.file.name, "ü.bin");
    assert.deepEqual(answer.file.parts.map(String), ["a", "text", "b"]);
  });

  check("many attachments keep their order", async (t) => {
    const socket = await on.connect(t);
    const parts = Array.from({ length: MANY_ATTACHMENTS }, (_, n) => Buffer.alloc(n + 1, n));
    const answer = await socket.emitWithAck("echo", parts);
    assert.deepEqual(
      answer.map((part) => Buffer.from(part)),
      parts,
    );
  });

  check("no bytes at all come back as none", async (t) => {
    const socket = await on.connect(t);
    assert.equal(Buffer.from(await socket.emitWithAck("echo", Buffer.alloc(0))).length, 0);
  });

  check("many bytes come back unchanged", async (t) => {
    const socket = await on.connect(t);
    const bytes = Buffer.alloc(LARGE_BYTES, (n) => n).map((_, n) => (n * 31) % 251);
    assert.ok(bytes.equals(Buffer.from(await socket.emitWithAck("echo", bytes))));
  });

  check("text and bytes keep their order", async (t) => {
    const socket = await on.connect(t);
    const heard = [];
    socket.on("message-back", (value) => heard.push(typeof value === "number" ? value : Buffer.from(value)[0]));
    for (let n = 0; n < 100; n++) socket.emit("message", n % 3 ? n : Buffer.from([n]));
    await socket.emitWithAck("echo", "end");
    assert.deepEqual(
      heard,
      Array.from({ length: 100 }, (_, n) => n),
    );
  });

  check("the server asks with bytes and gets bytes", async (t) => {
    const socket = await on.connect(t);
    const back = new Promise((resolve) => {
      socket.on("emit-with-ack", (bytes, ack) => {
        if (ack) ack(Buffer.concat([Buffer.from(bytes), Buffer.from("!")]));
        else resolve(bytes);
      });
    });
    socket.emit("emit-with-ack", Buffer.from("question"));
    assert.equal(Buffer.from(await back).toString(), "question!");
  });

  check("bytes pass through a room", async (t) => {
    const [alice, bob] = await Promise.all([on.connect(t, "/chat"), on.connect(t, "/chat")]);
    const room = `bytes-${alice.id}`;
    for (const socket of [alice, bob]) assert.equal((await socket.emitWithAck("join", { room })).ok, true);
    const heard = once(bob, "message");
    assert.equal(
      (await alice.emitWithAck("message", { room, text: "look", picture: Buffer.from([1, 2, 3]) })).ok,
      true,
    );
    const [message] = await heard;
    assert.equal(message.from, alice.id);
    assert.deepEqual(Buffer.from(message.picture), Buffer.from([1, 2, 3]));
  });
}
