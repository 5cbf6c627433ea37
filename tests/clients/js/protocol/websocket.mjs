// WebSocket as the only transport.

import assert from "node:assert/strict";

import { CLOSE, Wire, request } from "../lib/raw.mjs";

const MAX_PAYLOAD_BYTES = 1_000_000;
const TOO_BIG = 1009;

export function websocketChecks(suite, url) {
  suite.check("websocket: a text packet", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    wire.send('42["message","hello"]');
    assert.equal(await wire.next(), '42["message-back","hello"]');
  });

  suite.check("websocket: a binary packet", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    wire.send('451-["message",{"_placeholder":true,"num":0}]', Buffer.from([1, 2, 3, 4]));
    const [text, bytes] = await wire.take(2);
    assert.equal(text, '451-["message-back",{"_placeholder":true,"num":0}]');
    assert.deepEqual(bytes, Buffer.from([1, 2, 3, 4]));
  });

  suite.check("websocket: an empty attachment", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    wire.send('451-["message",{"_placeholder":true,"num":0}]', Buffer.alloc(0));
    const [text, bytes] = await wire.take(2);
    assert.equal(text, '451-["message-back",{"_placeholder":true,"num":0}]');
    assert.deepEqual(bytes, Buffer.alloc(0));
  });

  suite.check("websocket: a message just within the limit is taken", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    const text = "x".repeat(MAX_PAYLOAD_BYTES - '42["message",""]'.length);
    wire.send(`42["message","${text}"]`);
    assert.equal(await wire.next(), `42["message-back","${text}"]`);
  });

  suite.check("websocket: a message beyond the limit closes the socket as too big", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    wire.send("4".repeat(MAX_PAYLOAD_BYTES + 1));
    assert.equal((await wire.isClosed()).code, TOO_BIG);
  });

  for (const [what, message] of [
    ["a message that is no packet", "abc"],
    ["an unknown packet type", "9"],
  ]) {
    suite.check(`websocket: ${what} closes the session`, async (t) => {
      const wire = await Wire.open(t, url);
      await wire.connect();
      wire.send(message);
      await wire.isClosed();
    });
  }

  suite.check("websocket: a close packet closes the socket", async (t) => {
    // Node's server ignores the packet over WebSocket and lets the ping timeout do it
    const wire = await Wire.open(t, url, { answerPings: false });
    await wire.connect();
    wire.send(CLOSE);
    await wire.isClosed();
  });

  suite.check("websocket: what was sent before a close packet is still handled", async (t) => {
    const watcher = await Wire.open(t, url);
    const room = `last-words-${Math.random()}`;
    const wire = await Wire.open(t, url, { answerPings: false });
    await watcher.joinRooms(room);
    await wire.joinRooms(room);
    assert.match(await watcher.next("the joined notice"), /^42\/chat,\["joined"/);
    wire.send(`42/chat,["message",{"room":"${room}","text":"last words"}]`, CLOSE);
    assert.match(await watcher.next("the last message"), /last words/);
    assert.match(await watcher.next("the left notice"), /^42\/chat,\["left"/);
  });

  suite.check("websocket: its session takes no polling requests", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    const query = { EIO: 4, transport: "polling", sid: wire.handshake.sid };
    assert.equal((await request(url, query)).status, 400);
    assert.equal((await request(url, query, { method: "POST", body: '42["message",1]' })).status, 400);
    wire.send('42["message","still here"]');
    assert.equal(await wire.next(), '42["message-back","still here"]');
  });

  suite.check("websocket: a second socket does not disturb its session", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    const second = Wire.upgrade(t, url, wire.handshake.sid);
    await Promise.race([second.opened, second.closed]);
    second.terminate();
    wire.send('42["message","still here"]');
    assert.equal(await wire.next(), '42["message-back","still here"]');
  });
}
