// The word filter and the router behind the rooms plugin, in `/filtered`. Whoever connects says who they are in
// `auth.user`, and the test identity plugin believes it.

import assert from "node:assert/strict";

import { client, connected } from "./lib/client.mjs";
import { Suite, targetUrl } from "./lib/suite.mjs";
import { Inbox, once } from "./lib/wait.mjs";

const url = targetUrl();
const suite = new Suite("filter", { deadlineMs: 60_000 });

/** A user's socket with an inbox of messages, in these rooms. */
async function member(t, user, ...rooms) {
  const socket = await connected(client(t, url, "/filtered", { transports: ["websocket"], auth: { user } }));
  const inbox = new Inbox();
  socket.on("message", (message) => inbox.push(message));
  for (const room of rooms) assert.equal((await socket.emitWithAck("join", { room })).ok, true);
  return { socket, inbox };
}

/** Names that no other check uses. */
const fresh = (name) => `${name}-${Math.random().toString(36).slice(2)}`;

/** Nothing came: whatever was sent to this socket has arrived when a later event of its own is answered. */
async function assertNothing({ socket, inbox }) {
  await socket.emitWithAck("join", { room: fresh("fence") });
  assert.deepEqual(inbox.pending, []);
}

const texts = [
  ["what a darn day", "what a **** day"],
  ["darn", "****"],
  ["DARN and Darn", "**** and ****"],
  ["darn, darn! (darn)", "****, ****! (****)"],
  ["a darning needle", "a darning needle"],
  ["nothing to hide: ünï 漢字 🎉", "nothing to hide: ünï 漢字 🎉"],
  ['"darn" \\ darn\n', '"****" \\ ****\n'],
  ["", ""],
];
for (const [said, heard] of texts) {
  suite.check(`filter: ${JSON.stringify(said)} is heard as ${JSON.stringify(heard)}`, async (t) => {
    const room = fresh("a");
    const [alice, carol] = [await member(t, "alice", room), await member(t, "carol", room)];
    const { ok, id } = await alice.socket.emitWithAck("message", { room, text: said, keep: { darn: "darn" } });
    assert.equal(ok, true);
    for (const { inbox } of [alice, carol]) {
      assert.deepEqual(await inbox.next(), { room, text: heard, keep: { darn: "darn" }, from: alice.socket.id, id });
    }
  });
}

suite.check("filter: who is no member is refused all the same", async (t) => {
  const alice = await member(t, "alice");
  const { error } = await alice.socket.emitWithAck("message", { room: fresh("a"), text: "darn" });
  assert.equal(error.reason.code, "not_a_member");
});

suite.check("router: an urgent message also reaches the room `urgent`", async (t) => {
  const [alice, inRoom, onDuty] = [
    await member(t, "alice", "a"),
    await member(t, "carol", "a"),
    await member(t, "dave", "urgent"),
  ];
  const { ok, id } = await alice.socket.emitWithAck("message", { room: "a", text: "#urgent the darn server is down" });
  assert.equal(ok, true);
  for (const { inbox } of [alice, inRoom, onDuty]) {
    assert.deepEqual(await inbox.next(), {
      room: "a",
      text: "#urgent the **** server is down",
      from: alice.socket.id,
      id,
    });
  }
});

suite.check("router: who is in both rooms hears an urgent message once", async (t) => {
  const [alice, both] = [await member(t, "alice", "a"), await member(t, "carol", "a", "urgent")];
  await alice.socket.emitWithAck("message", { room: "a", text: "#urgent once" });
  assert.equal((await both.inbox.next()).text, "#urgent once");
  await assertNothing(both);
});

suite.check("router: a message that is not urgent stays in its room", async (t) => {
  const [alice, onDuty] = [await member(t, "alice", "a"), await member(t, "dave", "urgent")];
  assert.equal((await alice.socket.emitWithAck("message", { room: "a", text: "no hurry, not #urgent" })).ok, true);
  assert.equal((await alice.inbox.next()).text, "no hurry, not #urgent");
  await assertNothing(onDuty);
});

suite.check("router: a message to a user reaches all sockets of that user, and nobody else", async (t) => {
  const room = fresh("a");
  const [alice, carol, phone, laptop] = [
    await member(t, "alice", room),
    await member(t, "carol", room),
    await member(t, "bob", room),
    await member(t, "bob"),
  ];
  const { ok, id } = await alice.socket.emitWithAck("message", { room, text: "@bob a darn secret" });
  assert.equal(ok, true);
  for (const { inbox } of [phone, laptop]) {
    assert.deepEqual(await inbox.next(), { room, text: "@bob a **** secret", from: alice.socket.id, id });
  }
  for (const nobody of [alice, carol, phone]) await assertNothing(nobody);
});

suite.check("router: a message to a user who is not there is no error", async (t) => {
  const room = fresh("a");
  const [alice, carol] = [await member(t, "alice", room), await member(t, "carol", room)];
  // bobs of other checks may still be leaving: they are no members here and hear nothing of this room
  assert.equal((await alice.socket.emitWithAck("message", { room, text: "@bob are you there?" })).ok, true);
  await assertNothing(carol);
});

suite.check("identity: who says no name is refused with a reason", async (t) => {
  const [error] = await once(client(t, url, "/filtered", { transports: ["websocket"] }), "connect_error");
  assert.equal(error.message, "a user is required");
  assert.equal(error.data.reason.code, "user_required");
});

await suite.run();
