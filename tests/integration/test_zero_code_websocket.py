"""WebSockets of aiohttp, recorded from outside: handshakes and messages against what the server saw and sent."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from servers import RecordingServer, SeenMessage
from servers.comparison import assert_same_exchange, assert_same_request
from servers.programs import CompletedRun, run_instrumented_program
from servers.websocket import CLOSE, EARLY, PING, PONG, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Exchange, InstrumentedRunner

Recorded = tuple[CompletedRun, RecordingServer]
Json = dict[str, Any]

HEAD = """
    import asyncio, ssl, sys, aiohttp
    from harness import BASE, CA, UNUSED, release, wait
    TLS = ssl.create_default_context(cafile=CA) if BASE.startswith('https') else True
    async def at(function, *arguments):
        await asyncio.to_thread(function, *arguments)
"""

# Each function talks over a socket of its own; the path of its handshake has its name.
TALK = (
    HEAD
    + """
    async def echo(socket):
        for text in ('text', '', 'ä' * 100, 'x' * 125, 'y' * 126, 'z' * 65535, 'a' * 65536):
            await socket.send_str(text)
            assert text == await socket.receive_str()
            await socket.send_bytes(text.encode())
            assert text.encode() == await socket.receive_bytes()
        await socket.send_bytes(bytes(range(256)))
        assert bytes(range(256)) == await socket.receive_bytes()
        await socket.send_json({'a': ['ü', 1]})
        assert {'a': ['ü', 1]} == await socket.receive_json()
    async def fragments(socket):
        await socket.send_str('!fragment')
        print(await socket.receive_str())
        await socket.send_str('behind')
        print(await socket.receive_str())
    async def pings(socket):
        await socket.ping(b'from the client')
        await socket.pong(b'unasked')
        await socket.send_str('!ping from the server')
        await socket.send_str('last')
        print(await socket.receive_str())
    async def early(socket):
        print(await socket.receive_str())
    async def closed_by_client(socket):
        print(await socket.close(code=4321, message='genug'.encode()), socket.close_code)
    async def closed_by_server(socket):
        await socket.send_str('!close 1001 going away: ä')
        print(await socket.receive(), socket.close_code)
    async def iterated(socket):
        await socket.send_str('!many 5')
        await socket.send_str('!close 1000 done')
        print([message.data async for message in socket])
    async def main():
        async with aiohttp.ClientSession() as session:
            for talk in (echo, fragments, pings, early, closed_by_client, closed_by_server, iterated):
                for compress in (0, 15):
                    url = f"{BASE}/websocket/{talk.__name__}/{compress}?{'early=1' if talk is early else ''}"
                    async with session.ws_connect(url, compress=compress, ssl=TLS, protocols=('chat',)) as socket:
                        assert socket.compress == compress and socket.protocol == 'chat'
                        await talk(socket)
    asyncio.run(main())
"""
)

TALKS = ("echo", "fragments", "pings", "early", "closed_by_client", "closed_by_server", "iterated")


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "tls"])
def talks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """One program that has talked in every manner, without TLS and with it."""
    with RecordingServer(tls=request.param) as server:
        yield run_instrumented_program(server, tmp_path_factory.mktemp("talks"), TALK), server
        assert [] == server.gates.expired


def _seen(message: Json) -> SeenMessage:
    """A message of an entry as the server notes one."""
    data = message["data"].encode() if message["opcode"] == TEXT else base64.b64decode(message["data"], validate=True)
    return SeenMessage(message["type"], message["opcode"], data)


def _messages(entry: Json) -> list[SeenMessage]:
    return [_seen(message) for message in entry["_webSocketMessages"]]


def _of(messages: list[SeenMessage], kind: str) -> list[SeenMessage]:
    """The messages of one direction."""
    return [message for message in messages if message.type == kind]


def _assert_same_messages(entry: Json, exchange: Exchange) -> None:
    """Assert that an entry has the server's messages of each direction, and times in order within the entry's."""
    for kind in ("send", "receive"):
        assert _of(exchange.messages, kind) == _of(_messages(entry), kind)
    times = [message["time"] for message in entry["_webSocketMessages"]]
    assert sorted(times) == times


def test_every_socket_is_one_entry(talks: Recorded) -> None:
    """As many entries as handshakes, in their order, all of them websockets, nothing on stderr."""
    run, server = talks
    assert (0, "") == (run.returncode, run.stderr)
    assert [server.url(exchange.request.target) for exchange in server.exchanges] == [
        entry["request"]["url"] for entry in run.entries
    ]
    assert {"websocket"} == {entry["_resourceType"] for entry in run.entries}
    assert len(TALKS) * 2 == len(run.entries)


def test_handshakes_are_as_sent(talks: Recorded) -> None:
    """Status 101 and the header fields of both sides, without a body."""
    run, server = talks
    for entry, exchange in zip(run.entries, server.exchanges, strict=True):
        assert_same_exchange(entry, exchange, server)
        assert (101, "Switching Protocols") == (entry["response"]["status"], entry["response"]["statusText"])
        assert "comment" not in entry


def test_messages_are_those_of_the_server(talks: Recorded) -> None:
    """Every message and control frame, both ways: text, binary, of every length, compressed, fragmented."""
    run, server = talks
    for entry, exchange in zip(run.entries, server.exchanges, strict=True):
        _assert_same_messages(entry, exchange)


@pytest.mark.parametrize("compress", [0, 15])
def test_messages_of_both_directions_are_in_order(talks: Recorded, compress: int) -> None:
    """Question and answer alternate, up to both close frames."""
    run, server = talks
    path = f"/websocket/echo/{compress}"
    [entry] = run.of(path)
    assert server.of(path)[0].messages == _messages(entry)
    assert ["send", "receive"] * 17 == [message["type"] for message in entry["_webSocketMessages"]]


@pytest.mark.parametrize("compress", [0, 15])
def test_frames_of_every_length(talks: Recorded, compress: int) -> None:
    """The lengths at which the frame's head grows: 125, 126, 65535, 65536 bytes."""
    [entry] = talks[0].of(f"/websocket/echo/{compress}")
    texts = [len(message.data) for message in _of(_messages(entry), "receive") if message.opcode == TEXT]
    assert [4, 0, 200, 125, 126, 65535, 65536, 20] == texts


@pytest.mark.parametrize("compress", [0, 15])
def test_a_fragmented_message_is_one(talks: Recorded, compress: int) -> None:
    """The frames of a message are joined; pings between them are there for themselves, and before its end."""
    [entry] = talks[0].of(f"/websocket/fragments/{compress}")
    pings = [] if compress else [(PING, b"between"), (PING, b"between")]
    assert [
        *pings,
        (TEXT, "in three pieces: äöü".encode()),
        (TEXT, b"behind"),
        (CLOSE, b"\x03\xe8"),
    ] == [(message.opcode, message.data) for message in _of(_messages(entry), "receive")]


def test_pings_and_pongs(talks: Recorded) -> None:
    """Control frames of both sides, those that aiohttp sends by itself included."""
    [entry] = talks[0].of("/websocket/pings/0")
    messages = _messages(entry)
    assert [(PING, b"from the client"), (PONG, b"unasked"), (PONG, b"from the server")] == [
        (message.opcode, message.data) for message in _of(messages, "send") if message.opcode in {PING, PONG}
    ]
    assert [(PONG, b"from the client"), (PING, b"from the server")] == [
        (message.opcode, message.data) for message in _of(messages, "receive") if message.opcode in {PING, PONG}
    ]


@pytest.mark.parametrize("compress", [0, 15])
def test_a_message_in_one_packet_with_the_handshake(talks: Recorded, compress: int) -> None:
    """What came before the program could read is the first message."""
    [entry] = talks[0].of(f"/websocket/early/{compress}")
    assert SeenMessage("receive", TEXT, EARLY.encode()) == _messages(entry)[0]


def test_close_frames_say_who_and_why(talks: Recorded) -> None:
    """Code and reason of a close frame are readable, whoever closes."""
    closes = {
        path: [
            (message["type"], message["_closeCode"], message["_closeReason"])
            for message in talks[0].of(path)[0]["_webSocketMessages"]
            if message["opcode"] == CLOSE
        ]
        for path in ("/websocket/closed_by_client/0", "/websocket/closed_by_server/0")
    }
    assert [("send", 4321, "genug"), ("receive", 4321, "genug")] == closes["/websocket/closed_by_client/0"]
    assert [("receive", 1001, "going away: ä"), ("send", 1000, "")] == closes["/websocket/closed_by_server/0"]


def test_the_entry_lasts_as_long_as_the_socket(talks: Recorded) -> None:
    """All messages lie between the entry's start and its end, and the frames count as transferred."""
    from otel_har.har.dates import parse_instant  # noqa: PLC0415 - of the package under test, here only

    for entry in talks[0].entries:
        start = parse_instant(entry["startedDateTime"]).timestamp()
        times = [message["time"] for message in entry["_webSocketMessages"]]
        assert start <= min(times)
        assert max(times) <= start + entry["time"] / 1000 + 0.000_01
        assert entry["response"]["_transferSize"] > entry["response"]["headersSize"]


ENDS = (
    HEAD
    + """
    async def over(socket, order):
        await socket.send_str('before')
        print(await socket.receive_str())
        await socket.send_str(order)
        print((await socket.receive()).type, socket.close_code)
    async def main():
        async with aiohttp.ClientSession() as session:
            for order in ('!hang-up', '!reset', '!half', '!garbage', '!not-utf8'):
                async with session.ws_connect(BASE + '/websocket/' + order[1:], ssl=TLS) as socket:
                    await over(socket, order)
            async with session.ws_connect(BASE + '/websocket/heartbeat', heartbeat=0.4) as socket:
                await socket.send_str('!beats 2')
                print(await socket.receive_str())
            for path in ('/json', '/status/403', '/websocket/spoilt?accept=wrong', '/redirect/1'):
                try:
                    await session.ws_connect(BASE + path)
                except aiohttp.WSServerHandshakeError as error:
                    print(path, error.status, error.message)
            try:
                await session.ws_connect(UNUSED.replace('http', 'ws') + '/nobody')
            except aiohttp.ClientError as error:
                print(type(error).__name__)
    asyncio.run(main())
"""
)


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """One program whose sockets end in every other manner, or never come to be."""
    with RecordingServer() as server:
        yield run_instrumented_program(server, tmp_path_factory.mktemp("ends"), ENDS), server
        assert [] == server.gates.expired


@pytest.mark.parametrize(
    ("name", "comment"),
    [
        ("hang-up", "closed without a close frame of the server's"),
        ("reset", "closed without a close frame of the server's"),
        ("half", "closed without a close frame of the server's"),
        ("garbage", "received: unreadable behind 1 messages: no frame begins with 0xff"),
        ("not-utf8", "closed without a close frame of the server's"),
    ],
)
def test_a_socket_that_breaks(ends: Recorded, name: str, comment: str) -> None:
    """What passed before is there, and the entry says what is wrong."""
    run, server = ends
    path = f"/websocket/{name}"
    [entry] = run.of(path)
    messages = _messages(entry)
    assert [(TEXT, b"before"), (TEXT, f"!{name}".encode())] == [
        (message.opcode, message.data) for message in _of(messages, "send")
    ][:2]
    assert SeenMessage("receive", TEXT, b"before") == _of(messages, "receive")[0]
    assert comment == entry["comment"]
    assert_same_exchange(entry, server.of(path)[0], server)


def test_an_abrupt_loss_has_its_error(ends: Recorded) -> None:
    """A reset is an error; an end without a word is none of the connection's."""
    errors = {name: ends[0].of(f"/websocket/{name}")[0]["response"].get("_error") for name in ("reset", "hang-up")}
    assert {"reset": "ConnectionResetError: [Errno 104] Connection reset by peer", "hang-up": None} == errors


def test_a_message_that_breaks_off(ends: Recorded) -> None:
    """What came of the last message is there, and marked."""
    [entry] = ends[0].of("/websocket/half")
    last = [message for message in entry["_webSocketMessages"] if message["type"] == "receive"][-1]
    assert (TEXT, "ten bytes.", "partial") == (last["opcode"], last["data"], last["_bodyState"])


def test_a_text_that_is_none(ends: Recorded) -> None:
    """Its bytes are there beside the characters that could be read."""
    [entry] = ends[0].of("/websocket/not-utf8")
    last = [message for message in entry["_webSocketMessages"] if message["type"] == "receive"][-1]
    assert (TEXT, "not \N{REPLACEMENT CHARACTER} UTF-8") == (last["opcode"], last["data"])
    assert b"not \xff UTF-8" == base64.b64decode(last["_base64"])


def test_heartbeats_are_messages(ends: Recorded) -> None:
    """The pings of aiohttp's heartbeat and the server's pongs, each at its time."""
    run, server = ends
    [entry] = run.of("/websocket/heartbeat")
    _assert_same_messages(entry, server.of("/websocket/heartbeat")[0])
    assert _messages(entry).count(SeenMessage("send", PING, b"")) >= 2


@pytest.mark.parametrize(("path", "status"), [("/json", 200), ("/status/403", 403)])
def test_a_refused_handshake(ends: Recorded, path: str, status: int) -> None:
    """The answer that came instead, and no messages."""
    run, server = ends
    entry, exchange = run.of(path)[0], server.of(path)[0]
    assert (status, "websocket") == (entry["response"]["status"], entry["_resourceType"])
    assert_same_request(entry, exchange, server)
    assert [name for name, _ in exchange.response.headers] == [
        header["name"].encode() for header in entry["response"]["headers"]
    ]
    assert "_webSocketMessages" not in entry


def test_a_spoilt_handshake(ends: Recorded) -> None:
    """A 101 that the client does not believe: the handshake, and nothing that followed."""
    run, server = ends
    [entry] = run.of("/websocket/spoilt")
    assert_same_exchange(entry, server.of("/websocket/spoilt")[0], server)
    assert [] == entry["_webSocketMessages"]


def test_a_handshake_that_is_sent_elsewhere(ends: Recorded) -> None:
    """Each hop of a redirected handshake is an entry."""
    assert [(302, "websocket"), (200, "websocket")] == [
        (entry["response"]["status"], entry["_resourceType"])
        for path in ("/redirect/1", "/redirect/0")
        for entry in ends[0].of(path)
    ]


def test_a_handshake_with_nobody(ends: Recorded) -> None:
    """No connection: the request that was to be sent, its own scheme, and the failure."""
    [entry] = ends[0].of("/nobody")
    assert entry["request"]["url"].startswith("ws://")
    assert (0, "websocket") == (entry["response"]["status"], entry["_resourceType"])
    assert entry["response"]["_error"].startswith("ClientConnectorError: ")


OPEN = (
    HEAD
    + """
    async def main():
        session = aiohttp.ClientSession()
        socket = await session.ws_connect(BASE + '/websocket/open')
        await socket.send_str('!gate open')
        await at(release, 'open')
        print(await socket.receive_str(), flush=True)
        await socket.pong(b'last')  # which nobody answers
        if 'exit' in sys.argv:
            sys.exit(3)
        keep.append((session, socket))
    keep = []
    asyncio.run(main())
"""
)


@pytest.mark.parametrize(("ending", "code"), [("exit", 3), ("forget", 0)])
def test_a_socket_still_open_at_the_end(run_instrumented: InstrumentedRunner, ending: str, code: int) -> None:
    """A socket that the program never closed is an entry with what there is of it."""
    run = run_instrumented(OPEN, args=[ending])
    assert (code, "through the gate\n") == (run.returncode, run.stdout)
    [entry] = run.entries
    assert [("send", b"!gate open"), ("receive", b"through the gate"), ("send", b"last")] == [
        (message.type, message.data) for message in _messages(entry)
    ]
    assert "the WebSocket was still open when the recording ended" == entry["comment"]
    last = entry["_webSocketMessages"][-1]["time"] - entry["_webSocketMessages"][0]["time"]
    assert last * 1000 <= entry["timings"]["receive"]


BOUNDED = (
    HEAD
    + """
    async def main():
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(f'{BASE}/websocket/{sys.argv[1]}', compress=int(sys.argv[2])) as socket:
                await socket.send_str(f'!{sys.argv[1]} {sys.argv[3]}')
                print(len((await socket.receive()).data))
                await socket.send_bytes(b's' * 3000)
    asyncio.run(main())
"""
)


def test_a_huge_message_is_cut(run_instrumented: InstrumentedRunner) -> None:
    """The limit of bodies holds for each direction; what is there of a message is its beginning."""
    run = run_instrumented(BOUNDED, env={"OTEL_PYTHON_HAR_MAX_BODY_BYTES": "2000"}, args=["huge", "0", "2560000"])
    assert "2560000\n" == run.stdout
    [entry] = run.entries
    [order, message, echoed] = entry["_webSocketMessages"]
    assert ("send", "!huge 2560000") == (order["type"], order["data"])
    assert ("receive", 2, "truncated") == (message["type"], message["opcode"], message["_bodyState"])
    assert (bytes(range(256)) * 8)[: 2000 - 10] == base64.b64decode(message["data"])
    assert ("send", 2, "truncated") == (echoed["type"], echoed["opcode"], echoed["_bodyState"])
    sent, received = entry["comment"].split("; ")
    assert sent.startswith("sent: cut, the first 2000 of 30")
    assert received.startswith("received: cut, the first 2000 of 256")


def test_a_message_that_compresses_well_is_cut(run_instrumented: InstrumentedRunner) -> None:
    """What a message decodes to is bounded too."""
    run = run_instrumented(BOUNDED, env={"OTEL_PYTHON_HAR_MAX_BODY_BYTES": "4000"}, args=["zeros", "15", "3000000"])
    assert "3000000\n" == run.stdout
    [message] = [one for one in run.entries[0]["_webSocketMessages"] if one["type"] == "receive"]
    assert (bytes(4000), "truncated") == (base64.b64decode(message["data"]), message["_bodyState"])
    assert run.entries[0]["comment"].startswith("received: cut, the first 1 messages")


def test_without_bodies_there_are_no_messages(run_instrumented: InstrumentedRunner) -> None:
    """A limit of 0 keeps the handshake alone, and says how much passed."""
    run = run_instrumented(BOUNDED, env={"OTEL_PYTHON_HAR_MAX_BODY_BYTES": "0"}, args=["huge", "0", "256"])
    [entry] = run.entries
    assert (101, []) == (entry["response"]["status"], entry["_webSocketMessages"])
    assert entry["comment"].startswith("sent: cut, the first 0 of 3")


MANY = (
    HEAD
    + """
    async def main():
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(f'{BASE}/websocket/many') as socket:
                await socket.send_str(f'!many {sys.argv[1]}')
                for _ in range(int(sys.argv[1])):
                    await socket.receive_str()
    asyncio.run(main())
"""
)


def test_many_messages_are_bounded(run_instrumented: InstrumentedRunner) -> None:
    """The most messages of one direction are a hundred thousand; the entry says that there were more."""
    run = run_instrumented(MANY, args=["100010"])
    [entry] = run.entries
    received = [message["data"] for message in entry["_webSocketMessages"] if message["type"] == "receive"]
    assert [f"number {number}" for number in range(100_000)] == received
    assert "received: cut, the first 100000 messages" == entry["comment"]


SEVERAL = (
    HEAD
    + """
    async def talk(session, number):
        async with session.ws_connect(f'{BASE}/websocket/{number}', compress=number % 2 * 15) as socket:
            for turn in range(20):
                await socket.send_str(f'{number}: {turn}')
                assert f'{number}: {turn}' == await socket.receive_str()
            async with session.get(BASE + '/json') as response:
                await response.read()
    async def main():
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*[talk(session, number) for number in range(10)])
    asyncio.run(main())
"""
)


def test_sockets_side_by_side_do_not_mix(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """Each socket's messages are in its own entry, and other requests in theirs."""
    run = run_instrumented(SEVERAL)
    assert (0, "") == (run.returncode, run.stderr)
    for number in range(10):
        [entry], [exchange] = run.of(f"/websocket/{number}"), server.of(f"/websocket/{number}")
        assert exchange.messages == _messages(entry)
    assert 10 == len(run.of("/json"))
