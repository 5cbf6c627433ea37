#!/usr/bin/env python3
"""python-socketio's clients, blocking and asyncio, over WebSocket, over polling, and upgrading.

`python suite.py http://HOST:PORT` (or HUB_URL); ends with 0 when all checks are well, 1 else. The node must run the
`echo` plugin in `/` and `/custom`, `rooms` in `/chat`, and refuse `/random`.
"""

import asyncio
import contextlib
import logging
import os
import queue
import sys
import threading
import time
import traceback
import uuid
from functools import partial

import socketio
from engineio.payload import Payload
from socketio.exceptions import ConnectionError as Refused

DEADLINE_S = 10
SUITE_DEADLINE_S = 120
LONG_CHARS = 600_000
MANY = 200
PAYLOAD_PACKETS_MAX = 1_000
TRANSPORTS = {"websocket": ["websocket"], "polling": ["polling"], "upgrade": ["polling", "websocket"]}
NAMES = ["café", "日本語", 'say "hi"', "back\\slash", "new\nline", "🎉"]
TEXTS = ["Zürich — naïve", "日本語のテキスト", "🎉👩‍👩‍👧", 'quote " backslash \\ tab \t newline \n separator \x1e']
VALUES = [None, True, False, 0, -1.5, "", "text", [], {}, [1, [2]], {"a": {"b": ["c"]}}]
NAMESPACES = ["/", "/custom", "/chat"]


class Blocking:
    """A blocking client: every event of its namespaces goes to `inbox` as (namespace, name, args)."""

    def __init__(self, transports, namespaces):
        self.inbox = queue.Queue()
        self.answer = ()
        self.namespaces = namespaces
        self.transports = transports
        self.io = socketio.Client(reconnection=False, handle_sigint=False, request_timeout=DEADLINE_S)
        for namespace in namespaces:
            self.io.on("*", self._handler(namespace), namespace=namespace)
            self.io.on("connect_error", self._handler(namespace, "connect_error"), namespace=namespace)
            self.io.on("disconnect", self._handler(namespace, "disconnect"), namespace=namespace)

    def _handler(self, namespace, name=None):
        def named(*args):
            self.inbox.put((namespace, name, list(args)))

        def any_event(event, *args):
            self.inbox.put((namespace, event, list(args)))
            return self.answer

        return named if name else any_event

    def connect(self, url, auth=None):
        self.io.connect(url, auth=auth, transports=self.transports, namespaces=self.namespaces, wait_timeout=DEADLINE_S)
        return self

    def next(self, name, namespace="/"):
        """The args of the next event of that name; others before it are skipped."""
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                got = self.inbox.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"waited {DEADLINE_S} s in vain for {name} in {namespace}") from None
            if got[:2] == (namespace, name):
                return got[2]

    def emit(self, event, *args, namespace="/"):
        self.io.emit(event, args, namespace=namespace)

    def call(self, event, *args, namespace="/"):
        return self.io.call(event, args, namespace=namespace, timeout=DEADLINE_S)


@contextlib.contextmanager
def blocking(url, transports, *namespaces, auth=None):
    client = Blocking(transports, list(namespaces) or ["/"])
    try:
        yield client.connect(url, auth=auth)
    finally:
        # python-engineio forgets to send its goodbye when a POST is under way: its reader then waits for the next ping
        client.io.eio.queue.join()
        client.io.disconnect()


def fresh_room(name):
    return f"{name}-{uuid.uuid4()}"


def equal(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


# The checks of the blocking client: each gets the server's URL and the client's transports.


def connects_with_an_id_of_its_own(url, transports):
    with blocking(url, transports) as client:
        assert client.io.connected
        assert client.io.get_sid() and client.io.get_sid() != client.io.eio.sid
        equal(client.io.transport(), transports[-1])


def sends_its_auth_payload(url, transports):
    with blocking(url, transports, auth={"token": "abc", "list": [1, {"ü": None}]}) as client:
        equal(client.next("auth"), [{"token": "abc", "list": [1, {"ü": None}]}])


def sends_no_auth_payload(url, transports):
    with blocking(url, transports) as client:
        equal(client.next("auth"), [{}])


def an_event_comes_back_with_all_kinds_of_values(url, transports):
    with blocking(url, transports) as client:
        client.emit("message", *VALUES)
        equal(client.next("message-back"), VALUES)


def an_ack_gets_all_arguments(url, transports):
    with blocking(url, transports) as client:
        equal(client.call("message-with-ack", 1, "2", {"3": [True]}), (1, "2", {"3": [True]}))
        equal(client.call("echo", "one"), "one")


def texts_of_all_scripts_come_back_unchanged(url, transports):
    with blocking(url, transports) as client:
        for text in TEXTS:
            equal(client.call("echo", text), text)
        equal(client.call("echo", {text: n for n, text in enumerate(TEXTS)}), {text: n for n, text in enumerate(TEXTS)})


def event_names_with_escapes_are_read(url, transports):
    with blocking(url, transports) as client:
        for name in NAMES:
            equal(client.call(name, 1)["error"]["code"], "unhandled")
            client.emit(name, 1)
            (told,) = client.next("error")
            equal((told["error"]["code"], told["event"]), ("unhandled", name))


def bytes_come_back(url, transports):
    with blocking(url, transports) as client:
        client.emit("message", b"\x00\x01\xff", {"deep": [b"a", "text", b"b"]})
        equal(client.next("message-back"), [b"\x00\x01\xff", {"deep": [b"a", "text", b"b"]}])
        equal(client.call("echo", b""), b"")


def the_server_asks_and_gets_the_clients_answer(url, transports):
    with blocking(url, transports) as client:
        client.answer = ("answer", b"\x02", {"n": 1})
        client.emit("emit-with-ack", "question", b"\x01")
        equal(client.next("emit-with-ack"), ["question", b"\x01"])
        equal(client.next("emit-with-ack"), ["answer", b"\x02", {"n": 1}])


def long_texts_and_many_bytes_come_back(url, transports):
    with blocking(url, transports) as client:
        equal(client.call("echo", "x" * LONG_CHARS), "x" * LONG_CHARS)
        equal(client.call("echo", b"\x07" * LONG_CHARS), b"\x07" * LONG_CHARS)


def many_events_all_come_back(url, transports):
    with blocking(url, transports) as client:
        for n in range(MANY):
            client.emit("message", n)
        # every handler runs in a thread of its own, so their order says nothing: the asyncio client shows it
        equal(sorted(client.next("message-back")[0] for _ in range(MANY)), list(range(MANY)))


def many_namespaces_share_a_connection(url, transports):
    with blocking(url, transports, *NAMESPACES, auth={"n": 1}) as client:
        equal(len({client.io.get_sid(namespace) for namespace in NAMESPACES}), len(NAMESPACES))
        equal(client.next("auth", "/custom"), [{"n": 1}])
        client.emit("message", "custom", namespace="/custom")
        equal(client.next("message-back", "/custom"), ["custom"])
        equal(client.call("echo", "main"), "main")


def an_unknown_namespace_is_refused(url, transports):
    client = Blocking(transports, ["/random"])
    try:
        client.connect(url)
    except Refused:
        equal(client.next("connect_error", "/random"), [{"message": "Invalid namespace"}])
    else:
        raise AssertionError("connected to /random")
    finally:
        client.io.disconnect()


def a_plugins_refusal_carries_a_message_and_data(url, transports):
    client = Blocking(transports, ["/filtered"])
    try:
        client.connect(url)
    except Refused:
        (told,) = client.next("connect_error", "/filtered")
        equal((told["message"], told["data"]["reason"]["code"]), ("a user is required", "user_required"))
    else:
        raise AssertionError("connected without a user")
    finally:
        client.io.disconnect()


def a_room_carries_messages_to_all_its_members(url, transports):
    room = fresh_room('raum "ü"')
    with blocking(url, transports, "/chat") as alice, blocking(url, transports, "/chat") as bob:
        equal(alice.call("join", {"room": room}, namespace="/chat"), {"ok": True, "members": 1})
        equal(bob.call("join", {"room": room}, namespace="/chat"), {"ok": True, "members": 2})
        sent = alice.call("message", {"room": room, "text": "hallo ü", "raw": b"\x01"}, namespace="/chat")
        assert sent["ok"] is True
        expected = {
            "room": room,
            "text": "hallo ü",
            "raw": b"\x01",
            "from": alice.io.get_sid("/chat"),
            "id": sent["id"],
        }
        for member in (alice, bob):
            equal(member.next("message", "/chat"), [expected])
        assert bob.call("leave", {"room": room}, namespace="/chat")["ok"] is True
        left = alice.next("left", "/chat")[0]
        equal((left["room"], left["socket"]), (room, bob.io.get_sid("/chat")))
        refused = bob.call("message", {"room": room, "text": "x"}, namespace="/chat")["error"]
        equal((refused["code"], refused["reason"]["code"]), ("rejected", "not_a_member"))


def members_are_told_when_one_disconnects(url, transports):
    room = fresh_room("gone")
    with blocking(url, transports, "/chat") as alice:
        alice.call("join", {"room": room}, namespace="/chat")
        with blocking(url, transports, "/chat") as bob:
            bob.call("join", {"room": room}, namespace="/chat")
            gone = bob.io.get_sid("/chat")
        while True:
            left = alice.next("left", "/chat")[0]
            if left["socket"] == gone:
                break
        equal(alice.call("join", {"room": room}, namespace="/chat"), {"ok": True, "members": 1})


def is_told_that_the_server_closed_the_connection(url, transports):
    with blocking(url, transports) as client:
        client.io.eio.send("no packet")
        client.next("disconnect")


BLOCKING_CHECKS = [
    connects_with_an_id_of_its_own,
    sends_its_auth_payload,
    sends_no_auth_payload,
    an_event_comes_back_with_all_kinds_of_values,
    an_ack_gets_all_arguments,
    texts_of_all_scripts_come_back_unchanged,
    event_names_with_escapes_are_read,
    bytes_come_back,
    the_server_asks_and_gets_the_clients_answer,
    long_texts_and_many_bytes_come_back,
    many_events_all_come_back,
    many_namespaces_share_a_connection,
    an_unknown_namespace_is_refused,
    a_plugins_refusal_carries_a_message_and_data,
    a_room_carries_messages_to_all_its_members,
    members_are_told_when_one_disconnects,
    is_told_that_the_server_closed_the_connection,
]


# The asyncio client: its own HTTP and WebSocket stack (aiohttp), so the ways of the wire once more.


@contextlib.asynccontextmanager
async def asynchronous(url, transports, namespace="/", auth=None):
    io = socketio.AsyncClient(reconnection=False, handle_sigint=False, request_timeout=DEADLINE_S)
    inbox = asyncio.Queue()

    async def any_event(event, *args):
        await inbox.put((event, list(args)))
        return "answer", b"\x02"

    io.on("*", any_event, namespace=namespace)
    try:
        await io.connect(url, auth=auth, transports=transports, namespaces=[namespace], wait_timeout=DEADLINE_S)
        yield io, inbox
    finally:
        await io.eio.queue.join()
        await io.disconnect()


async def asyncio_auth_events_and_acks(url, transports):
    async with asynchronous(url, transports, auth={"token": "ü"}) as (io, inbox):
        equal(await inbox.get(), ("auth", [{"token": "ü"}]))
        await io.emit("message", tuple(VALUES))
        equal(await inbox.get(), ("message-back", VALUES))
        equal(await io.call("message-with-ack", (1, "2")), (1, "2"))
        equal(io.transport(), transports[-1])


async def asyncio_bytes_and_questions(url, transports):
    async with asynchronous(url, transports) as (io, inbox):
        equal(await inbox.get(), ("auth", [{}]))
        equal(await io.call("echo", {"b": b"\x00\xff"}), {"b": b"\x00\xff"})
        await io.emit("emit-with-ack", ("question", b"\x01"))
        equal(await inbox.get(), ("emit-with-ack", ["question", b"\x01"]))
        equal(await inbox.get(), ("emit-with-ack", ["answer", b"\x02"]))


async def asyncio_events_keep_their_order(url, transports):
    async with asynchronous(url, transports) as (io, inbox):
        await inbox.get()
        for n in range(MANY):
            await io.emit("message", n)
        equal([(await inbox.get())[1] for _ in range(MANY)], [[n] for n in range(MANY)])


async def asyncio_names_with_escapes(url, transports):
    async with asynchronous(url, transports) as (io, _):
        for name in NAMES:
            equal((await io.call(name, 1))["error"]["code"], "unhandled")


async def asyncio_a_room(url, transports):
    room = fresh_room("async")
    async with (
        asynchronous(url, transports, "/chat") as (alice, heard),
        asynchronous(url, transports, "/chat") as (bob, _),
    ):
        for members, io in enumerate((alice, bob), start=1):
            equal(await io.call("join", {"room": room}, namespace="/chat"), {"ok": True, "members": members})
        assert (await bob.call("message", {"room": room, "text": "hallo"}, namespace="/chat"))["ok"]
        while True:
            event, args = await heard.get()
            if event == "message":
                break
        equal((args[0]["text"], args[0]["from"]), ("hallo", bob.get_sid("/chat")))


ASYNCIO_CHECKS = [
    asyncio_auth_events_and_acks,
    asyncio_bytes_and_questions,
    asyncio_events_keep_their_order,
    asyncio_names_with_escapes,
    asyncio_a_room,
]


def main():
    url = next((argument for argument in sys.argv[1:] if "://" in argument), os.environ.get("HUB_URL"))
    if not url:
        print(f"usage: {sys.argv[0]} http://HOST:PORT   (or set HUB_URL)", file=sys.stderr)
        return 2
    for name in ("socketio.client", "engineio.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # the client takes at most 16 packets in one polling payload unless told otherwise; no other client has such a limit
    Payload.max_decode_packets = PAYLOAD_PACKETS_MAX
    watchdog = threading.Timer(SUITE_DEADLINE_S, give_up)
    watchdog.daemon = True
    watchdog.start()

    checks = []
    for name, transports in TRANSPORTS.items():
        checks += [(f"{name}: {check.__name__}", partial(check, url, transports)) for check in BLOCKING_CHECKS]
        checks += [
            (f"{name}: {check.__name__}", partial(run_async, check, url, transports)) for check in ASYNCIO_CHECKS
        ]
    failed = [name for number, (name, run) in enumerate(checks, start=1) if not passes(number, name, run)]
    print(f"# python: {len(checks) - len(failed)} of {len(checks)} checks passed")
    for name in failed:
        print(f"# failed: {name}")
    return 1 if failed else 0


def run_async(check, url, transports):
    asyncio.run(asyncio.wait_for(check(url, transports), DEADLINE_S))


def passes(number, name, run):
    begin = time.monotonic()
    try:
        run()
        failure = None
    except Exception:  # whatever a client throws is a failed check
        failure = traceback.format_exc()
    elapsed_ms = int(1000 * (time.monotonic() - begin))
    print(f"{'not ok' if failure else 'ok'} {number} - {name.replace('_', ' ')} ({elapsed_ms} ms)", flush=True)
    if failure:
        print("    " + failure.replace("\n", "\n    "), flush=True)
    return not failure


def give_up():
    print(f"not ok - python: not done after {SUITE_DEADLINE_S} s", flush=True)
    os._exit(1)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # clients leave threads behind that wait for sockets; the checks have closed what they opened
    os._exit(code)
