"""Request bodies that aiohttp sends in every way it can: what the server saw is what is recorded, to the byte."""

from __future__ import annotations

import zlib
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from servers import RecordingServer, body_of
from servers.comparison import assert_same_request
from servers.early import EarlyServer
from servers.programs import CompletedRun, run_instrumented_program
from servers.releases import AIOHTTP_IS_QUIET, AIOHTTP_LEAVES_FILES_OPEN
from servers.transparency import assert_no_difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

HEAD = """
    import asyncio, io, itertools, zlib, aiohttp
    from yarl import URL
    from harness import BASE, wait
    BINARY = bytes(range(256))
    numbers = itertools.count()
    def path(content):
        name = f'file-{next(numbers)}'
        with open(name, 'wb') as file:
            file.write(content)
        return name
    def at(file, position):
        file.seek(position)
        return file
    async def pieces(*given):
        for piece in given:
            yield piece
    async def broken(*given):
        for piece in given:
            yield piece
        raise LookupError('own error')
    async def attempt(session, name, **arguments):
        try:
            async with session.post(BASE + name, **arguments) as response:
                echoed = (await response.text()).partition('"body":')[2]
                print(name, response.status, len(echoed))
        except (Exception, asyncio.CancelledError) as error:
            print(name, type(error).__qualname__, error, repr(error.__cause__))
    def form(*fields, **options):
        data = aiohttp.FormData(**options)
        for name, value, *rest in fields:
            data.add_field(name, value, **(rest[0] if rest else {}))
        return data
    def multipart(subtype='mixed', boundary='edge'):
        return aiohttp.MultipartWriter(subtype, boundary=boundary)
    def nested():
        outer, inner = multipart(), multipart('related', 'inner')
        inner.append('inner text', {'X-Part': 'ü'})
        inner.append(BINARY, {'Content-Type': 'image/png'})
        outer.append(inner)
        outer.append_form([('a', '1'), ('b', 'ü')])
        outer.append_json({'a': 1})
        return outer
    def coded():
        writer = multipart()
        writer.append('squeezed ' * 50, {'Content-Encoding': 'gzip'})
        writer.append('squeezed ' * 50, {'Content-Encoding': 'deflate'})
        writer.append(BINARY, {'Content-Transfer-Encoding': 'base64'})
        writer.append('Größe', {'Content-Transfer-Encoding': 'quoted-printable'})
        return writer
    def squeezed():
        return zlib.compress(b'squeezed ' * 50)
    def streamed():
        writer = multipart()
        writer.append(pieces(b'one ', b'two'))
        writer.append(open(path(BINARY), 'rb'))
        return writer
"""

WHOLE = {
    "bytes": "data=BINARY",
    "bytearray": "data=bytearray(BINARY)",
    "memoryview": "data=memoryview(BINARY)",
    "text": "data='Größe 漢字'",
    "text-in-latin-1": "data='Größe', headers={'Content-Type': 'text/plain; charset=latin-1'}",
    "json": "json={'ü': [1, None]}",
    "bytes-io": "data=io.BytesIO(BINARY)",
    "bytes-io-from-middle": "data=at(io.BytesIO(BINARY), 100)",
    "string-io": "data=io.StringIO('Größe')",
    "file": "data=open(path(BINARY * 1000), 'rb')",
    "file-from-middle": "data=at(open(path(BINARY), 'rb'), 100)",
    "text-file": "data=open(path('Größe'.encode()), encoding='utf-8')",
    "empty-file": "data=open(path(b''), 'rb')",
    "async-generator": "data=pieces(b'one ', b'', BINARY)",
    "empty-async-generator": "data=pieces()",
    "payload": "data=aiohttp.payload.BytesPayload(BINARY, content_type='image/png')",
    "async-payload": "data=aiohttp.payload.AsyncIterablePayload(pieces(b'one ', b'two'))",
    "json-payload": "data=aiohttp.JsonPayload({'a': 1})",
    "generator-payload": "data=aiohttp.payload.IOBasePayload(io.BytesIO(BINARY))",
    "form": "data={'a': '1', 'b': 'ü &='}",
    "form-in-latin-1": "data=aiohttp.FormData({'a': 'ü'}, charset='latin-1')",
    "fields": "data=form(('a', '1', {'content_type': 'text/plain'}), ('a', '2'), ('b', 'ö'))",
    "fields-as-they-are": "data=form(('ü', 'ö', {'filename': 'ä \"1\".txt'}), quote_fields=False)",
    "files": "data=form(('f', io.BytesIO(BINARY), {'filename': 'ä 1.bin'}), ('g', open(path(BINARY), 'rb')))",
    "file-with-type": "data=form(('f', b'Gr\\xf6', {'filename': 'a', 'content_type': 'text/plain; charset=cp1252'}))",
    "nested-multipart": "data=nested()",
    "coded-multipart": "data=coded()",
    "streamed-multipart": "data=streamed()",
    "chunked": "data=BINARY, chunked=True",
    "with-length": "data=pieces(b'ten ', b'bytes.'), headers={'Content-Length': '10'}",
    "expect": "data=BINARY, expect100=True",
    "expect-chunked": "data=pieces(b'one ', b'two'), expect100=True",
    "compressed-by-the-program": "data=squeezed(), headers={'Content-Encoding': 'deflate'}",
    "compressed-stream": "data=pieces(squeezed()), headers={'Content-Encoding': 'deflate'}",
    "large": "data=BINARY * 4000",
    "large-stream": "data=pieces(*[BINARY * 400] * 10)",
    "empty": "data=b''",
    "nothing": "",
    "head-beyond-ascii": "data=b'x', headers={'X-Note': 'grün 漢字'}, params={'ü': 'a b', 'x': '|[]'}",
    "cookies-beyond-ascii": "data=b'x', cookies={'a': 'ü'}",
}
COMPRESSED = {
    "deflate": "data=b'squeeze me ' * 50, compress='deflate'",
    "gzip": "data=b'squeeze me ' * 50, compress='gzip'",
    "true": "data=b'squeeze me ' * 50, compress=True",
    "generator": "data=pieces(*[b'squeeze me '] * 50), compress='gzip'",
    "form": "data={'squeeze me': ' '}, compress='deflate'",
    "nothing": "data=pieces(), compress='deflate'",
}


REPEATED = "io.BytesIO(b'from memory')" if AIOHTTP_LEAVES_FILES_OPEN else "b'from memory'"


def _program(names: Iterable[str]) -> str:
    """A program that sends the bodies of these names, those that aiohttp compresses, and more."""
    posts = [f"await attempt(session, '/echo/{name}', {WHOLE[name]})" for name in names]
    posts += [f"await attempt(session, '/echo/compressed-{name}', {given})" for name, given in COMPRESSED.items()]
    lines = "\n            ".join(posts)
    return f"""{HEAD}
    async def main():
        async with aiohttp.ClientSession() as session:
            {lines}
            async with session.get(BASE + '/bytes/300000') as source:
                await attempt(session, '/echo/stream-of-a-response', data=source.content)
            await attempt(session, '/redirect-307/2', data=b'again and again')
            await attempt(session, '/redirect-307/1', data={REPEATED})
            await attempt(session, '/echo/broken', data=broken(b'one ', b'two'))
            await attempt(session, '/echo/broken-at-once', data=broken())
            announced = {{'Content-Length': '10'}}
            await attempt(session, '/echo/broken-of-known-length', data=broken(b'one '), headers=announced)
    asyncio.run(main())
    """


TARGETS = {
    "no-path": "BASE",
    "empty-query": "BASE + '/echo?'",
    "spaces": "URL(BASE + '/echo/a b?c d=|', encoded=False)",
    "as-it-is": "URL(BASE + '/echo/[a]|%7e?\"<>^`{}', encoded=True)",
    "dots": "BASE + '/echo/../echo/./x?a=/../b'",
    "fragment": "BASE + '/echo/x?y#z'",
    "user": "BASE.replace('//', '//us%20er:p%40ss@') + '/echo/x'",
    "slashes": "BASE + '//echo//x/'",
    "percent": "BASE + '/echo/%2F%e4%25?%26=%3D+%2B'",
    "letters": "BASE + '/echo/ä漢?ö=ü'",
}
TARGETS_PROGRAM = f"""{HEAD}
    async def main():
        async with aiohttp.ClientSession() as session:
            for target in ({", ".join(TARGETS.values())}):
                async with session.get(target) as response:
                    await response.read()
    asyncio.run(main())
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CompletedRun, RecordingServer]]:
    """One program that has sent every kind of body in turn."""
    with RecordingServer() as server:
        yield run_instrumented_program(server, tmp_path_factory.mktemp("bodies"), _program(WHOLE)), server


def test_the_program_sees_no_difference(tmp_path: Path) -> None:
    """Results and exceptions are those of the plain program."""
    # The boundary of a form is another one each time.
    assert_no_difference(tmp_path, dedent(_program(name for name in WHOLE if "form(" not in WHOLE[name])))


def _bytes_of(post_data: dict[str, Any]) -> bytes:
    """The bytes that a postData stands for: aiohttp's own type is one whose bodies are base64."""
    body = body_of(post_data)
    return body if isinstance(body, bytes) else body.encode()


def _assert_exact(run: CompletedRun, server: RecordingServer, path: str) -> None:
    """Assert that the request is the one the server saw, whole and with its exact sizes."""
    [entry], [exchange] = run.of(path), server.of(path)
    seen, request = exchange.request, entry["request"]
    assert (len(seen.head), len(seen.body)) == (request["headersSize"], request["bodySize"])
    assert "_bodyState" not in request.get("postData", {})
    if seen.head.isascii():
        assert_same_request(entry, exchange, server)


@pytest.mark.parametrize("path", [*(f"/echo/{name}" for name in WHOLE), "/echo/stream-of-a-response"])
def test_a_whole_body(recorded: tuple[CompletedRun, RecordingServer], path: str) -> None:
    """Head and body have the bytes and the sizes that the server saw."""
    run, server = recorded
    assert (0, "") == (run.returncode, run.stderr)
    _assert_exact(run, server, path)


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_body_that_aiohttp_compresses(recorded: tuple[CompletedRun, RecordingServer], name: str) -> None:
    """It is recorded as it was before, and says so; its size on the wire is not told."""
    run, server = recorded
    [entry], [exchange] = run.of(f"/echo/compressed-{name}"), server.of(f"/echo/compressed-{name}")
    request = entry["request"]
    assert (len(exchange.request.head), -1) == (request["headersSize"], request["bodySize"])
    body = zlib.decompress(exchange.request.body, zlib.MAX_WBITS + 32)
    coding = exchange.request.first("content-encoding")
    if body:
        assert (body, f"before its compression ({coding})") == (
            _bytes_of(request["postData"]),
            request["postData"]["comment"],
        )
    else:
        assert "postData" not in request


@pytest.mark.parametrize("body", [b"again and again", b"from memory"])
def test_a_body_sent_again(recorded: tuple[CompletedRun, RecordingServer], body: bytes) -> None:
    """Each hop that repeats the body has it."""
    run, server = recorded
    seen = [exchange for exchange in server.exchanges if exchange.request.body == body]
    entries = [entry for entry in run.entries if body == _bytes_of(entry["request"].get("postData", {}))]
    assert 1 <= len(seen) == len(entries)  # a release of aiohttp may repeat it or not
    for entry, exchange in zip(entries, seen, strict=True):
        assert_same_request(entry, exchange, server)
        assert (len(exchange.request.head), len(body)) == (
            entry["request"]["headersSize"],
            entry["request"]["bodySize"],
        )


@pytest.mark.parametrize(
    ("name", "body", "state", "size"),
    [
        ("broken", b"one two", "partial", -1),
        ("broken-at-once", b"", "unread", 0),
        ("broken-of-known-length", b"one ", "partial", -1),
    ],
)
def test_a_body_that_raises(
    recorded: tuple[CompletedRun, RecordingServer], name: str, body: bytes, state: str, size: int
) -> None:
    """What came before the exception is recorded, and said to be a part."""
    run, _ = recorded
    [entry] = run.of(f"/echo/{name}")
    post_data = entry["request"]["postData"]
    assert (body, state, size) == (_bytes_of(post_data), post_data["_bodyState"], entry["request"]["bodySize"])
    assert entry["response"]["_error"]


def test_head_sizes_of_any_target(tmp_path: Path) -> None:
    """The head has the size that the server saw, however the URL is written."""
    with RecordingServer() as server:
        run = run_instrumented_program(server, tmp_path, TARGETS_PROGRAM)
        assert (0, "") == (run.returncode, run.stderr)
        assert [len(exchange.request.head) for exchange in server.exchanges] == [
            entry["request"]["headersSize"] for entry in run.entries
        ]
        assert len(TARGETS) == len(run.entries)


EARLY_PROGRAM = f"""{HEAD}
    async def endless():
        while True:
            yield b'piece '
            await asyncio.sleep(0)
    async def gated(gate):
        yield b'first piece.'
        await gate.wait()
        yield b'another one.'
    async def main():
        async with aiohttp.ClientSession() as session:
            await attempt(session, '/refuse', data=endless())
            await attempt(session, '/expect/417', data=b'never sent', expect100=True)
            gate = asyncio.Event()
            async with session.post(BASE + '/duplex', data=gated(gate)) as response:
                print(response.status)
                gate.set()
                print(await response.text())
            started = asyncio.Event()
            async def announced():
                yield b'first piece.'
                started.set()
                await asyncio.Event().wait()
            sending = asyncio.create_task(attempt(session, '/cancelled', data=announced()))
            await started.wait()
            sending.cancel()
            await sending
    asyncio.run(main())
"""


def test_early_answers(tmp_path: Path) -> None:
    """Where the answer, or the program's own cancelling, comes before the end of the body, it is a part and says so."""
    with EarlyServer() as server:
        run = run_instrumented_program(server, tmp_path, EARLY_PROGRAM)
        assert (0, "") == (run.returncode, run.stderr if AIOHTTP_IS_QUIET else "")
        paths = ("/refuse", "/expect/417", "/duplex", "/cancelled")
        refused, expected, duplex, cancelled = (entry["request"] for path in paths for entry in run.of(path))
        assert [413, 417, 200, 0] == [entry["response"]["status"] for entry in run.entries]
        assert _bytes_of(refused["postData"]).startswith(b"piece piece ")
        assert ("partial", -1) == (refused["postData"]["_bodyState"], refused["bodySize"])
        assert ("unread", "", 0) == (
            expected["postData"]["_bodyState"],
            expected["postData"]["text"],
            expected["bodySize"],
        )
        assert b"first piece.another one." == _bytes_of(duplex["postData"])
        assert (None, 24) == (duplex["postData"].get("_bodyState"), duplex["bodySize"])
        assert b"first piece." == _bytes_of(cancelled["postData"])
        assert ("partial", -1) == (cancelled["postData"]["_bodyState"], cancelled["bodySize"])
