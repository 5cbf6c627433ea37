// Socket.IO: joining and leaving namespaces.

import assert from "node:assert/strict";

import { Polling, Wire } from "../lib/raw.mjs";

const CONNECT_TIMEOUT_MS = 1_000;
/** How much too late a timer may fire on a busy machine. */
const LATE_MS = 2_000;
const MANY = 10;

export function connectChecks(suite, url) {
  suite.check("connect: the main namespace", async (t) => {
    const wire = await Wire.open(t, url);
    wire.send("40");
    const [connect, auth] = await wire.take(2);
    const answer = JSON.parse(connect.slice(2));
    assert.ok(connect.startsWith("40{"));
    assert.equal(typeof answer.sid, "string");
    assert.equal(auth, '42["auth",{}]');
  });

  suite.check("connect: the main namespace with a payload", async (t) => {
    const wire = await Wire.open(t, url);
    wire.send('40{"token":"123"}');
    const [connect, auth] = await wire.take(2);
    assert.ok(connect.startsWith("40{"));
    assert.equal(auth, '42["auth",{"token":"123"}]');
  });

  suite.check("connect: the main namespace by its name", async (t) => {
    const wire = await Wire.open(t, url);
    wire.send("40/,");
    assert.match(await wire.next(), /^40\{"sid":/);
  });

  suite.check("connect: a custom namespace", async (t) => {
    const wire = await Wire.open(t, url);
    wire.send("40/custom,");
    const [connect, auth] = await wire.take(2);
    assert.match(connect, /^40\/custom,\{"sid":"[^"]+"/);
    assert.equal(auth, '42/custom,["auth",{}]');
  });

  suite.check("connect: a custom namespace with a payload", async (t) => {
    const wire = await Wire.open(t, url);
    wire.send('40/custom,{"token":"abc","deep":[{"n":1.5}]}');
    const [connect, auth] = await wire.take(2);
    assert.match(connect, /^40\/custom,\{"sid":"[^"]+"/);
    assert.equal(auth, '42/custom,["auth",{"token":"abc","deep":[{"n":1.5}]}]');
  });

  suite.check("connect: a custom namespace without the comma", async (t) => {
    const wire = await Wire.open(t, url);
    wire.send("40/custom");
    const [connect, auth] = await wire.take(2);
    assert.match(connect, /^40\/custom,\{"sid":/);
    assert.equal(auth, '42/custom,["auth",{}]');
  });

  suite.check("connect: a custom namespace with a query keeps to its name", async (t) => {
    const wire = await Wire.open(t, url);
    wire.send("40/custom?token=1,");
    const answer = await wire.next();
    assert.match(answer, /^4[04]\/custom(\?token=1)?,\{/);
  });

  suite.check("connect: an unknown namespace is refused and the connection goes on", async (t) => {
    const wire = await Wire.open(t, url);
    wire.send("40/random");
    assert.equal(await wire.next(), '44/random,{"message":"Invalid namespace"}');
    await wire.connect();
    wire.send('42["message","hello"]');
    assert.equal(await wire.next(), '42["message-back","hello"]');
  });

  suite.check("connect: an unknown namespace is refused with a payload too", async (t) => {
    const wire = await Wire.open(t, url);
    wire.send('40/random,{"token":"123"}');
    assert.equal(await wire.next(), '44/random,{"message":"Invalid namespace"}');
  });

  suite.check("connect: a plugin's refusal carries a message and data", async (t) => {
    const wire = await Wire.open(t, url);
    wire.send("40/filtered,");
    const answer = await wire.next();
    assert.ok(answer.startsWith("44/filtered,{"), answer);
    const { message, data } = JSON.parse(answer.slice("44/filtered,".length));
    assert.equal(message, "a user is required");
    assert.equal(data.code, "rejected");
    assert.equal(data.reason.code, "user_required");
  });

  suite.check("connect: many namespaces over one connection, each with an id of its own", async (t) => {
    const wire = await Wire.open(t, url);
    const ids = [await wire.connect(), await wire.connect("/custom")];
    for (let n = 1; n <= MANY; n++) ids.push(await wire.connect(`/many-${n}`));
    assert.equal(new Set(ids).size, MANY + 2);
    assert.ok(!ids.includes(wire.handshake.sid), "a public id is the session's");
    wire.send('42/many-3,["message","three"]', '42["message","main"]', '42/custom,["message","custom"]');
    assert.deepEqual(
      (await wire.take(3)).sort(),
      ['42/custom,["message-back","custom"]', '42/many-3,["message-back","three"]', '42["message-back","main"]'].sort(),
    );
  });

  suite.check("connect: CONNECTs at once are all answered", async (t) => {
    const wire = await Wire.open(t, url);
    wire.send(...Array.from({ length: MANY }, (_, n) => `40/many-${n + 1},`));
    const answered = new Set();
    for (const packet of await wire.take(2 * MANY)) if (packet.startsWith("40")) answered.add(packet.split(",")[0]);
    assert.equal(answered.size, MANY);
  });

  suite.check("connect: over polling", async (t) => {
    const session = await Polling.open(t, url);
    await session.say('40/custom,{"token":"abc"}');
    const [connect, auth] = await session.take(2);
    assert.match(connect, /^40\/custom,\{"sid":/);
    assert.equal(auth, '42/custom,["auth",{"token":"abc"}]');
  });

  suite.check("connect: a client that joins no namespace is closed after the connect timeout", async (t) => {
    const begin = performance.now();
    const wire = await Wire.open(t, url);
    await wire.isClosed();
    const elapsedMs = performance.now() - begin;
    assert.ok(elapsedMs >= CONNECT_TIMEOUT_MS - 50, `closed after ${elapsedMs} ms`);
    assert.ok(elapsedMs <= CONNECT_TIMEOUT_MS + LATE_MS, `closed only after ${elapsedMs} ms`);
  });

  suite.check("connect: a client that was refused everywhere is closed after the connect timeout", async (t) => {
    const wire = await Wire.open(t, url);
    wire.send("40/random,");
    await wire.next();
    await wire.isClosed();
  });

  suite.check("connect: a client that joined a namespace outlives the connect timeout", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect("/custom");
    const idle = await Wire.open(t, url);
    // opened later: when its connect timeout is over, so is the one of the other
    await idle.isClosed();
    wire.send('42/custom,["message","still here"]');
    assert.equal(await wire.next(), '42/custom,["message-back","still here"]');
  });

  suite.check("disconnect: from a custom namespace, the main one goes on", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    await wire.connect("/custom");
    wire.send("41/custom", '42["message","to main"]');
    assert.equal(await wire.next(), '42["message-back","to main"]');
  });

  suite.check("disconnect: from the main namespace, a custom one goes on", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    await wire.connect("/custom");
    wire.send("41", '42/custom,["message","to custom"]');
    assert.equal(await wire.next(), '42/custom,["message-back","to custom"]');
  });

  suite.check("disconnect: an event afterwards closes the connection", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    await wire.connect("/custom");
    wire.send("41", '42/custom,["message","left"]');
    assert.equal(await wire.next(), '42/custom,["message-back","left"]');
    wire.send('42["message","too late"]');
    await wire.isClosed();
    assert.deepEqual(wire.pending, []);
  });

  suite.check("disconnect: and connect again, with another id", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    const first = await wire.connect("/custom");
    wire.send("41/custom,", '42["message","left"]');
    assert.equal(await wire.next(), '42["message-back","left"]');
    const second = await wire.connect("/custom");
    assert.notEqual(first, second);
    wire.send('42/custom,["message","again"]');
    assert.equal(await wire.next(), '42/custom,["message-back","again"]');
  });

  suite.check("disconnect: the members of a room see it, once for each room", async (t) => {
    const [watcher, leaver] = [await Wire.open(t, url), await Wire.open(t, url)];
    const rooms = [`one-${Math.random()}`, `two-${Math.random()}`];
    for (const wire of [watcher, leaver]) await wire.joinRooms(...rooms);
    leaver.send("41/chat,");
    const left = [];
    while (left.length < rooms.length) {
      const [name, notice] = JSON.parse((await watcher.next("a notice")).slice("42/chat,".length));
      if (name === "left") left.push(notice.room);
    }
    assert.deepEqual(left, rooms, "in join order");
  });
}
