// Rooms, as the rooms plugin makes them.

import assert from "node:assert/strict";

import { provokeClose } from "../lib/client.mjs";
import { Inbox, once } from "../lib/wait.mjs";

const NAMES = ['"quoted" \\ room', "Zimmer ü", "部屋", "🎉", "with space", "a/b,c"];

export function roomChecks(check, on) {
  async function members(t, count, room) {
    const sockets = await Promise.all(Array.from({ length: count }, () => on.connect(t, "/chat")));
    for (const [n, socket] of sockets.entries()) {
      assert.deepEqual(await socket.emitWithAck("join", { room }), { ok: true, members: n + 1 });
    }
    return sockets;
  }

  const fresh = (name) => `${name}-${Math.random()}`;

  check("joining tells how many members there are; joining twice changes nothing", async (t) => {
    const room = fresh("twice");
    const [, second] = await members(t, 2, room);
    assert.deepEqual(await second.emitWithAck("join", { room }), { ok: true, members: 2 });
  });

  check("a message reaches all members, the sender included, and nobody else", async (t) => {
    const room = fresh("all");
    const sockets = await members(t, 3, room);
    const outsider = await on.connect(t, "/chat");
    outsider.on("message", () => assert.fail("an outsider heard it"));
    const heard = Promise.all(sockets.map((socket) => once(socket, "message")));
    const { ok, id } = await sockets[0].emitWithAck("message", { room, text: "hello", extra: { n: [1] } });
    assert.equal(ok, true);
    for (const [message] of await heard) {
      assert.deepEqual(message, { room, text: "hello", extra: { n: [1] }, from: sockets[0].id, id });
    }
    assert.equal((await outsider.emitWithAck("join", { room: fresh("other") })).ok, true);
  });

  check("a message can be sent without asking for an ack", async (t) => {
    const room = fresh("no-ack");
    const [alice, bob] = await members(t, 2, room);
    const heard = once(bob, "message");
    alice.emit("message", { room, text: "hello" });
    assert.equal((await heard)[0].text, "hello");
  });

  check("message ids are unique", async (t) => {
    const room = fresh("ids");
    const [alice] = await members(t, 1, room);
    const acks = await Promise.all(
      Array.from({ length: 100 }, (_, n) => alice.emitWithAck("message", { room, text: `${n}` })),
    );
    assert.equal(new Set(acks.map(({ id }) => id)).size, 100);
  });

  check("a sender who is no member is refused, and nobody hears", async (t) => {
    const room = fresh("refused");
    const [member] = await members(t, 1, room);
    const stranger = await on.connect(t, "/chat");
    const heard = new Inbox();
    member.on("message", (message) => heard.push(message.text));
    const { error } = await stranger.emitWithAck("message", { room, text: "let me in" });
    assert.equal(error.code, "rejected");
    assert.equal(error.reason.code, "not_a_member");
    assert.equal(typeof error.message, "string");
    await member.emitWithAck("message", { room, text: "mine" });
    assert.equal(await heard.next(), "mine");
  });

  check("a refusal comes as an error event when no ack was asked for", async (t) => {
    const stranger = await on.connect(t, "/chat");
    const told = once(stranger, "error");
    stranger.emit("message", { room: fresh("none"), text: "let me in" });
    const [{ error, event }] = await told;
    assert.equal(error.code, "rejected");
    assert.equal(error.reason.code, "not_a_member");
    assert.equal(event, "message");
  });

  check("an event that nobody handles is refused as unhandled", async (t) => {
    const socket = await on.connect(t, "/chat");
    const { error } = await socket.emitWithAck("nobody-knows-this", 1);
    assert.equal(error.code, "unhandled");
  });

  check("who leaves is heard no more and hears no more", async (t) => {
    const room = fresh("leave");
    const [alice, bob] = await members(t, 2, room);
    bob.on("message", () => assert.fail("heard after leaving"));
    assert.equal((await bob.emitWithAck("leave", { room })).ok, true);
    await alice.emitWithAck("message", { room, text: "without bob" });
    const { error } = await bob.emitWithAck("message", { room, text: "from outside" });
    assert.equal(error.reason.code, "not_a_member");
  });

  check("members are told who joins and who leaves", async (t) => {
    const room = fresh("notices");
    const [alice] = await members(t, 1, room);
    const notices = new Inbox();
    for (const name of ["joined", "left"]) {
      alice.on(name, (notice) => {
        if (notice.socket !== alice.id) notices.push({ name, room: notice.room, socket: notice.socket });
      });
    }
    const bob = await on.connect(t, "/chat");
    const { id } = bob;
    await bob.emitWithAck("join", { room });
    assert.deepEqual(await notices.next("the joined notice"), { name: "joined", room, socket: id });
    await bob.emitWithAck("leave", { room });
    assert.deepEqual(await notices.next("the left notice"), { name: "left", room, socket: id });
  });

  const ends = {
    disconnects: (socket) => socket.disconnect(),
    "closes its connection": (socket) => socket.io.engine.close(),
    "is closed by the server": provokeClose,
  };
  for (const [what, end] of Object.entries(ends)) {
    check(`members are told when one ${what}`, async (t) => {
      const room = fresh("gone");
      const [alice, bob] = await members(t, 2, room);
      await on.settled(bob);
      const { id } = bob;
      const left = once(alice, "left");
      end(bob);
      const [notice] = await left;
      assert.equal(notice.room, room);
      assert.equal(notice.socket, id);
      assert.deepEqual(await alice.emitWithAck("join", { room }), { ok: true, members: 1 });
    });
  }

  check("room names of all scripts", async (t) => {
    const [alice, bob] = await Promise.all([on.connect(t, "/chat"), on.connect(t, "/chat")]);
    for (const name of NAMES) {
      const room = `${name} ${Math.random()}`;
      for (const socket of [alice, bob]) assert.equal((await socket.emitWithAck("join", { room })).ok, true);
      const heard = once(bob, "message");
      await alice.emitWithAck("message", { room, text: name });
      assert.deepEqual([(await heard)[0].room, (await heard)[0].text], [room, name]);
      await bob.emitWithAck("leave", { room });
    }
  });

  check("the same room in two namespaces is two rooms", async (t) => {
    const room = fresh("same");
    const [alice] = await members(t, 1, room);
    const bob = await on.connect(t, "/filtered", { auth: { user: "bob" } });
    assert.deepEqual(await bob.emitWithAck("join", { room }), { ok: true, members: 1 });
    alice.on("message", () => assert.fail("heard across namespaces"));
    await bob.emitWithAck("message", { room, text: "here" });
    assert.deepEqual(await alice.emitWithAck("join", { room }), { ok: true, members: 1 });
  });
}
