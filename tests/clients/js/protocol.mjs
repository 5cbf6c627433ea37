// The protocols on the wire: Engine.IO v4 and Socket.IO v5 by hand, over HTTP and WebSocket.
// The server must run with a ping interval of 300 ms, a ping timeout of 200 ms, a connect timeout of 1000 ms and
// payloads of at most 1,000,000 bytes.

import { connectChecks } from "./protocol/connect.mjs";
import { eventChecks } from "./protocol/events.mjs";
import { handshakeChecks } from "./protocol/handshake.mjs";
import { heartbeatChecks } from "./protocol/heartbeat.mjs";
import { malformedChecks } from "./protocol/malformed.mjs";
import { pollingChecks } from "./protocol/polling.mjs";
import { upgradeChecks } from "./protocol/upgrade.mjs";
import { websocketChecks } from "./protocol/websocket.mjs";
import { Suite, targetUrl } from "./lib/suite.mjs";

const url = targetUrl();
const suite = new Suite("protocol", { deadlineMs: 180_000 });
handshakeChecks(suite, url);
pollingChecks(suite, url);
websocketChecks(suite, url);
heartbeatChecks(suite, url);
upgradeChecks(suite, url);
connectChecks(suite, url);
eventChecks(suite, url);
malformedChecks(suite, url);
await suite.run();
