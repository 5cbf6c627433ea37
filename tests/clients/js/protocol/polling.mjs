// Long polling: payloads, their limits, and how a session ends.

import assert from "node:assert/strict";

import { CLOSE, NOOP, PING, PONG, Polling, SEPARATOR } from "../lib/raw.mjs";

const MAX_PAYLOAD_BYTES = 1_000_000;

export function pollingChecks(suite, url) {
  suite.check("polling: a payload with one packet", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    await session.say('42["message","hello"]');
    assert.equal(await session.next(), '42["message-back","hello"]');
  });

  suite.check("polling: a payload with several packets is answered in order", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    await session.say('42["message",1]', '42["message",2]', '42["message",3]');
    assert.deepEqual(await session.take(3), ['42["message-back",1]', '42["message-back",2]', '42["message-back",3]']);
  });

  suite.check("polling: text and binary packets in one payload", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    const binary = '452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]';
    await session.say('42["message","before"]', binary, "bAQID", "bBAUGBw==", '42["message","after"]');
    assert.deepEqual(await session.take(5), [
      '42["message-back","before"]',
      binary.replace("message", "message-back"),
      "bAQID",
      "bBAUGBw==",
      '42["message-back","after"]',
    ]);
  });

  suite.check("polling: an event and its attachment in two requests", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    await session.say('451-8["echo",{"_placeholder":true,"num":0}]');
    await session.say("bAQID");
    assert.deepEqual(await session.take(2), ['461-8[{"_placeholder":true,"num":0}]', "bAQID"]);
  });

  suite.check("polling: letters beyond ASCII", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    await session.say('42["message","Zürich 漢字 🎉"]', '42["message","к"]');
    assert.deepEqual(await session.take(2), ['42["message-back","Zürich 漢字 🎉"]', '42["message-back","к"]']);
  });

  suite.check("polling: a payload just within the limit is taken", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    const frame = '42["message",""]';
    const text = "x".repeat(MAX_PAYLOAD_BYTES - frame.length);
    await session.say(`42["message","${text}"]`);
    assert.equal(await session.next(), `42["message-back","${text}"]`);
  });

  suite.check("polling: a payload beyond the limit is refused with 413", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    const { status } = await session.post("4".repeat(MAX_PAYLOAD_BYTES + 1));
    assert.equal(status, 413);
  });

  suite.check("polling: a GET waits until there is something to say", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    const answer = session.get();
    await session.say('42["message","wake up"]');
    const packets = (await answer).text.split(SEPARATOR).filter((packet) => packet !== PING);
    assert.deepEqual(packets, ['42["message-back","wake up"]']);
  });

  suite.check("polling: a payload that is no packet closes the session", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    const { status } = await session.post("abc");
    assert.ok(status === 200 || status === 400, `answered ${status}`);
    await assertGone(session);
  });

  suite.check("polling: an unknown packet type closes the session", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    await session.post("9");
    await assertGone(session);
  });

  suite.check("polling: two GETs at once close the session", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    const answers = await Promise.all([session.get(), session.get()]);
    assert.ok(
      answers.some(({ status }) => status === 400 || status === 500),
      "one of the two is refused",
    );
    await assertGone(session);
  });

  suite.check("polling: two POSTs at once close the session", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    const headers = { "content-type": "text/plain;charset=UTF-8", "content-length": "100" };
    const slow = session.begin({ method: "POST", body: "4", headers, open: true });
    slow.answer.catch(() => {});
    t.defer(() => slow.outgoing.destroy());
    await new Promise((resolve) => slow.outgoing.once("socket", (socket) => socket.once("connect", resolve)));
    // the first POST is on the wire but may be read after a second one: ask until the two have met
    let status;
    do ({ status } = await session.post('42["message",1]'));
    while (status === 200);
    assert.equal(status, 400);
    await assertGone(session);
  });

  suite.check("polling: a GET that the client aborts closes the session", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    const { outgoing, answer } = session.begin();
    answer.catch(() => {});
    await new Promise((resolve) => outgoing.once("finish", resolve));
    // its answer shows that the server reads what was sent by now
    await session.say(PONG);
    outgoing.destroy();
    // pongs keep the session from a ping timeout: only the abort can end it
    let status;
    do ({ status } = await session.post(PONG));
    while (status === 200);
    assert.equal(status, 400);
  });

  suite.check("polling: a close packet ends the session and its waiting GET", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    const waiting = session.get();
    const [{ status, text }] = await Promise.all([waiting, session.say(CLOSE)]);
    assert.equal(status, 200);
    assert.equal(text.split(SEPARATOR).at(-1), NOOP);
    await assertGone(session);
  });

  suite.check("polling: a POST after the close packet is refused", async (t) => {
    const session = await Polling.open(t, url);
    await session.say(CLOSE);
    assert.equal((await session.post('42["message",1]')).status, 400);
  });

  suite.check("polling: the public id of a socket opens nothing", async (t) => {
    const session = await Polling.open(t, url);
    const id = await session.connect();
    assert.notEqual(id, session.sid);
    const forged = new Polling(url, { sid: id });
    assert.equal((await forged.post('42["message","forged"]')).status, 400);
    assert.equal((await forged.get()).status, 400);
    await session.say('42["message","mine"]');
    assert.equal(await session.next(), '42["message-back","mine"]');
  });
}

/** The session answers no more; a last GET may still be told the end. */
async function assertGone(session) {
  const last = await session.get();
  if (last.status === 200) assert.match(last.text, /(^|\x1e)[16]$/);
  assert.equal((await session.get()).status, 400);
}
