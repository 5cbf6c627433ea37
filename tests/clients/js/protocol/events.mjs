// Socket.IO: events and acks, text and binary.

import assert from "node:assert/strict";

import { Polling, Wire } from "../lib/raw.mjs";

const BINARY_ARGS = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';
const ONE = Buffer.from([1, 2, 3]);
const TWO = Buffer.from([4, 5, 6]);

export function eventChecks(suite, url) {
  const exchanges = [
    ["a plain event", '42["message",1,"2",{"3":[true]}]', '42["message-back",1,"2",{"3":[true]}]'],
    ["an event without arguments", '42["message"]', '42["message-back"]'],
    ["null, booleans, numbers", '42["message",null,false,-1.5e3]', '42["message-back",null,false,'],
    ["an event with an ack", '42456["message-with-ack",1,"2",{"3":[false]}]', '43456[1,"2",{"3":[false]}]'],
    ["an ack id of zero", '420["echo","zero"]', '430["zero"]'],
    ["a large ack id", '424294967295["echo","large"]', '434294967295["large"]'],
    ["an ack without arguments", '421["echo"]', "431[]"],
    ["an event of the main namespace by its name", '42/,["message",1]', '42["message-back",1]'],
    ["a name with an escape", '42["m\\u0065ssage",1]', '42["message-back",1]'],
    ["white space within the JSON", '42[ "message" , 1 ]', null, [1]],
    ["escapes within a text", '42["message","a\\"b\\\\c\\n\\u00e9"]', null, ['a"b\\c\né']],
    [
      "a text with packet-like contents",
      '42["message","42/custom,[1]","451-"]',
      '42["message-back","42/custom,[1]","451-"]',
    ],
    ["keys like prototypes", '42["message",{"__proto__":{"a":1},"constructor":2}]', '42["message-back",{'],
  ];
  for (const [what, sent, start, args] of exchanges) {
    suite.check(`event: ${what}`, async (t) => {
      const wire = await Wire.open(t, url);
      await wire.connect();
      wire.send(sent);
      const answer = await wire.next();
      if (start) assert.ok(answer.startsWith(start), answer);
      if (args) assert.deepEqual(JSON.parse(answer.slice(2)), ["message-back", ...args]);
    });
  }

  suite.check("event: in a custom namespace with an ack", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect("/custom");
    wire.send('42/custom,7["message-with-ack","x"]');
    assert.equal(await wire.next(), '43/custom,7["x"]');
  });

  suite.check("event: with binary attachments", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    wire.send(`452-["message",${BINARY_ARGS}]`, ONE, TWO);
    assert.deepEqual(await wire.take(3), [`452-["message-back",${BINARY_ARGS}]`, ONE, TWO]);
  });

  suite.check("event: with binary attachments and an ack", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    wire.send(`452-789["message-with-ack",${BINARY_ARGS}]`, ONE, TWO);
    assert.deepEqual(await wire.take(3), [`462-789[${BINARY_ARGS}]`, ONE, TWO]);
  });

  suite.check("event: with binary attachments in a custom namespace", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect("/custom");
    wire.send(`452-/custom,["message",${BINARY_ARGS}]`, ONE, TWO);
    assert.deepEqual(await wire.take(3), [`452-/custom,["message-back",${BINARY_ARGS}]`, ONE, TWO]);
  });

  suite.check("event: binary attachments deep within the arguments", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    const args = '{"a":[{"b":{"_placeholder":true,"num":0}}],"c":"text"}';
    wire.send(`451-3["echo",${args}]`, ONE);
    assert.deepEqual(await wire.take(2), [`461-3[${args}]`, ONE]);
  });

  suite.check("event: the server asks and the client answers", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    wire.send('42["emit-with-ack",1,"2"]');
    const [, id] = /^42(\d+)\["emit-with-ack",1,"2"\]$/.exec(await wire.next());
    wire.send(`43${id}["answer",{"n":1}]`);
    assert.equal(await wire.next(), '42["emit-with-ack","answer",{"n":1}]');
  });

  suite.check("event: the server asks and the client answers in binary", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    wire.send(`451-["emit-with-ack",{"_placeholder":true,"num":0}]`, ONE);
    const [text, bytes] = await wire.take(2);
    const [, id] = /^451-(\d+)\["emit-with-ack",\{"_placeholder":true,"num":0\}\]$/.exec(text);
    assert.deepEqual(bytes, ONE);
    wire.send(`461-${id}[{"_placeholder":true,"num":0}]`, TWO);
    assert.deepEqual(await wire.take(2), ['451-["emit-with-ack",{"_placeholder":true,"num":0}]', TWO]);
  });

  suite.check("event: the server asks over polling", async (t) => {
    const session = await Polling.open(t, url);
    await session.connect();
    await session.say('42["emit-with-ack","x"]');
    const [, id] = /^42(\d+)\["emit-with-ack","x"\]$/.exec(await session.next());
    await session.say(`43${id}["y"]`);
    assert.equal(await session.next(), '42["emit-with-ack","y"]');
  });

  suite.check("event: several questions are answered in any order", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    wire.send('42["emit-with-ack","a"]', '42["emit-with-ack","b"]');
    const [a, b] = (await wire.take(2)).map((packet) => /^42(\d+)/.exec(packet)[1]);
    assert.notEqual(a, b);
    wire.send(`43${b}["to b"]`, `43${a}["to a"]`);
    assert.deepEqual(await wire.take(2), ['42["emit-with-ack","to b"]', '42["emit-with-ack","to a"]']);
  });

  suite.check("event: an ack that nobody asked for is ignored", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    wire.send('439999["nobody asked"]', '42["message","alive"]');
    assert.equal(await wire.next(), '42["message-back","alive"]');
  });

  suite.check("event: a question answered twice counts once", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    wire.send('42["emit-with-ack","x"]');
    const [, id] = /^42(\d+)/.exec(await wire.next());
    wire.send(`43${id}["once"]`, `43${id}["twice"]`, '42["message","end"]');
    assert.deepEqual(await wire.take(2), ['42["emit-with-ack","once"]', '42["message-back","end"]']);
  });

  suite.check("event: what nobody handles is said in the ack", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    wire.send('425["caf\\u00e9 \\"quoted\\"",1]');
    const answer = await wire.next();
    assert.ok(answer.startsWith("435["), answer);
    const [{ error }] = JSON.parse(answer.slice(3));
    assert.equal(error.code, "unhandled");
    assert.equal(typeof error.message, "string");
  });

  suite.check("event: what nobody handles is said in an error event when no ack was asked for", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    wire.send('42["nobody-knows-this",1]');
    const [name, { error, event }] = JSON.parse((await wire.next()).slice(2));
    assert.equal(name, "error");
    assert.equal(error.code, "unhandled");
    assert.equal(event, "nobody-knows-this");
  });

  suite.check("event: an event in one namespace is not heard in another", async (t) => {
    const wire = await Wire.open(t, url);
    await wire.connect();
    await wire.connect("/custom");
    wire.send('42/custom,["message","custom"]', '42["message","main"]');
    assert.deepEqual((await wire.take(2)).sort(), ['42/custom,["message-back","custom"]', '42["message-back","main"]']);
  });
}
