// Opening a session, and every way of asking for one wrongly.

import assert from "node:assert/strict";

import { Polling, Wire, request } from "../lib/raw.mjs";

const MAX_PAYLOAD_BYTES = 1_000_000;
const PING_INTERVAL_MS = 300;
const PING_TIMEOUT_MS = 200;
const SESSIONS = 50;

/** Codes of Engine.IO's error answers. */
const TRANSPORT_UNKNOWN = 0;
const SESSION_UNKNOWN = 1;
const BAD_METHOD = 2;
const BAD_REQUEST = 3;
const PROTOCOL_UNSUPPORTED = 5;

export function handshakeChecks(suite, url) {
  suite.check("polling: a handshake tells the session and the server's settings", async (t) => {
    const { handshake } = await Polling.open(t, url);
    assert.deepEqual(Object.keys(handshake).sort(), ["maxPayload", "pingInterval", "pingTimeout", "sid", "upgrades"]);
    assertSettings(handshake);
    assert.deepEqual(handshake.upgrades, ["websocket"]);
  });

  suite.check("polling: a handshake is text in UTF-8 that nobody may cache", async (t) => {
    const { status, headers, text } = await request(url, { EIO: 4, transport: "polling" });
    assert.equal(status, 200);
    assert.match(headers["content-type"], /^text\/plain; ?charset=utf-8$/i);
    assert.match(headers["cache-control"], /no-store/);
    const { sid } = JSON.parse(text.slice(1));
    t.defer(() => request(url, { EIO: 4, transport: "polling", sid }, { method: "POST", body: "1" }));
  });

  suite.check("polling: sessions have ids of their own", async (t) => {
    const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => Polling.open(t, url)));
    assert.equal(new Set(sessions.map(({ sid }) => sid)).size, SESSIONS);
  });

  suite.check("polling: unknown query parameters are nobody's business", async (t) => {
    const { status, text } = await request(url, { EIO: 4, transport: "polling", t: "abc123", token: "ü&=%" });
    assert.equal(status, 200);
    const { sid } = JSON.parse(text.slice(1));
    t.defer(() => request(url, { EIO: 4, transport: "polling", sid }, { method: "POST", body: "1" }));
  });

  const wrong = [
    ["without EIO", { transport: "polling" }, {}, PROTOCOL_UNSUPPORTED],
    ["with EIO=abc", { EIO: "abc", transport: "polling" }, {}, PROTOCOL_UNSUPPORTED],
    ["with EIO=3", { EIO: 3, transport: "polling" }, {}, PROTOCOL_UNSUPPORTED],
    ["without transport", { EIO: 4 }, {}, TRANSPORT_UNKNOWN],
    ["with transport=abc", { EIO: 4, transport: "abc" }, {}, TRANSPORT_UNKNOWN],
    ["with transport=constructor", { EIO: 4, transport: "constructor" }, {}, TRANSPORT_UNKNOWN],
    ["with an unknown session", { EIO: 4, transport: "polling", sid: "AAAAAAAAAAAAAAAAAAAA" }, {}, SESSION_UNKNOWN],
    ["with a session named __proto__", { EIO: 4, transport: "polling", sid: "__proto__" }, {}, SESSION_UNKNOWN],
    ["by POST", { EIO: 4, transport: "polling" }, { method: "POST", body: "" }, BAD_METHOD],
    ["by PUT", { EIO: 4, transport: "polling" }, { method: "PUT", body: "" }, BAD_METHOD],
    ["by DELETE", { EIO: 4, transport: "polling" }, { method: "DELETE" }, BAD_METHOD],
    ["for WebSocket by a plain GET", { EIO: 4, transport: "websocket" }, {}, BAD_REQUEST],
    [
      "by POST with an unknown session",
      { EIO: 4, transport: "polling", sid: "x" },
      { method: "POST", body: "4" },
      SESSION_UNKNOWN,
    ],
  ];
  for (const [how, query, options, code] of wrong) {
    suite.check(`polling: a request ${how} is refused with code ${code}`, async () => {
      const { status, text } = await request(url, query, options);
      assert.equal(status, 400);
      assert.equal(JSON.parse(text).code, code, text);
      assert.equal(typeof JSON.parse(text).message, "string");
    });
  }

  suite.check("websocket: a handshake tells the session and the server's settings", async (t) => {
    const { handshake } = await Wire.open(t, url);
    assert.deepEqual(Object.keys(handshake).sort(), ["maxPayload", "pingInterval", "pingTimeout", "sid", "upgrades"]);
    assertSettings(handshake);
    assert.deepEqual(handshake.upgrades, []);
  });

  const refused = [
    ["without EIO", { transport: "websocket" }],
    ["with EIO=abc", { EIO: "abc", transport: "websocket" }],
    ["with EIO=3", { EIO: 3, transport: "websocket" }],
    ["without transport", { EIO: 4 }],
    ["with transport=abc", { EIO: 4, transport: "abc" }],
    ["with transport=polling", { EIO: 4, transport: "polling" }],
    ["with an unknown session", { EIO: 4, transport: "websocket", sid: "AAAAAAAAAAAAAAAAAAAA" }],
  ];
  for (const [how, query] of refused) {
    suite.check(`websocket: a request ${how} is refused or closed`, async (t) => {
      const wire = new Wire(t, url, query);
      await wire.isClosed();
      assert.deepEqual(
        wire.pending.filter((message) => String(message).startsWith("0")),
        [],
      );
    });
  }
}

function assertSettings({ sid, pingInterval, pingTimeout, maxPayload }) {
  assert.equal(typeof sid, "string");
  assert.ok(sid.length >= 16, `the session id ${sid} is short enough to guess`);
  assert.deepEqual(
    { pingInterval, pingTimeout, maxPayload },
    {
      pingInterval: PING_INTERVAL_MS,
      pingTimeout: PING_TIMEOUT_MS,
      maxPayload: MAX_PAYLOAD_BYTES,
    },
  );
}
