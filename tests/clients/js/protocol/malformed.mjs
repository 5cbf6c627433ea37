// Socket.IO: packets that are none. Each closes the connection, and none of them is heard by anybody.

import assert from "node:assert/strict";

import { Polling, Wire } from "../lib/raw.mjs";

const BYTES = Buffer.from([1, 2, 3]);
/** Below the connect timeout, which would close a connection that joined nothing as well. */
const AT_ONCE_MS = 900;
const PLACEHOLDER = '{"_placeholder":true,"num":0}';

export function malformedChecks(suite, url) {
  const beforeConnect = [
    ["no packet at all", ["4abc"]],
    ["an event before CONNECT", ['42["message",1]']],
    ["a CONNECT with a text as payload", ['40"abc"']],
    ["a CONNECT with an array as payload", ["40[1]"]],
    ["a CONNECT with a broken payload", ['40{"a":']],
  ];
  for (const [what, messages] of beforeConnect) {
    suite.check(`malformed: ${what} closes the connection`, async (t) => {
      const wire = await Wire.open(t, url);
      const begin = performance.now();
      wire.send(...messages);
      await assertClosedAtOnce(wire, begin);
    });
  }

  const malformed = [
    ["no packet at all", ["4abc"]],
    ["an empty packet", ["4"]],
    ["an unknown packet type", ["47"]],
    ["an event that is an object", ["42{}"]],
    ["an event that is an empty array", ["42[]"]],
    ["an event whose name is an object", ["42[{}]"]],
    ["an event whose name is null", ["42[null]"]],
    ["an event that breaks off", ['42["message"']],
    ["text behind an event", ['42["message"]garbage']],
    ["an ack id that is no number", ['42abc["message-with-ack",1]']],
    ["a second CONNECT of the same namespace", ["40"]],
    ["a CONNECT_ERROR from a client", ['44{"message":"x"}']],
    ["an event of a namespace that was not joined", ['42/custom,["message",1]']],
    ["a reserved event name: connect", ['42["connect"]']],
    ["a reserved event name: connect_error", ['42["connect_error"]']],
    ["a reserved event name: disconnect", ['42["disconnect"]']],
    ["a reserved event name: disconnecting", ['42["disconnecting"]']],
    ["an ack that is an object", ["431{}"]],
    ["a DISCONNECT with a payload", ["41{}"]],
    ["bytes that no event announced", [BYTES]],
    ["a text where an attachment was announced", [`451-["message",${PLACEHOLDER}]`, '42["message",1]']],
    ["a binary event without a count", [`45-["message",${PLACEHOLDER}]`]],
    ["a binary event whose count is no number", [`45x-["message",${PLACEHOLDER}]`]],
    ["a binary event with the dash missing", [`451["message",${PLACEHOLDER}]`]],
    ["a placeholder for an attachment that is not there", ['451-["message",{"_placeholder":true,"num":5}]', BYTES]],
    ["a placeholder with a negative number", ['451-["message",{"_placeholder":true,"num":-1}]', BYTES]],
    ["a placeholder whose number is a text", ['451-["message",{"_placeholder":true,"num":"0"}]', BYTES]],
  ];
  for (const [what, messages] of malformed) {
    suite.check(`malformed: ${what} closes the connection`, async (t) => {
      const wire = await Wire.open(t, url);
      await wire.connect();
      const begin = performance.now();
      wire.send(...messages);
      await assertClosedAtOnce(wire, begin);
    });
  }

  suite.check("malformed: no packet at all closes a polling session", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    await session.post("4abc");
    await session.get();
    assert.equal((await session.get()).status, 400);
  });

  suite.check("malformed: what follows in the same payload is not handled", async (t) => {
    const room = `after-${Math.random()}`;
    const watcher = await Wire.open(t, url);
    await watcher.joinRooms(room);
    const session = await Polling.open(t, url);
    await session.joinRooms(room);
    assert.match(await watcher.next("the joined notice"), /"joined"/);
    await session.post(`42/chat,{}\x1e42/chat,["message",${JSON.stringify({ room, text: "not handled" })}]`);
    assert.match(await watcher.next("the left notice"), /"left"/);
  });
}

/** Closed for the packet's sake: pings are answered, and the connect timeout is longer. */
async function assertClosedAtOnce(wire, begin) {
  await wire.isClosed();
  const elapsedMs = performance.now() - begin;
  assert.ok(elapsedMs < AT_ONCE_MS, `closed only after ${elapsedMs} ms`);
  assert.deepEqual(wire.pending, []);
}
