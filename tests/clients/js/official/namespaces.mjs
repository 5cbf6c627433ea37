// Many namespaces over one connection.

import assert from "node:assert/strict";

import { connected } from "../lib/client.mjs";
import { once } from "../lib/wait.mjs";

const NAMESPACES = ["/", "/custom", "/chat", ...Array.from({ length: 9 }, (_, n) => `/many-${n + 1}`)];
const ECHOING = NAMESPACES.filter((name) => name !== "/chat");

export function namespaceChecks(check, on) {
  /** Sockets of these namespaces over one connection. */
  function sockets(t, namespaces, auth) {
    const first = on.client(t, namespaces[0], { auth });
    const others = namespaces.slice(1).map((name) => first.io.socket(name, { auth }));
    for (const socket of others) t.defer(() => socket.disconnect());
    return [first, ...others];
  }

  check("many namespaces share a connection, each with an id of its own", async (t) => {
    const all = sockets(t, NAMESPACES);
    await Promise.all(all.map(connected));
    assert.equal(new Set(all.map(({ id }) => id)).size, NAMESPACES.length);
    assert.equal(new Set(all.map(({ io }) => io.engine.id)).size, 1);
  });

  check("events stay in their namespace", async (t) => {
    const all = sockets(t, ECHOING);
    const heard = ECHOING.map(() => []);
    for (const [n, socket] of all.entries()) socket.on("message-back", (text) => heard[n].push(text));
    await Promise.all(all.map(connected));
    for (const [n, socket] of all.entries()) socket.emit("message", ECHOING[n]);
    assert.deepEqual(
      await Promise.all(all.map((socket, n) => socket.emitWithAck("echo", n))),
      ECHOING.map((_, n) => n),
    );
    assert.deepEqual(
      heard,
      ECHOING.map((name) => [name]),
    );
  });

  check("each namespace gets the auth payload", async (t) => {
    const all = sockets(t, ["/", "/custom"], { token: "abc" });
    for (const [auth] of await Promise.all(all.map((socket) => once(socket, "auth"))))
      assert.deepEqual(auth, { token: "abc" });
  });

  check("leaving one namespace leaves the others alone", async (t) => {
    const [main, custom] = sockets(t, ["/", "/custom"]);
    await Promise.all([connected(main), connected(custom)]);
    custom.disconnect();
    assert.equal(await main.emitWithAck("echo", "still here"), "still here");
    assert.equal(main.connected, true);
    custom.connect();
    await once(custom, "connect");
    assert.equal(await custom.emitWithAck("echo", "back"), "back");
  });

  check("a refused namespace leaves the others alone", async (t) => {
    const [main, random] = sockets(t, ["/", "/random"]);
    const [[error]] = await Promise.all([once(random, "connect_error"), connected(main)]);
    assert.equal(error.message, "Invalid namespace");
    assert.equal(await main.emitWithAck("echo", "still here"), "still here");
  });

  check("bytes in many namespaces do not mix", async (t) => {
    const all = sockets(t, ECHOING);
    await Promise.all(all.map(connected));
    const answers = await Promise.all(all.map((socket, n) => socket.emitWithAck("echo", Buffer.alloc(1000, n))));
    for (const [n, bytes] of answers.entries()) assert.ok(Buffer.from(bytes).equals(Buffer.alloc(1000, n)));
  });

  check("all namespaces are told when the server closes the connection, and come back", async (t) => {
    const [main, custom] = sockets(t, ["/", "/custom"]);
    await Promise.all([connected(main), connected(custom)]);
    await on.settled(main);
    main.io.reconnection(true);
    main.io.reconnectionDelay(10);
    const gone = Promise.all([once(main, "disconnect"), once(custom, "disconnect")]);
    const back = Promise.all([once(main, "connect"), once(custom, "connect")]);
    main.io.engine.write("no packet");
    for (const [reason] of await gone) assert.equal(reason, "transport close");
    await back;
    assert.equal(await custom.emitWithAck("echo", "back"), "back");
  });
}
