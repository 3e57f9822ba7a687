"""The streaming reader: one entry at a time, of files as real producers write them."""

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from otel_har.errors import HarFormatError
from otel_har.har.models import Browser, Creator, Entry, Har
from otel_har.har.reader import HarReader, load

DATA = Path(__file__).parents[2] / "data" / "har"
VALID = (DATA / "valid.har").read_bytes()
ENTRY = {"startedDateTime": "2030-01-02T03:04:05Z", "request": {"method": "GET", "url": "https://a.test/"}}


def stream(**log: Any) -> io.BytesIO:
    """Return a document with a log of some members, in their order, as a stream."""
    return io.BytesIO(json.dumps({"log": log}).encode())


def test_entries_of_a_path_and_of_a_stream() -> None:
    """A path given as string or as Path and a stream of bytes are read alike."""
    expected = Har.model_validate(json.loads(VALID)).log.entries
    assert expected == tuple(HarReader(DATA / "valid.har"))
    assert expected == tuple(HarReader(str(DATA / "valid.har")))
    assert expected == tuple(HarReader(io.BytesIO(VALID)))


def test_load() -> None:
    """The whole document is the models', foreign members beside the log included."""
    document = {**json.loads(VALID), "_exportedBy": ["hand"]}
    assert Har.model_validate(document) == load(io.BytesIO(json.dumps(document).encode()))


def test_log_before_and_after_the_entries() -> None:
    """What stands before the entries is known at once, what stands after them when they are read."""
    with HarReader(DATA / "valid.har") as reader:
        assert Creator(name="otel-har", version="1.0", comment="written by hand") == reader.creator
        assert Browser(name="requests", version="2.32") == reader.browser
        assert ("1.2", (), None, {}) == (reader.version, reader.pages, reader.comment, dict(reader.extensions))
        complete = [reader.is_complete]
        assert ["GET", "POST", "GET"] == [entry.request.method for entry in reader]
        assert [False, True] == [*complete, reader.is_complete]
        assert ["trace-1", "trace-2"] == [page.id for page in reader.pages]
        assert "pages after the entries" == reader.comment
        assert {"_redaction": {"policy": "default"}} == dict(reader.extensions)


def test_pages_before_the_entries() -> None:
    """Pages that stand before the entries are known before them."""
    page = {"startedDateTime": "2030-01-02T03:04:05Z", "id": "p"}
    reader = HarReader(stream(pages=[page], entries=[ENTRY], creator={"name": "late"}))
    assert ["p"] == [one.id for one in reader.pages]
    assert "" == reader.creator.name
    assert 1 == len(list(reader))
    assert "late" == reader.creator.name


def test_asking_for_the_log_takes_no_entry() -> None:
    """The log can be asked for at any moment: iteration goes on where it was."""
    reader = HarReader(io.BytesIO(VALID))
    entries = iter(reader)
    methods = [next(entries).request.method]
    assert "otel-har" == reader.creator.name
    methods += [entry.request.method for entry in reader]
    assert ["GET", "POST", "GET"] == methods


def test_browser_export() -> None:
    """What browsers export is read, with their own fields as they are."""
    har = load(DATA / "browser-export.har")
    entry = har.log.entries[0]
    assert ("159834", None, "script") == (entry.connection, entry.response.error, entry.initiator["type"])
    assert {"_priority", "_initiator", "_resourceType"} == set(entry.extensions)
    assert {"_blocked_queueing": 3.293000045232475} == dict(entry.timings.extensions)


def test_proxy_export() -> None:
    """Numbers as strings, null, and absent parts are read."""
    har = load(DATA / "proxy-export.har")
    first, second = har.log.entries
    assert (107, 200, 68, 0.5) == (
        first.time,
        first.response.status,
        first.request.headers_size,
        first.request.body_size,
    )
    assert ("", "0", {"code": 7}) == (
        first.response.redirect_url,
        first.request.headers[0].value,
        first.response.error,
    )
    assert (0, "x-unknown") == (second.response.status, second.response.content.mime_type)
    assert {"_exportedBy": "hand"} == dict(har.extensions)


def test_robot_export() -> None:
    """Absent phases did not apply; messages of a WebSocket are kept."""
    entry = load(DATA / "robot-export.har").log.entries[0]
    assert (-1, -1, 12) == (entry.timings.ssl, entry.timings.send, entry.connection_id)
    assert ["client"] == [message["data"] for message in entry.extensions["_webSocketMessages"]]


@pytest.mark.parametrize("name", ["browser-export.har", "proxy-export.har", "robot-export.har", "valid.har"])
def test_exports_survive_being_written(name: str) -> None:
    """A file of any producer is the same after reading, writing and reading again."""
    har = load(DATA / name)
    assert har == load(io.BytesIO(har.to_json()))


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + VALID,
        b"\xff\xfe" + VALID.decode().encode("utf-16-le"),
        b"\xfe\xff" + VALID.decode().encode("utf-16-be"),
    ],
)
def test_byte_order_marks(data: bytes) -> None:
    """UTF-8 and UTF-16 with a byte order mark are read as what they are."""
    assert load(io.BytesIO(VALID)) == load(io.BytesIO(data))


def test_not_utf_8() -> None:
    """Bytes that are not UTF-8 become U+FFFD, as in browsers."""
    reader = HarReader(io.BytesIO(b'{"log": {"comment": "caf\xe9", "entries": []}}'))
    assert "caf\ufffd" == reader.comment


@pytest.mark.parametrize(
    ("escaped", "expected"),
    [
        (r"\ud83d\ude00", "😀"),
        (r"\ud83d", "\ufffd"),
        (r"\uDE00!", "\ufffd!"),
        (r"\ud83d\u0041", "\ufffdA"),
        (r"\ud83d\ud83d\ude00", "\ufffd😀"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\\ufffd"),
    ],
)
def test_lone_surrogates(escaped: str, expected: str) -> None:
    """Escaped lone surrogates become U+FFFD; pairs and escaped backslashes stay what they are."""
    assert expected == HarReader(io.BytesIO(f'{{"log": {{"comment": "{escaped}"}}}}'.encode())).comment


def test_numbers() -> None:
    """Integers are int whatever their size, other numbers float."""
    data = b'{"log": {"_numbers": [1, -0, 1.0, 1e3, 123456789012345678901234567890, 0.1]}}'
    numbers = HarReader(io.BytesIO(data)).extensions["_numbers"]
    assert repr([1, 0, 1.0, 1000.0, 123456789012345678901234567890, 0.1]) == repr(numbers)


@pytest.mark.parametrize("log", [{}, {"entries": None}, {"entries": []}, {"creator": None, "entries": []}])
def test_empty_logs(log: dict[str, Any]) -> None:
    """A log without entries, or without nearly anything, is an empty one."""
    assert () == load(stream(**log)).log.entries


def test_cut_off() -> None:
    """A file cut off yields the entries before the cut, then says where it ends."""
    reader = HarReader(io.BytesIO(VALID[: VALID.index(b'"queryString": []')]))
    entries = iter(reader)
    assert "https://shop.test/items?tag=a&tag=%C3%A9" == next(entries).request.url
    with pytest.raises(
        HarFormatError, match=r"^log\.entries\[1\]\.request\.headers: not JSON: it ends too early"
    ) as cut:
        next(entries)
    assert "log.entries[1].request.headers" == cut.value.place
    with pytest.raises(HarFormatError, match="ends too early"):
        list(reader)
    assert not reader.is_complete


@pytest.mark.parametrize("cut", range(0, len(VALID) - 1, 97))
def test_cut_anywhere(cut: int) -> None:
    """Wherever a file is cut off, it is our error, and no entry comes that is not whole."""
    expected = Har.model_validate(json.loads(VALID)).log.entries
    entries: list[Entry] = []
    with pytest.raises(HarFormatError):
        entries.extend(HarReader(io.BytesIO(VALID[:cut])))
    assert expected[: len(entries)] == tuple(entries)


def test_syntax_error_in_the_middle() -> None:
    """A syntax error yields the entries before it, then says where it is and what is there."""
    data = json.dumps({"log": {"entries": [ENTRY, {**ENTRY, "time": "TOKEN"}]}}).replace('"TOKEN"', "NaN").encode()
    entries = iter(HarReader(io.BytesIO(data)))
    assert "GET" == next(entries).request.method
    with pytest.raises(HarFormatError, match=r"^log\.entries\[1\]\.time: not JSON: .*NaN"):
        next(entries)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a HAR: there is nothing in it"),
        (b"<html></html>", "not JSON: .*<html>"),
        (b"[]", "not a HAR: expected an object, found an array"),
        (b'"log"', 'not a HAR: expected an object, found "log"'),
        (b"{}", "not a HAR: there is no log object"),
        (b'{"log": null}', "not a HAR: there is no log object"),
        (b'{"log": {"entries": {}}}', "log.entries: expected an array, found an object"),
        (b'{"log": {"entries": [7]}}', r"log\.entries\[0\]: input should be .* found 7"),
        (VALID + b"{}", "not JSON"),
        (b'{"log": {"_n": ' + b"9" * 5000 + b"}}", "^log._n: not JSON"),
        (b'{"log": {"_deep": ' + b"[" * 500 + b"]" * 500 + b"}}", "nested deeper than"),
    ],
)
def test_no_har(data: bytes, message: str) -> None:
    """What is no HAR is our error, and says what it is instead."""
    with pytest.raises(HarFormatError, match=message):
        load(io.BytesIO(data))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"startedDateTime": "2030-01-02T03:04:05Z"}, r"^log\.entries\[1\]\.request: is missing$"),
        ({**ENTRY, "time": "soon"}, r'^log\.entries\[1\]\.time: .*, found "soon"$'),
        (
            {**ENTRY, "request": {"headers": [{"name": [], "value": ""}]}},
            r"^log\.entries\[1\]\.request\.headers\[0\]\.name: .*, found an array$",
        ),
    ],
)
def test_entry_that_no_tolerance_helps(entry: dict[str, Any], message: str) -> None:
    """A part that cannot be read is told with its place and its value, after the entries before it."""
    entries = iter(HarReader(stream(entries=[ENTRY, entry, ENTRY])))
    assert "GET" == next(entries).request.method
    with pytest.raises(HarFormatError, match=message):
        next(entries)


def test_log_that_no_tolerance_helps() -> None:
    """The same holds for what stands outside of the entries."""
    with pytest.raises(HarFormatError, match=r"^log\.creator: .*found 5$"):
        load(stream(creator=5, entries=[]))


def test_missing_file(tmp_path: Path) -> None:
    """A file that cannot be opened is an error of the operating system, at once."""
    with pytest.raises(FileNotFoundError):
        HarReader(tmp_path / "no-such.har")


def test_text_stream() -> None:
    """A stream of text instead of bytes is a mistake of the caller, told at once."""
    with pytest.raises(TypeError, match="binary mode"):
        HarReader(io.StringIO("{}"))  # type: ignore[arg-type] # it is what the test is about


def test_streams_stay_open_and_files_are_closed() -> None:
    """What the caller opened stays open; closing twice is harmless."""
    data = io.BytesIO(VALID)
    with HarReader(data) as reader:
        list(reader)
    reader.close()
    assert not data.closed
    # A file left open would be a ResourceWarning, which is an error here.
    with HarReader(DATA / "valid.har") as reader:
        next(iter(reader))


def test_closed_reader() -> None:
    """A reader closed in the middle says so; one that was read to the end still knows the log."""
    with HarReader(DATA / "valid.har") as complete, HarReader(DATA / "valid.har") as partial:
        methods = [next(iter(partial)).request.method, *(entry.request.method for entry in complete)]
    assert ["GET", "GET", "POST", "GET"] == methods
    assert "otel-har" == complete.creator.name
    with pytest.raises(ValueError, match="closed"):
        next(iter(partial))


class Endless(io.RawIOBase):
    """A document of so many entries, made while it is read."""

    def __init__(self, count: int) -> None:
        super().__init__()
        entry = {**ENTRY, "response": {"content": {"size": 20_000, "text": "x" * 20_000}}}
        self._parts = iter([b'{"log":{"entries":[', *[json.dumps(entry).encode() + b","] * count, b"{}]}}"])

    def read(self, size: int = -1, /) -> bytes:
        """Return the next part, of whatever length."""
        del size
        return next(self._parts, b"")


def test_memory_is_bounded() -> None:
    """Memory does not grow with the number of entries: 20 MB are read in less than one."""
    reader = iter(HarReader(Endless(1000)))  # type: ignore[arg-type] # all that is read from is read()
    next(reader)
    tracemalloc.start()
    try:
        with pytest.raises(HarFormatError, match="is missing"):
            for _ in reader:
                pass
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1 << 20
