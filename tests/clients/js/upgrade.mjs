// Hundreds of official clients upgrade from polling to WebSocket while a numbered broadcast goes on.

import assert from "node:assert/strict";

import { NodeWebSocket, NodeXHR } from "socket.io-client";

import { TRANSPORTS, client, connected, upgraded } from "./lib/client.mjs";
import { Suite, targetUrl } from "./lib/suite.mjs";
import { deferred, within } from "./lib/wait.mjs";

const CLIENTS = 300;
/** How many clients begin to connect at a time. */
const AT_ONCE = 30;
const BROADCAST_EVERY_MS = 25;
/** How many broadcasts follow when all clients have upgraded. */
const AFTERWARDS = 50;
const CHECK_DEADLINE_MS = 120_000;

const url = targetUrl();
const suite = new Suite("upgrade", { deadlineMs: 150_000 });

suite.check(
  `${CLIENTS} clients upgrade under a numbered broadcast: no gap, no duplicate, all on WebSocket`,
  async (t) => {
    const room = `upgrade-${Math.random()}`;
    const broadcast = await Broadcast.start(t, room);
    const clients = Array.from({ length: CLIENTS }, () => new Listener(t, room, broadcast));
    for (let first = 0; first < CLIENTS; first += AT_ONCE) {
      await Promise.all(clients.slice(first, first + AT_ONCE).map((listener) => listener.join()));
    }
    await Promise.all(clients.map((listener) => listener.upgrade()));
    const last = await broadcast.end(AFTERWARDS);
    await within(
      Promise.all(clients.map((listener) => listener.sawAll(last))),
      "the last number at every client",
      CHECK_DEADLINE_MS,
    );

    const transports = clients.map(({ socket }) => socket.io.engine.transport.name);
    const faults = clients.flatMap((listener) => listener.faults);
    const before = clients.reduce((sum, { overPolling }) => sum + overPolling, 0);
    t.note(`${last + 1} broadcasts, ${before} deliveries before the upgrade, faults ${faults.length}`);
    assert.deepEqual(faults.slice(0, 10), []);
    assert.deepEqual(
      transports.filter((name) => name !== "websocket"),
      [],
    );
    assert.ok(before >= CLIENTS, "not every client heard a broadcast over polling");
  },
  { deadlineMs: CHECK_DEADLINE_MS },
);

/** One member that sends a number at a steady pace. */
class Broadcast {
  /** The number that is sent next: all from here on reach whoever has been told by now that it joined. */
  next = 0;
  #stopAt = Infinity;
  #stopped = deferred();

  static async start(t, room) {
    const broadcast = new Broadcast();
    const socket = await connected(client(t, url, "/chat", { transports: TRANSPORTS.websocket }));
    assert.equal((await socket.emitWithAck("join", { room })).ok, true);
    const timer = setInterval(() => {
      if (broadcast.next >= broadcast.#stopAt) {
        clearInterval(timer);
        return broadcast.#stopped.resolve(broadcast.next - 1);
      }
      socket.emit("message", { room, text: "x", n: broadcast.next++ });
    }, BROADCAST_EVERY_MS);
    t.defer(() => clearInterval(timer));
    return broadcast;
  }

  /** Sends `more` numbers and resolves with the last. */
  end(more) {
    this.#stopAt = this.next + more;
    return this.#stopped.promise;
  }
}

/** The client's WebSocket, which waits to be let go before it opens. */
function gatedWebSocket(gate) {
  return class extends NodeWebSocket {
    doOpen() {
      gate.then(() => super.doOpen());
    }
  };
}

/** One member that upgrades and checks the numbers that it hears. */
class Listener {
  faults = [];
  overPolling = 0;
  #room;
  #broadcast;
  #due;
  #wanted = Infinity;
  #all = deferred();
  #gate = deferred();
  #heardOne = deferred();

  constructor(t, room, broadcast) {
    this.#room = room;
    this.#broadcast = broadcast;
    this.socket = client(t, url, "/chat", {
      transports: [NodeXHR, gatedWebSocket(this.#gate.promise)],
      autoConnect: false,
    });
    this.socket.on("message", ({ n }) => this.#hear(n));
    this.socket.on("disconnect", (reason) => {
      this.faults.push(`disconnected: ${reason}`);
      this.#all.resolve();
    });
  }

  async join() {
    await connected(this.socket.connect());
    const { ok } = await this.socket.emitWithAck("join", { room: this.#room });
    assert.equal(ok, true);
    // numbers that were sent before the ack arrived may or may not have been heard; from here on none may be missing
    this.#due ??= { atMost: this.#broadcast.next };
  }

  /** Lets it upgrade once it has heard a number over polling; resolves when it has upgraded. */
  async upgrade() {
    await within(this.#heardOne.promise, "a number over polling", CHECK_DEADLINE_MS);
    this.#gate.resolve();
    await upgraded(this.socket);
  }

  sawAll(last) {
    this.#wanted = last;
    if (this.#due?.exactly > last) this.#all.resolve();
    return this.#all.promise;
  }

  #hear(n) {
    if (this.socket.io.engine.transport.name === "polling") this.overPolling++;
    if (this.#due?.exactly !== undefined && n !== this.#due.exactly)
      this.faults.push(`heard ${n}, due was ${this.#due.exactly}`);
    if (this.#due?.atMost !== undefined && n > this.#due.atMost)
      this.faults.push(`heard ${n} first, due was at most ${this.#due.atMost}`);
    this.#due = { exactly: n + 1 };
    this.#heardOne.resolve();
    if (n >= this.#wanted) this.#all.resolve();
  }
}

await suite.run();
