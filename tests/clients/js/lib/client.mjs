// The official client, opened for one check and closed with it.

import { io } from "socket.io-client";

import { once } from "./wait.mjs";

/** The ways of a stock client, by name: its `transports` option. */
export const TRANSPORTS = {
  websocket: ["websocket"],
  polling: ["polling"],
  upgrade: ["polling", "websocket"],
};

/** A client of one namespace, on a connection of its own; not connected yet. */
export function client(scope, url, namespace, options) {
  const socket = io(url + namespace, { forceNew: true, reconnection: false, ...options });
  scope.defer(() => socket.disconnect());
  return socket;
}

/** Waits until the socket is connected; a refusal is an error here. */
export async function connected(socket) {
  if (socket.connected) return socket;
  const refused = new Promise((_, reject) => socket.once("connect_error", reject));
  refused.catch(() => {});
  await Promise.race([once(socket, "connect"), refused]);
  return socket;
}

/** Waits until the connection is on WebSocket. */
export async function upgraded(socket) {
  const { engine } = socket.io;
  if (engine.transport.name !== "websocket") await once(engine, "upgrade");
  return socket;
}

/** Makes the server close the connection, by a packet that is none. */
export function provokeClose(socket) {
  socket.io.engine.write("no packet");
}
