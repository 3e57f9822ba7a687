"""Request bodies that requests sends in every way it can: what the server saw is what is recorded, to the byte."""

from __future__ import annotations

import base64
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from servers import RecordingServer
from servers.comparison import assert_same_request
from servers.early import EarlyServer
from servers.programs import CompletedRun, run_instrumented_program
from servers.releases import (
    BYTEARRAYS_ARE_SENT,
    READERS_ARE_READ,
    REQUESTS_COUNTS_BYTES_OF_TEXT,
    REQUESTS_SENDS_ANY_PIECE,
    URLLIB3_SENDS_UTF_8,
)
from servers.transparency import assert_no_difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from servers import InstrumentedRunner

HEAD = """
    import array, io, os, tempfile, requests
    from requests.auth import HTTPDigestAuth
    from requests_toolbelt import MultipartEncoder, MultipartEncoderMonitor
    from harness import BASE, wait
    session = requests.Session()
    BINARY = bytes(range(256))
    def path(content):
        descriptor, name = tempfile.mkstemp(dir='.')
        os.write(descriptor, content)
        os.close(descriptor)
        return name
    def at(file, position):
        file.seek(position)
        return file
    class Sized:
        def __init__(self, *pieces):
            self.pieces = list(pieces)
        def __len__(self):
            return sum(map(len, self.pieces))
        def __iter__(self):
            return iter(self.pieces)
    class Reader:
        def __init__(self, *pieces):
            self.pieces = list(pieces)
        def read(self, size=-1):
            return self.pieces.pop(0) if self.pieces else b''
    class IterableReader(Reader):
        def __iter__(self):
            raise AssertionError('a reader is read')
    class Iterator:
        def __init__(self, *pieces):
            self.pieces = list(pieces)
        def __iter__(self):
            return self
        def __next__(self):
            if not self.pieces:
                raise StopIteration
            return self.pieces.pop(0)
    def broken(*pieces):
        yield from pieces
        raise LookupError('own error')
    class BrokenReader(IterableReader):
        def read(self, size=-1):
            if not self.pieces:
                raise LookupError('own error')
            return self.pieces.pop(0)
    def attempt(name, **arguments):
        try:
            response = session.post(BASE + name, **arguments)
        except Exception as error:
            print(name, type(error).__qualname__, error, repr(error.__cause__))
            return
        body, echoed = arguments.get('data'), response.text.partition('"body":')[2]
        print(name, response.status_code, len(echoed), type(response.request.body).__name__,
              response.request.body is body, getattr(body, 'closed', None))
"""

WHOLE = {
    "generator": "data=(piece for piece in [b'one ', b'', b'two ', BINARY])",
    "generator-of-text": "data=(piece for piece in ['Größe ', b'bytes ', '漢字'])",
    "generator-of-bytearrays": "data=(piece for piece in [bytearray(b'one'), bytearray(b'two')])",
    "empty-generator": "data=(piece for piece in [])",
    "iterator": "data=Iterator(b'a', b'b')",
    "iterator-with-length": "data=Sized(b'ten ', b'bytes ')",
    "list-iterator": "data=iter([b'a', b'b'])",
    "file": "data=open(path(BINARY * 300), 'rb')",
    "unbuffered-file": "data=open(path(BINARY * 300), 'rb', buffering=0)",
    "text-file": "data=open(path(b'plain text'), encoding='ascii')",
    "file-from-middle": "data=at(open(path(BINARY), 'rb'), 100)",
    "file-at-its-end": "data=at(open(path(BINARY), 'rb'), 256)",
    "empty-file": "data=open(path(b''), 'rb')",
    "spooled-file": "data=at(spooled(), 0)",
    "bytes-io": "data=io.BytesIO(BINARY)",
    "bytes-io-from-middle": "data=at(io.BytesIO(BINARY), 100)",
    "string-io": "data=io.StringIO('from memory')",
    "reader-without-length": "data=IterableReader(b'one ', b'two')",
    "memoryview": "data=memoryview(BINARY)",
    "bytearray": "data=bytearray(BINARY)",
    "array": "data=array.array('B', BINARY)",
    "text": "data='Größe'",
    "text-beyond-latin-1": "data='Größe 漢字 \\U0001f600'",
    "form": "data=[('a', '1'), ('a', '2'), ('b', 'ü &='), ('c', '')]",
    "form-in-latin-1": "data='a=Größe'.encode('latin-1'), headers={'Content-Type': FORM + '; charset=iso-8859-1'}",
    "file-of-bytes": "files={'file': BINARY}",
    "file-of-text": "files={'file': 'text'}",
    "file-object": "files={'file': open(path(BINARY), 'rb')}",
    "file-with-name": "files={'file': ('a.bin', BINARY)}",
    "file-with-type": "files={'file': ('ä \"1\".txt', 'Größe', 'text/plain')}",
    "file-with-headers": "files={'file': ('a.png', BINARY, 'image/png', {'X-Part': 'one', 'Expires': '0'})}",
    "file-without-name": "files={'field': (None, 'value'), 'json': (None, '{}', 'application/json')}",
    "files-of-one-name": "files=[('f', ('1', b'one')), ('f', ('2', b'two')), ('f', ('3', BINARY))]",
    "files-and-fields": "data={'a': ['1', '2']}, files={'file': io.BytesIO(BINARY)}",
    "empty-file-part": "files={'file': ('empty', b'')}",
    "encoder": "data=encoder(), headers={'Content-Type': 'multipart/form-data; boundary=edge'}",
    "monitor": "data=MultipartEncoderMonitor(encoder()), headers={'Content-Type': encoder().content_type}",
    "compressed": "data=gzip.compress(b'squeezed ' * 50, mtime=0), headers={'Content-Encoding': 'gzip'}",
    "head-beyond-ascii": "data=b'x', headers={'X-Note': 'grün'}, params={'ü': ['a b', '|[]']}",
    "large": "data=BINARY * 4000",
}
if not REQUESTS_SENDS_ANY_PIECE:
    WHOLE["generator"] = "data=(piece for piece in [b'one ', b'two ', BINARY])"
    del WHOLE["generator-of-text"]
if not READERS_ARE_READ:
    del WHOLE["reader-without-length"]
if not BYTEARRAYS_ARE_SENT:
    del WHOLE["generator-of-bytearrays"]
if not URLLIB3_SENDS_UTF_8:
    WHOLE["string-io-in-latin-1"] = "data=io.StringIO('Größe')"
    del WHOLE["text-beyond-latin-1"]
if not REQUESTS_COUNTS_BYTES_OF_TEXT:
    for name in [name for name in WHOLE if name.startswith("text") and name != "text-file"]:
        del WHOLE[name]


# A reader is read, unless a release of the client iterates over it.
BROKEN_READER = "BrokenReader" if READERS_ARE_READ else "broken"


def _program(names: Iterable[str]) -> str:
    """A program that sends the bodies of these names, and those that are sent again or break."""
    posts = "\n    ".join(f"attempt('/echo/{name}', {WHOLE[name]})" for name in names)
    return f"""{HEAD}
    import gzip
    FORM = 'application/x-www-form-urlencoded'
    def encoder():
        return MultipartEncoder([('a', '1'), ('file', ('a.bin', io.BytesIO(BINARY), 'image/png'))], boundary='edge')
    def spooled():
        file = tempfile.SpooledTemporaryFile()
        file.write(BINARY)
        return file
    {posts}
    attempt('/redirect-307/2', data=io.BytesIO(b'again'))
    attempt('/redirect-307/1', data=at(open(path(b'from the middle'), 'rb'), 9))
    attempt('/digest', data=open(path(b'twice'), 'rb'), auth=HTTPDigestAuth('user', 'secret'))
    attempt('/redirect-307/3', data=(piece for piece in [b'once']))
    attempt('/echo/broken-generator', data=broken(b'one ', b'two'))
    attempt('/echo/broken-at-once', data=broken())
    attempt('/echo/broken-reader', data={BROKEN_READER}(b'one ', b'two'))
    """


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CompletedRun, RecordingServer]]:
    """One program that has sent every kind of body in turn."""
    with RecordingServer() as server:
        yield run_instrumented_program(server, tmp_path_factory.mktemp("bodies"), _program(WHOLE)), server


def test_the_program_sees_no_difference(tmp_path: Path) -> None:
    """Results, exceptions, and the prepared request's own body are those of the plain program."""
    # The boundary of `files=` is another one each time.
    assert_no_difference(tmp_path, dedent(_program(name for name in WHOLE if "files=" not in WHOLE[name])))


def _assert_exact(entry: dict[str, Any], server: RecordingServer, index: int) -> None:
    """Assert that the request is the one the server saw, whole and with its exact sizes."""
    exchange = server.exchanges[index]
    seen, request = exchange.request, entry["request"]
    assert_same_request(entry, exchange, server)
    assert (len(seen.head), len(seen.body)) == (request["headersSize"], request["bodySize"])
    assert "_bodyState" not in request.get("postData", {})


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_body(recorded: tuple[CompletedRun, RecordingServer], name: str) -> None:
    """Head and body have the bytes and the sizes that the server saw."""
    run, server = recorded
    assert (0, "") == (run.returncode, run.stderr)
    [entry] = run.of(f"/echo/{name}")
    _assert_exact(entry, server, [exchange.request.path for exchange in server.exchanges].index(f"/echo/{name}"))


@pytest.mark.parametrize(
    ("paths", "body"),
    [
        (["/redirect-307/2", "/redirect-307/1", "/redirect-307/0"], b"again"),
        (["/redirect-307/1", "/redirect-307/0"], b"middle"),
        (["/digest", "/digest"], b"twice"),
    ],
)
def test_a_body_sent_again(recorded: tuple[CompletedRun, RecordingServer], paths: list[str], body: bytes) -> None:
    """Each time that a file is sent, by a redirect or for authentication, it is recorded from where it began."""
    run, server = recorded
    seen = [index for index, exchange in enumerate(server.exchanges) if exchange.request.body == body]
    entries = [entry for entry in run.entries if body.decode() == entry["request"].get("postData", {}).get("text")]
    assert paths == [server.exchanges[index].request.path for index in seen]
    assert len(paths) == len(entries)
    for entry, index in zip(entries, seen, strict=True):
        _assert_exact(entry, server, index)


@pytest.mark.parametrize(
    ("name", "text", "size"), [("generator", "one two", 7), ("at-once", "", 0), ("reader", "one two", 7)]
)
def test_a_body_that_raises(recorded: tuple[CompletedRun, RecordingServer], name: str, text: str, size: int) -> None:
    """What came before the exception went out: it is recorded with its size, and said to be a part."""
    run, _ = recorded
    [entry] = run.of(f"/echo/broken-{name}")
    post_data = entry["request"]["postData"]
    state = "partial" if size else "unread"
    assert (text, state, size) == (post_data["text"], post_data["_bodyState"], entry["request"]["bodySize"])
    assert "LookupError" in entry["response"]["_error"]


def test_a_body_that_nobody_reads(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where the server answers and leaves, what the client had given until then is a part of unknown size."""
    with EarlyServer() as server:
        run = run_instrumented_program(
            server,
            tmp_path_factory.mktemp("early"),
            f"""{HEAD}
    import itertools
    def endless():
        yield b'first piece.'
        wait('leaving /leave')
        for _ in itertools.count():
            yield b'another one.'
    attempt('/leave', data=endless())
    attempt('/duplex', data=(piece for piece in [b'one ', b'two']))
    attempt('/expect/417', data=b'', headers={{'Expect': '100-continue'}})
    """,
        )
        assert (0, "") == (run.returncode, run.stderr)
        refused, duplex, _ = run.entries
        post_data = refused["request"]["postData"]
        assert (413 if REQUESTS_SENDS_ANY_PIECE else 0, "partial", -1) == (
            refused["response"]["status"],
            post_data["_bodyState"],
            refused["request"]["bodySize"],
        )
        assert post_data["text"].startswith("first piece.another one.")
        _assert_exact(duplex, server, 1)


FORMS_PROGRAM = """
    import requests
    from harness import BASE
    requests.post(BASE + '/echo/text', data={'a': 'ü'}, files={'f': ('ü.txt', 'Größe', 'text/plain')})
    requests.post(BASE + '/echo/binary', data={'a': 'ü'}, files={'f': ('a.bin', bytes(range(256)), 'image/png')})
    requests.post(BASE + '/echo/urlencoded', data=[('a', '1 2'), ('a', 'ü')])
"""
FIELD = {"name": "a", "value": "ü"}
TEXT_FILE = {"name": "f", "value": "Größe", "fileName": "ü.txt", "contentType": "text/plain"}
BINARY_FILE = {
    "name": "f",
    "value": base64.b64encode(bytes(range(256))).decode(),
    "_encoding": "base64",
    "fileName": "a.bin",
    "contentType": "image/png",
}
PAIRS = [{"name": "a", "value": "1 2"}, {"name": "a", "value": "ü"}]


@pytest.mark.parametrize(
    ("options", "params"),
    [
        ((), [None, [FIELD, BINARY_FILE], None]),
        (("--har_params", "always"), [[FIELD, TEXT_FILE], [FIELD, BINARY_FILE], PAIRS]),
        (("--har_params", "never"), [None, None, None]),
    ],
)
def test_params(run_instrumented: InstrumentedRunner, options: tuple[str, ...], params: list[Any]) -> None:
    """By default a multipart form in base64 has its fields beside it; with the option every form, or none."""
    run = run_instrumented(FORMS_PROGRAM, *options)
    assert (0, "") == (run.returncode, run.stderr)
    assert params == [entry["request"]["postData"].get("params") for entry in run.entries]
    assert [None, "base64", None] == [entry["request"]["postData"].get("encoding") for entry in run.entries]


def test_params_of_a_cut_body(run_instrumented: InstrumentedRunner) -> None:
    """Of a body over the limit the fields that are whole are there, and it says so."""
    run = run_instrumented(FORMS_PROGRAM, "--har_params", "always", "--har_max_body_bytes", "200")
    text, binary, _ = [entry["request"]["postData"] for entry in run.entries]
    assert [[FIELD], [FIELD]] == [text["params"], binary["params"]]
    assert ["truncated"] * 2 == [text["_bodyState"], binary["_bodyState"]]
    assert text["comment"].endswith("bytes; params has the fields that are whole")
