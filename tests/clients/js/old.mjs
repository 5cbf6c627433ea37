// Clients of socket.io 2.x speak Engine.IO v3: they must be refused at once, with the protocol's own error.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

import { client, connected } from "./lib/client.mjs";
import { request } from "./lib/raw.mjs";
import { Suite, targetUrl } from "./lib/suite.mjs";
import { once } from "./lib/wait.mjs";

const io2 = createRequire(import.meta.url)("socket.io-client-2");

/** Refused is refused at once: far below the client's own connect timeout of 20 s. */
const REFUSED_WITHIN_MS = 3_000;
const PROTOCOL_UNSUPPORTED = 5;

const url = targetUrl();
const suite = new Suite("old", { deadlineMs: 60_000 });

suite.check("a 4.x client is served", (t) => connected(client(t, url, "/")));

for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
  suite.check(`a 2.x client over ${transports.join(", then ")} gets a connect error`, async (t) => {
    const socket = io2(url, { forceNew: true, reconnection: false, transports });
    t.defer(() => socket.close());
    socket.on("connect", () => assert.fail("connected"));
    const [error] = await once(socket, "connect_error", REFUSED_WITHIN_MS);
    assert.ok(error instanceof Error);
    assert.equal(socket.connected, false);
    if (transports[0] === "polling") assert.equal(error.description, 400, "the status of the refusal");
  });

  suite.check(`a 2.x client over ${transports.join(", then ")} that tries again is refused again`, async (t) => {
    const socket = io2(url, {
      forceNew: true,
      reconnectionDelay: 10,
      reconnectionDelayMax: 10,
      reconnectionAttempts: 2,
      transports,
    });
    t.defer(() => socket.close());
    socket.on("connect", () => assert.fail("connected"));
    await once(socket, "reconnect_failed", REFUSED_WITHIN_MS);
  });
}

suite.check("a 2.x client in another namespace gets a connect error", async (t) => {
  const socket = io2(`${url}/custom`, { forceNew: true, reconnection: false });
  t.defer(() => socket.close());
  await once(socket, "connect_error", REFUSED_WITHIN_MS);
});

suite.check("the refusal says that the protocol version is not supported", async () => {
  const { status, text } = await request(url, { EIO: 3, transport: "polling" }, { ms: REFUSED_WITHIN_MS });
  assert.equal(status, 400);
  const { code, message } = JSON.parse(text);
  assert.equal(code, PROTOCOL_UNSUPPORTED);
  assert.match(message, /unsupported protocol version/i);
});

await suite.run();
