// From polling to WebSocket without losing, doubling or reordering anything.

import assert from "node:assert/strict";

import { NOOP, Polling, SEPARATOR, UPGRADE, Wire } from "../lib/raw.mjs";

const PROBE = "2probe";
const PROBE_ANSWER = "3probe";
const BURST = 200;

export function upgradeChecks(suite, url) {
  suite.check("upgrade: a probe, the waiting GET is released, and messages flow over WebSocket", async (t) => {
    const { session, wire } = await probed(t, url);
    const { status, text } = await session.get();
    assert.equal(status, 200);
    assert.equal(text, NOOP);
    wire.send(UPGRADE, '42["message","hello"]');
    assert.equal(await nextEvent(wire), '42["message-back","hello"]');
  });

  suite.check("upgrade: a GET that waits already is released by the probe", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    const waiting = session.get();
    const wire = Wire.upgrade(t, url, session.sid);
    await wire.opened;
    wire.send(PROBE);
    assert.equal(await wire.next(), PROBE_ANSWER);
    const { status, text } = await waiting;
    assert.equal(status, 200);
    assert.equal(text.split(SEPARATOR).at(-1), NOOP);
    wire.send(UPGRADE, '42["message","hello"]');
    assert.equal(await nextEvent(wire), '42["message-back","hello"]');
  });

  suite.check("upgrade: afterwards polling requests are refused and the socket lives on", async (t) => {
    const { session, wire } = await upgraded(t, url);
    assert.equal((await session.get()).status, 400);
    assert.equal((await session.post('42["message","by post"]')).status, 400);
    wire.send('42["message","hello"]');
    assert.equal(await nextEvent(wire), '42["message-back","hello"]');
  });

  suite.check("upgrade: afterwards a second WebSocket is closed and the first lives on", async (t) => {
    const { session, wire } = await upgraded(t, url);
    const second = Wire.upgrade(t, url, session.sid);
    await second.isClosed();
    wire.send('42["message","hello"]');
    assert.equal(await nextEvent(wire), '42["message-back","hello"]');
  });

  suite.check("upgrade: meanwhile a second WebSocket is closed and the first may go on", async (t) => {
    const { session, wire } = await probed(t, url);
    const second = Wire.upgrade(t, url, session.sid);
    await second.isClosed();
    wire.send(UPGRADE, '42["message","hello"]');
    assert.equal(await nextEvent(wire), '42["message-back","hello"]');
  });

  suite.check("upgrade: a probe that breaks off leaves polling as it was", async (t) => {
    const { session, wire } = await probed(t, url);
    wire.close();
    await wire.isClosed();
    await session.say('42["message","still polling"]');
    assert.equal(await session.next(), '42["message-back","still polling"]');
  });

  suite.check("upgrade: a WebSocket that never probes leaves polling as it was", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    const wire = Wire.upgrade(t, url, session.sid);
    await wire.opened;
    wire.terminate();
    await session.say('42["message","still polling"]');
    assert.equal(await session.next(), '42["message-back","still polling"]');
  });

  suite.check("upgrade: a message in place of the probe closes that WebSocket only", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    const wire = Wire.upgrade(t, url, session.sid);
    await wire.opened;
    wire.send('42["message","too early"]');
    await wire.isClosed();
    await session.say('42["message","still polling"]');
    assert.equal(await session.next(), '42["message-back","still polling"]');
  });

  suite.check("upgrade: after a failed probe a second try succeeds", async (t) => {
    const { session, wire } = await probed(t, url);
    wire.close();
    await wire.isClosed();
    // the server may learn of the end a little later than this side: until then it takes no second WebSocket
    let again;
    let answer;
    do {
      again = Wire.upgrade(t, url, session.sid);
      await again.opened;
      again.send(PROBE);
      answer = await again.next().catch(() => undefined);
    } while (answer === undefined);
    assert.equal(answer, PROBE_ANSWER);
    again.send(UPGRADE, '42["message","hello"]');
    assert.equal(await nextEvent(again), '42["message-back","hello"]');
  });

  suite.check("upgrade: what was posted while probing is answered once and in order", async (t) => {
    const { session, wire } = await probed(t, url);
    const numbers = Array.from({ length: BURST }, (_, n) => n);
    await session.say(...numbers.map((n) => `42["message",${n}]`));
    const overPolling = [];
    const { status, text } = await session.get();
    assert.equal(status, 200);
    overPolling.push(...text.split(SEPARATOR));
    wire.send(UPGRADE, '42["message","last"]');
    const overWire = [];
    do overWire.push(await nextEvent(wire));
    while (overWire.at(-1) !== '42["message-back","last"]');
    const answers = [...overPolling, ...overWire].filter((packet) => packet.startsWith("42"));
    assert.deepEqual(
      answers,
      [...numbers, '"last"'].map((n) => `42["message-back",${n}]`),
    );
  });

  suite.check("upgrade: what nobody polled comes over WebSocket, binary too", async (t) => {
    const { session, wire } = await probed(t, url);
    await session.say('42["message","kept"]', '451-["message",{"_placeholder":true,"num":0}]', "bAQID");
    wire.send(UPGRADE);
    assert.equal(await nextEvent(wire), '42["message-back","kept"]');
    assert.equal(await nextEvent(wire), '451-["message-back",{"_placeholder":true,"num":0}]');
    assert.deepEqual(await wire.next(), Buffer.from([1, 2, 3]));
  });

  suite.check("upgrade: before any namespace is joined", async (t) => {
    const session = await Polling.open(t, url);
    const wire = Wire.upgrade(t, url, session.sid);
    await wire.opened;
    wire.send(PROBE);
    assert.equal(await wire.next(), PROBE_ANSWER);
    wire.send(UPGRADE, "40");
    assert.match(await nextEvent(wire), /^40\{"sid":/);
    assert.equal(await nextEvent(wire), '42["auth",{}]');
  });

  suite.check("upgrade: a namespace joined over polling goes on over WebSocket", async (t) => {
    const { session, wire } = await probed(t, url);
    await session.connect("/custom");
    wire.send(UPGRADE, '42/custom,1["echo","same"]');
    assert.equal(await nextEvent(wire), '43/custom,1["same"]');
  });
}

/** A session in `/` whose WebSocket was probed, with the upgrade still to come. */
async function probed(t, url) {
  const session = await Polling.open(t, url);
  await session.connect();
  const wire = Wire.upgrade(t, url, session.sid);
  await wire.opened;
  wire.send(PROBE);
  assert.equal(await wire.next("the probe's answer"), PROBE_ANSWER);
  return { session, wire };
}

async function upgraded(t, url) {
  const { session, wire } = await probed(t, url);
  wire.send(UPGRADE, '42["message","upgraded"]');
  assert.equal(await nextEvent(wire), '42["message-back","upgraded"]');
  return { session, wire };
}

/** The next message that is no no-op: a server may send one to end a poll, or after an upgrade. */
async function nextEvent(wire) {
  for (;;) {
    const message = await wire.next();
    if (message !== NOOP) return message;
  }
}
