// The official JavaScript client, over WebSocket, over polling, and upgrading from one to the other.

import { binaryChecks } from "./official/binary.mjs";
import { connectionChecks } from "./official/connection.mjs";
import { eventChecks } from "./official/events.mjs";
import { namespaceChecks } from "./official/namespaces.mjs";
import { roomChecks } from "./official/rooms.mjs";
import { Suite, targetUrl } from "./lib/suite.mjs";
import { TRANSPORTS, client, connected, upgraded } from "./lib/client.mjs";

const url = targetUrl();
const suite = new Suite("official", { deadlineMs: 240_000 });
for (const [transport, transports] of Object.entries(TRANSPORTS)) {
  const check = (name, run) => suite.check(`${transport}: ${name}`, run);
  const on = {
    /** The transport that a client of this round ends on. */
    transport: transports.at(-1),
    upgrades: transports.length > 1,
    /** A client that is not connected yet. */
    client: (scope, namespace = "/", options = {}) => client(scope, url, namespace, { transports, ...options }),
    /** A connected client; in the upgrade round one that still upgrades, so that its traffic crosses the upgrade. */
    connect: (scope, namespace, options) => connected(on.client(scope, namespace, options)),
    /** Waits until the client is on its last transport. */
    settled: (socket) => (on.upgrades ? upgraded(socket) : Promise.resolve(socket)),
  };
  connectionChecks(check, on);
  eventChecks(check, on);
  binaryChecks(check, on);
  namespaceChecks(check, on);
  roomChecks(check, on);
}
await suite.run();
