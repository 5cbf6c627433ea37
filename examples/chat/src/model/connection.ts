// The connection to the node: the stock Socket.IO client, with answers as promises and refusals as errors.

import { io, type Socket } from "socket.io-client";

import { NO_ANSWER, Refusal } from "./refusal";
import type { WireError } from "./wire";

const NAMESPACE = "/chat";
const ANSWER_TIMEOUT_MS = 10_000;
/** How long to wait before trying again where the client does not do so by itself. */
const RETRY_MS = 1500;

export type Credentials = { token: string } | { name: string };

export interface ConnectionHandlers {
  /** Connected; `recovered` says that the node kept the session, and nothing was missed. */
  online(recovered: boolean): void;
  /** The connection is gone and is being tried again. */
  lost(): void;
  /** The node refuses this client: nothing is tried again by itself. */
  ended(why: Refusal): void;
  /** An event of the node, other than the above. */
  event(name: string, body: unknown): void;
}

export class Connection {
  readonly #socket: Socket;
  #retry: number | undefined;
  #out: Refusal | undefined;

  constructor(credentials: Credentials, handlers: ConnectionHandlers) {
    this.#socket = io(NAMESPACE, { auth: credentials, forceNew: true, reconnectionDelayMax: 4000 });
    this.#socket.on("connect", () => handlers.online(this.#socket.recovered));
    this.#socket.on("disconnect", (reason) => {
      if (reason === "io client disconnect") return;
      if (this.#out && !this.#socket.active) return handlers.ended(this.#out);
      handlers.lost();
      // a node that goes down says so; the client would not come back by itself
      if (!this.#socket.active) this.#retryLater();
    });
    this.#socket.on("connect_error", (error: Error & { data?: WireError }) => {
      if (this.#socket.active) return handlers.lost();
      const why = error.data ? Refusal.of({ ...error.data, message: error.message }) : new Refusal("refused", error.message);
      if (!why.isPassing) return handlers.ended(why);
      handlers.lost();
      this.#retryLater();
    });
    this.#socket.onAny((name: string, body: unknown) => handlers.event(name, body));
  }

  /** This client's public id. */
  get id(): string {
    return this.#socket.id ?? "";
  }

  get isOnline(): boolean {
    return this.#socket.connected;
  }

  /** Sends an event and waits for the answer; a refusal is thrown as a `Refusal`. Nothing is kept for later while offline. */
  async ask<T>(event: string, body: object): Promise<T> {
    if (!this.#socket.connected) throw new Refusal(NO_ANSWER, "there is no connection");
    let answer: unknown;
    try {
      answer = await this.#socket.timeout(ANSWER_TIMEOUT_MS).emitWithAck(event, body);
    } catch {
      throw new Refusal(NO_ANSWER, "no answer came");
    }
    const error = (answer as { error?: WireError } | undefined)?.error;
    if (error) throw Refusal.of(error);
    return answer as T;
  }

  #retryLater(): void {
    clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => this.#socket.connect(), RETRY_MS);
  }

  /** When the node ends the connection now, it is for this reason, and nothing is tried again. */
  expectEnd(why: Refusal): void {
    this.#out = why;
  }

  /** Tries again at once. */
  retry(): void {
    this.#out = undefined;
    clearTimeout(this.#retry);
    this.#socket.connect();
  }

  /** Leaves for good. */
  close(): void {
    clearTimeout(this.#retry);
    this.#socket.disconnect();
  }
}
