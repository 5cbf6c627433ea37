// Pings come from the server, at the interval it told, and a client that does not answer is let go.

import assert from "node:assert/strict";

import { PING, PONG, Polling, SEPARATOR, Wire } from "../lib/raw.mjs";

const ROUNDS = 3;
/** How much too early a timer may seem to fire: clocks are read on two sides. */
const EARLY_MS = 30;
/** How much too late, on a busy machine. */
const LATE_MS = 1_500;

export function heartbeatChecks(suite, url) {
  suite.check("polling: the server pings and a client that answers stays", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    for (let round = 0; round < ROUNDS; round++) {
      const { status, text } = await session.get();
      assert.equal(status, 200);
      assert.equal(text, PING);
      await session.say(PONG);
    }
    await session.say('42["message","alive"]');
    assert.equal(await session.next(), '42["message-back","alive"]');
  });

  suite.check("polling: a client that answers no ping is let go", async (t) => {
    const session = await Polling.open(t, url);
    const opened = performance.now();
    await session.connect();
    assert.equal((await session.get()).text, PING);
    const last = await session.get();
    if (last.status === 200) assert.match(last.text.split(SEPARATOR).at(-1), /^[16]$/);
    assertSilence(performance.now() - opened, session.handshake);
    assert.equal((await session.get()).status, 400);
  });

  suite.check("polling: a POST after the ping timeout is refused", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    assert.equal((await session.get()).text, PING);
    await session.get();
    assert.equal((await session.post('42["message",1]')).status, 400);
  });

  suite.check("websocket: the server pings at its interval and a client that answers stays", async (t) => {
    const wire = await Wire.open(t, url, { answerPings: false });
    await wire.connect();
    let before;
    for (let round = 0; round < ROUNDS; round++) {
      assert.equal(await wire.next("a ping"), PING);
      const now = performance.now();
      if (before) assert.ok(now - before >= wire.handshake.pingInterval - EARLY_MS, `a ping after ${now - before} ms`);
      before = now;
      wire.send(PONG);
    }
    wire.send('42["message","alive"]');
    assert.equal(await wire.next(), '42["message-back","alive"]');
  });

  suite.check("websocket: the first ping comes after one interval, not at once", async (t) => {
    const begin = performance.now();
    const wire = await Wire.open(t, url, { answerPings: false });
    await wire.connect();
    assert.equal(await wire.next("the first ping"), PING);
    const { pingInterval } = wire.handshake;
    assert.ok(performance.now() - begin >= pingInterval - EARLY_MS, `pinged after ${performance.now() - begin} ms`);
  });

  suite.check("websocket: a client that answers no ping is let go", async (t) => {
    const begin = performance.now();
    const wire = await Wire.open(t, url, { answerPings: false });
    await wire.connect();
    await wire.isClosed();
    assert.deepEqual(wire.pending, [PING]);
    assertSilence(performance.now() - begin, wire.handshake);
  });

  suite.check("websocket: the members of a room see that a silent client is gone", async (t) => {
    const room = `silent-${Math.random()}`;
    const [watcher, silent] = [await Wire.open(t, url), await Wire.open(t, url, { answerPings: false })];
    await watcher.joinRooms(room);
    await silent.joinRooms(room);
    assert.match(await watcher.next("the joined notice"), /^42\/chat,\["joined"/);
    assert.match(await watcher.next("the left notice"), /^42\/chat,\["left"/);
  });

  suite.check("upgraded: the server pings over WebSocket and lets a silent client go", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    const wire = Wire.upgrade(t, url, session.sid, { answerPings: false });
    await wire.opened;
    wire.send("2probe");
    assert.equal(await wire.next("the probe's answer"), "3probe");
    wire.send("5", '42["message","upgraded"]');
    while ((await wire.next()) !== '42["message-back","upgraded"]');
    await wire.isClosed();
  });
}

function assertSilence(elapsedMs, { pingInterval, pingTimeout }) {
  const told = pingInterval + pingTimeout;
  assert.ok(elapsedMs >= told - EARLY_MS, `let go after ${elapsedMs} ms, told were ${told}`);
  assert.ok(elapsedMs <= told + LATE_MS, `let go only after ${elapsedMs} ms, told were ${told}`);
}
