// Engine.IO by hand: HTTP requests and WebSocket frames, with nothing between the check and the wire.

import http from "node:http";
import { WebSocket } from "ws";

import { Inbox, SOON_MS, within } from "./wait.mjs";

/** Between the packets of a polling payload. */
export const SEPARATOR = "\x1e";

export const PING = "2";
export const PONG = "3";
export const CLOSE = "1";
export const UPGRADE = "5";
export const NOOP = "6";

const PATH = "/socket.io/";

function address(url, query) {
  const target = new URL(PATH, url);
  for (const [key, value] of Object.entries(query)) if (value !== undefined) target.searchParams.set(key, value);
  return target;
}

/** One HTTP request on a connection of its own, unless `agent` says otherwise. Resolves with status, headers and text. */
export function request(url, query, { method = "GET", body, headers = {}, agent = false, ms = SOON_MS } = {}) {
  return begin(url, query, { method, body, headers, agent, ms }).answer;
}

/** Like `request`, but also gives the outgoing request, which can be written to or destroyed. */
export function begin(
  url,
  query,
  { method = "GET", body, headers = {}, agent = false, ms = SOON_MS, open = false } = {},
) {
  const target = address(url, query);
  const outgoing = http.request(target, { method, headers, agent });
  const answer = new Promise((resolve, reject) => {
    outgoing.on("error", reject);
    outgoing.on("response", (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        resolve({
          status: response.statusCode,
          headers: response.headers,
          text: Buffer.concat(chunks).toString("utf8"),
        });
      });
    });
  });
  if (body !== undefined) outgoing.write(body);
  if (!open) outgoing.end();
  return { outgoing, answer: within(answer, `the answer to ${method} ${target.search}`, ms) };
}

/** What both transports say to join: a subclass brings `say(...packets)` and `next()`. */
class Session {
  /** Joins a namespace of the echo plugin and takes its `auth` event; resolves with the socket's public id. */
  async connect(namespace = "/", auth) {
    const sid = await this.connectSilently(namespace, auth);
    const greeting = String(await this.next());
    if (!greeting.startsWith(`42${prefixOf(namespace)}["auth"`)) throw new Error(`expected auth, got ${greeting}`);
    return sid;
  }

  /** Joins a namespace that greets nobody; resolves with the socket's public id. */
  async connectSilently(namespace, auth) {
    const prefix = prefixOf(namespace);
    await this.say(`40${prefix}${auth === undefined ? "" : JSON.stringify(auth)}`);
    const answer = String(await this.next());
    if (!answer.startsWith(`40${prefix}{`)) throw new Error(`CONNECT was answered ${answer}`);
    return JSON.parse(answer.slice(2 + prefix.length)).sid;
  }

  /** Connects to `/chat` and joins these rooms; takes all up to the last ack. */
  async joinRooms(...rooms) {
    await this.connectSilently("/chat");
    for (const [id, room] of rooms.entries()) {
      await this.say(`42/chat,${id}["join",${JSON.stringify({ room })}]`);
      const start = `43/chat,${id}`;
      let answer;
      do answer = String(await this.next());
      while (!answer.startsWith(start) || JSON.parse(answer.slice(start.length))[0].ok !== true);
    }
  }
}

function prefixOf(namespace) {
  return namespace === "/" ? "" : `${namespace},`;
}

/** A long-polling session. */
export class Polling extends Session {
  #url;
  #early = [];

  constructor(url, handshake) {
    super();
    this.#url = url;
    this.handshake = handshake;
    this.sid = handshake.sid;
  }

  /** Opens a session; when the check ends, it is closed if it still stands. */
  static async open(scope, url) {
    const { status, text } = await request(url, { EIO: 4, transport: "polling" });
    if (status !== 200) throw new Error(`handshake answered ${status}: ${text}`);
    const session = new Polling(url, JSON.parse(text.slice(1)));
    scope.defer(() => session.post(CLOSE).catch(() => {}));
    return session;
  }

  get query() {
    return { EIO: 4, transport: "polling", sid: this.sid };
  }

  get(options) {
    return request(this.#url, this.query, options);
  }

  post(body, options) {
    return request(this.#url, this.query, {
      method: "POST",
      body,
      headers: { "content-type": "text/plain;charset=UTF-8" },
      ...options,
    });
  }

  begin(options) {
    return begin(this.#url, this.query, options);
  }

  /** Posts and insists that it was taken. */
  async say(...packets) {
    const { status, text } = await this.post(packets.join(SEPARATOR));
    if (status !== 200 || text !== "ok") throw new Error(`POST answered ${status}: ${text}`);
  }

  /** The next packet that is no ping; pings are answered, no-ops skipped. */
  async next() {
    for (;;) {
      while (this.#early.length > 0) {
        const packet = this.#early.shift();
        if (packet === PING) await this.say(PONG);
        else if (packet !== NOOP) return packet;
      }
      const { status, text } = await this.get();
      if (status !== 200) throw new Error(`GET answered ${status}: ${text}`);
      this.#early.push(...text.split(SEPARATOR));
    }
  }

  async take(count) {
    const packets = [];
    while (packets.length < count) packets.push(await this.next());
    return packets;
  }
}

/** A WebSocket. Messages are strings and Buffers; `next` answers pings unless told otherwise. */
export class Wire extends Session {
  #inbox = new Inbox();
  #socket;

  constructor(scope, url, query, { answerPings = true, headers } = {}) {
    super();
    const target = address(url, query);
    target.protocol = target.protocol.replace("http", "ws");
    const socket = new WebSocket(target, { headers, perMessageDeflate: false });
    this.#socket = socket;
    this.opened = new Promise((resolve) => socket.once("open", resolve));
    /** Resolves when the socket is closed for whatever reason, refused handshakes included, with code and reason. */
    this.closed = new Promise((resolve) => {
      socket.once("close", (code, reason) => {
        this.#inbox.end(`the socket was closed: ${code} ${reason}`);
        resolve({ code, reason: String(reason) });
      });
    });
    socket.on("unexpected-response", (request, response) => {
      this.refusal = response.statusCode;
      response.resume();
      request.destroy();
      socket.terminate();
    });
    socket.on("error", () => {});
    socket.on("message", (data, isBinary) => {
      const message = isBinary ? data : data.toString("utf8");
      if (answerPings && message === PING) socket.send(PONG);
      else this.#inbox.push(message);
    });
    scope.defer(() => socket.terminate());
  }

  /** Opens a session over WebSocket. */
  static async open(scope, url, options) {
    const wire = new Wire(scope, url, { EIO: 4, transport: "websocket" }, options);
    const first = await wire.next();
    if (typeof first !== "string" || !first.startsWith("0{")) throw new Error(`expected the handshake, got ${first}`);
    wire.handshake = JSON.parse(first.slice(1));
    return wire;
  }

  /** The second transport of a polling session. */
  static upgrade(scope, url, sid, options) {
    return new Wire(scope, url, { EIO: 4, transport: "websocket", sid }, options);
  }

  async say(...packets) {
    this.send(...packets);
  }

  send(...messages) {
    for (const message of messages) this.#socket.send(message);
  }

  next(what, ms) {
    return this.#inbox.next(what, ms);
  }

  take(count) {
    return this.#inbox.take(count);
  }

  get pending() {
    return this.#inbox.pending;
  }

  isClosed(ms = SOON_MS) {
    return within(this.closed, "the server to close the socket", ms);
  }

  terminate() {
    this.#socket.terminate();
  }

  close() {
    this.#socket.close();
  }
}
