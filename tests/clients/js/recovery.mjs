// The official client's connection state recovery: whoever comes back has missed nothing and gets nothing twice.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import { TRANSPORTS, client, connected } from "./lib/client.mjs";
import { LOSSES, Proxy } from "./lib/proxy.mjs";
import { Suite, targetUrl } from "./lib/suite.mjs";
import { deferred, once, within } from "./lib/wait.mjs";

const LISTENERS = 20;
const RECOVERIES_IN_ALL = 1000;
/** How long a connection lives before it is lost, at most. */
const LIFE_MS = 120;
/** So far behind a client is left in peace until it has caught up: the log is kept for a time, not for ever. */
const BEHIND_MAX = 200;
/** What the steady sender sends, beside what the listeners send themselves. */
const STEADY_EVERY_MS = 3;
const CHECK_DEADLINE_MS = 120_000;
/** A connection that is lost before it is open is noticed by its timeout alone. */
const QUICK = { reconnection: true, reconnectionDelay: 5, reconnectionDelayMax: 50, timeout: 1500 };

const url = targetUrl();
const suite = new Suite("recovery", { deadlineMs: 180_000 });

async function member(t, at, room, options) {
  const socket = await connected(client(t, at, "/back", { ...QUICK, ...options }));
  assert.equal((await socket.emitWithAck("join", { room })).ok, true);
  return socket;
}

/** Loses its connections until it knows: over polling it may have none at a moment, or one that it does not use. */
async function lose(proxy, socket) {
  while (socket.connected) {
    proxy.lose("both");
    await sleep(2);
  }
}

const roomFor = (t) => `${t}-${Math.random()}`;

for (const [name, transports] of Object.entries(TRANSPORTS)) {
  suite.check(`over ${name}: a lost connection is made good, three times`, async (t) => {
    const room = roomFor("back");
    const proxy = await Proxy.start(t, url);
    const [ann, bob] = [await member(t, url, room), await member(t, proxy.url, room, { transports })];
    const heard = [];
    bob.on("message", ({ n }) => heard.push(n));
    const { id } = bob;
    let n = 0;
    for (let time = 0; time < 3; time++) {
      await ann.emitWithAck("message", { room, text: "before", n: n++ });
      await lose(proxy, bob);
      for (let i = 0; i < 3; i++) await ann.emitWithAck("message", { room, text: "meanwhile", n: n++ });
      await connected(bob);
      assert.equal(bob.recovered, true);
      assert.equal(bob.id, id);
      await ann.emitWithAck("message", { room, text: "after", n: n++ });
    }
    await bob.emitWithAck("message", { room, text: "it is still a member", n });
    assert.deepEqual(heard, [...Array(n + 1).keys()]);
  });
}

suite.check("the others do not hear of a loss that is made good", async (t) => {
  const room = roomFor("quiet");
  const proxy = await Proxy.start(t, url);
  const ann = await member(t, url, room);
  const bob = await member(t, proxy.url, room);
  const notices = [];
  for (const name of ["joined", "left"]) ann.on(name, ({ socket }) => notices.push([name, socket]));
  await lose(proxy, bob);
  await connected(bob);
  await bob.emitWithAck("leave", { room });
  assert.deepEqual(notices.at(-1), ["left", bob.id]);
  assert.deepEqual(
    notices.filter(([name, id]) => name === "joined" && id !== bob.id),
    [],
  );
  assert.equal(notices.filter(([name]) => name === "left").length, 1);
});

suite.check("a client that got no event before comes back too", async (t) => {
  const proxy = await Proxy.start(t, url);
  const bob = await connected(client(t, proxy.url, "/back", { ...QUICK, transports: TRANSPORTS.websocket }));
  const { id } = bob;
  await lose(proxy, bob);
  await connected(bob);
  assert.equal(bob.recovered, true);
  assert.equal(bob.id, id);
});

suite.check("who declines gets no offsets and no way back", async (t) => {
  const room = roomFor("plain");
  const proxy = await Proxy.start(t, url);
  const bob = await member(t, proxy.url, room, { query: { recovery: "0" } });
  const args = new Promise((resolve) => bob.on("message", (...given) => resolve(given)));
  await bob.emitWithAck("message", { room, text: "plain" });
  assert.equal((await args).length, 1);
  const { id } = bob;
  await lose(proxy, bob);
  await connected(bob);
  assert.ok(!bob.recovered);
  assert.notEqual(bob.id, id);
});

suite.check("a socket that nobody comes back for leaves when its window ends", async (t) => {
  const room = roomFor("gone");
  const proxy = await Proxy.start(t, url);
  const ann = await member(t, url, room);
  const bob = await member(t, proxy.url, room, { reconnection: false });
  const left = once(ann, "left");
  proxy.lose("both");
  const [{ socket }] = await left;
  assert.equal(socket, bob.id ?? socket);
});

suite.check("a guessed or spent private id gives nothing", async (t) => {
  const room = roomFor("forged");
  const bob = await member(t, url, room);
  const { id } = bob;
  const spent = bob._pid;
  for (const auth of [
    { pid: "A".repeat(20), offset: "1" },
    { pid: id, offset: "1" },
    { pid: 7, offset: {} },
    { pid: "", offset: "" },
  ]) {
    const forger = await connected(client(t, url, "/back", { auth }));
    assert.notEqual(forger.id, id);
    assert.equal(forger.recovered, false);
  }
  const stayed = await bob.emitWithAck("message", { room, text: "still here" });
  assert.equal(stayed.ok, true);
  bob.disconnect();
  await sleep(50);
  const late = await connected(client(t, url, "/back", { auth: { pid: spent, offset: "1" } }));
  assert.notEqual(late.id, id);
});

suite.check("an offset from the future is no recovery", async (t) => {
  const room = roomFor("future");
  const proxy = await Proxy.start(t, url);
  const bob = await member(t, proxy.url, room);
  bob._lastOffset = "999999999999";
  await lose(proxy, bob);
  await connected(bob);
  assert.equal(bob.recovered, false);
});

suite.check(
  `${RECOVERIES_IN_ALL} connections are lost at random under load and made good: the account of ids closes`,
  async (t) => {
    const room = roomFor("account");
    const account = new Account();
    const witness = await member(t, url, room, { query: { recovery: "0" } });
    witness.on("message", ({ n }) => account.happened(n));
    const listeners = [];
    for (let i = 0; i < LISTENERS; i++) listeners.push(await Listener.start(t, room, i, account));
    const steady = new Sender(witness, room, "steady", account);
    const timer = setInterval(() => steady.send(), STEADY_EVERY_MS);
    t.defer(() => clearInterval(timer));

    await Promise.all(listeners.map((listener) => listener.suffer(RECOVERIES_IN_ALL / LISTENERS)));
    clearInterval(timer);
    await Promise.all(listeners.map(({ socket }) => backAgain(socket)));
    await within(account.allAnswered(), "the last answers", CHECK_DEADLINE_MS);
    const { ok } = await witness.emitWithAck("message", { room, text: "end", n: "end" });
    assert.equal(ok, true);
    const ended = Promise.all(listeners.map((listener) => listener.heardEnd));
    await within(ended, "the end at all listeners").catch((error) => {
      for (const listener of listeners) t.note(listener.describe());
      throw error;
    });

    const lost = listeners.reduce((sum, { proxy }) => sum + proxy.lost, 0);
    const back = listeners.reduce((sum, { recovered }) => sum + recovered, 0);
    const unknown = account.unknown.size;
    t.note(`${lost} losses, ${back} recoveries, ${account.events.length} events, ${account.acked.size} acked, ${unknown} of unknown fate`);
    assert.ok(back >= RECOVERIES_IN_ALL, `${back} recoveries`);
    assert.deepEqual(
      listeners.flatMap(({ faults }) => faults),
      [],
    );
    assert.equal(new Set(account.events).size, account.events.length, "an event happened twice");
    const happened = new Set(account.events);
    assert.deepEqual(
      [...account.acked].filter((n) => !happened.has(n)),
      [],
      "acked, and never happened",
    );
    for (const { name, heard } of listeners) {
      assert.deepEqual(firstDifference(heard, account.events), undefined, `${name} heard something else`);
    }
  },
  { deadlineMs: CHECK_DEADLINE_MS },
);

/** Connected, whatever fails before that. */
async function backAgain(socket) {
  if (!socket.connected) await once(socket, "connect");
}

/** What the witness saw, and what senders were told. */
class Account {
  events = [];
  acked = new Set();
  /** Sent, and never answered: the connection was lost in between. */
  unknown = new Set();
  #open = 0;
  #closed = deferred();

  happened(n) {
    this.events.push(n);
  }

  sent() {
    this.#open++;
  }

  answered(n, ok) {
    (ok ? this.acked : this.unknown).add(n);
    if (--this.#open === 0) this.#closed.resolve();
  }

  async allAnswered() {
    while (this.#open > 0) {
      this.#closed = deferred();
      await this.#closed.promise;
    }
  }
}

class Sender {
  #next = 0;

  constructor(socket, room, name, account) {
    Object.assign(this, { socket, room, name, account });
  }

  send() {
    // what is sent while there is no connection waits in the client
    if (!this.socket.connected) return;
    const n = `${this.name}:${this.#next++}`;
    this.account.sent();
    this.socket
      .timeout(60_000)
      .emitWithAck("message", { room: this.room, text: "x", n })
      .then(({ ok }) => this.account.answered(n, ok === true))
      .catch(() => this.account.answered(n, false));
  }
}

/** One member whose connections are lost, again and again. */
class Listener {
  heard = [];
  faults = [];
  recovered = 0;
  #end = deferred();

  static async start(t, room, number, account) {
    const listener = new Listener();
    listener.name = `listener ${number}`;
    listener.account = account;
    listener.proxy = await Proxy.start(t, url);
    const transports = Object.values(TRANSPORTS)[number % 3];
    listener.socket = await member(t, listener.proxy.url, room, { transports });
    listener.sender = new Sender(listener.socket, room, `l${number}`, account);
    listener.#watch();
    return listener;
  }

  get heardEnd() {
    return this.#end.promise;
  }

  /** Loses its connection at random moments until it has come back so many times. */
  async suffer(times) {
    const talk = setInterval(() => this.sender.send(), 20);
    const begin = performance.now();
    while (this.recovered < times && this.faults.length === 0) {
      await sleep(Math.random() * LIFE_MS);
      // on a busy machine a connection may carry less in its life than has happened meanwhile
      while (this.account.events.length - this.heard.length > BEHIND_MAX && this.faults.length === 0) await sleep(LIFE_MS);
      this.sender.send();
      // also in the middle of a handshake, of an upgrade, of a recovery
      this.proxy.lose(LOSSES[Math.floor(Math.random() * LOSSES.length)]);
    }
    clearInterval(talk);
    this.sufferedMs = Math.round(performance.now() - begin);
  }

  describe() {
    const { connected, io } = this.socket;
    const state = `${connected ? "connected" : "not connected"} over ${io.engine.transport?.name} (${io._readyState})`;
    const { lost } = this.proxy;
    const { length } = this.heard;
    return `${this.name}: ${state}, ${lost} losses in ${this.sufferedMs} ms, heard ${length}, ${this.faults.join()}`;
  }

  #watch() {
    this.socket.on("message", ({ n }) => {
      this.heard.push(n);
      if (n === "end") this.#end.resolve();
    });
    this.socket.on("connect", () => {
      if (this.socket.recovered) this.recovered++;
      else this.faults.push(`${this.name} was not recovered after ${Math.round(performance.now() - lostAt)} ms`);
    });
    let lostAt = 0;
    this.socket.on("disconnect", () => (lostAt = performance.now()));
  }
}

function firstDifference(heard, events) {
  const length = Math.max(heard.length, events.length);
  for (let i = 0; i < length; i++) {
    if (heard[i] !== events[i])
      return { at: i, heard: heard.slice(i - 1, i + 3), events: events.slice(i - 1, i + 3) };
  }
}

await suite.run();
