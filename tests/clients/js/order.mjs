// Order: one sender's messages arrive as they were sent, and all members of a room see one sequence.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";

import { client, connected } from "./lib/client.mjs";
import { Suite, targetUrl } from "./lib/suite.mjs";
import { deferred, within } from "./lib/wait.mjs";

const MESSAGES = 20_000;
const POLLING_MESSAGES = 2_000;
const MEMBERS = 50;
const MESSAGES_EACH = 400;
/** How many messages of one sender are on their way at a time: a room's traffic comes back to all its members. */
const WINDOW = 8;
const CHECK_DEADLINE_MS = 120_000;

const url = targetUrl();
const suite = new Suite("order", { deadlineMs: 300_000 });
const check = (name, run) => suite.check(name, run, { deadlineMs: CHECK_DEADLINE_MS });

check(`${MESSAGES} messages come back to their sender in order, over WebSocket`, (t) =>
  echoed(t, ["websocket"], MESSAGES),
);
check(`${POLLING_MESSAGES} messages come back to their sender in order, over polling`, (t) =>
  echoed(t, ["polling"], POLLING_MESSAGES),
);
check(`${POLLING_MESSAGES} messages come back to their sender in order, across an upgrade`, (t) =>
  echoed(t, ["polling", "websocket"], POLLING_MESSAGES),
);

async function echoed(t, transports, count) {
  const socket = await connected(client(t, url, "/", { transports }));
  const all = deferred();
  let expected = 0;
  socket.on("message-back", (n) => {
    if (n !== expected) all.reject(new Error(`got ${n} where ${expected} was due`));
    if (++expected === count) all.resolve();
  });
  socket.on("disconnect", (reason) => all.reject(new Error(`disconnected after ${expected}: ${reason}`)));
  for (let n = 0; n < count; n++) socket.emit("message", n);
  await within(all.promise, `message ${count}`, CHECK_DEADLINE_MS);
}

check(`${MESSAGES} messages from one member of a room reach another in order`, async (t) => {
  const [alice, bob] = await members(t, 2, { transports: ["websocket"] });
  const all = deferred();
  let expected = 0;
  bob.socket.on("message", ({ n }) => {
    if (n !== expected) all.reject(new Error(`got ${n} where ${expected} was due`));
    if (++expected === MESSAGES) all.resolve();
  });
  bob.socket.on("disconnect", (reason) => all.reject(new Error(`disconnected after ${expected}: ${reason}`)));
  await alice.sendAll(MESSAGES);
  await within(all.promise, `message ${MESSAGES}`, CHECK_DEADLINE_MS);
});

check(`${MEMBERS} members send ${MESSAGES_EACH} messages each: all see one sequence`, async (t) => {
  const everybody = await members(t, MEMBERS, { transports: ["websocket"] });
  const sequences = everybody.map(({ socket }) => recordSequence(socket, MEMBERS * MESSAGES_EACH));
  await Promise.all(everybody.map((member) => member.sendAll(MESSAGES_EACH)));
  const seen = await within(Promise.all(sequences), "the last message at every member", CHECK_DEADLINE_MS);
  for (const { disorder } of seen) assert.deepEqual(disorder, []);
  const hashes = new Set(seen.map(({ hash }) => hash));
  t.note(`${MEMBERS * MEMBERS * MESSAGES_EACH} deliveries, ${hashes.size} different sequences`);
  assert.equal(hashes.size, 1);
});

/** Hashes the order in which a member sees the room's messages; `disorder` names senders whose own order was broken. */
function recordSequence(socket, count) {
  const all = deferred();
  const hash = createHash("sha256");
  const next = new Map();
  const disorder = [];
  let seen = 0;
  socket.on("message", ({ from, n, id }) => {
    hash.update(`${from} ${n} ${id}\n`);
    if (n !== (next.get(from) ?? 0)) disorder.push(`${from}: ${n} where ${next.get(from) ?? 0} was due`);
    next.set(from, n + 1);
    if (++seen === count) all.resolve({ hash: hash.digest("hex"), disorder });
  });
  socket.on("disconnect", (reason) =>
    all.reject(new Error(`a member was disconnected after ${seen} messages: ${reason}`)),
  );
  return all.promise;
}

/** So many sockets in one room of `/chat`; `sendAll(count)` sends numbered messages and resolves when all are acked. */
async function members(t, count, options) {
  const room = `order-${Math.random()}`;
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = await connected(client(t, url, "/chat", options));
      assert.equal((await socket.emitWithAck("join", { room })).ok, true);
      return { socket, sendAll: (total) => sendAll(socket, room, total) };
    }),
  );
}

function sendAll(socket, room, total) {
  const all = deferred();
  let [sent, acked] = [0, 0];
  const send = () => {
    const n = sent++;
    socket.emit("message", { room, text: "x", n }, (answer) => {
      if (!answer.ok) return all.reject(new Error(`message ${n} was answered ${JSON.stringify(answer)}`));
      if (++acked === total) return all.resolve();
      if (sent < total) send();
    });
  };
  while (sent < Math.min(WINDOW, total)) send();
  return all.promise;
}

await suite.run();
