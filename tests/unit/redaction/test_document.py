"""Whole documents: what is redacted of them, and what stays byte for byte."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_har.errors import HarFormatError
from otel_har.export.file import FileHarExporter
from otel_har.export.interfaces import HarBatch
from otel_har.har.models import Entry, Page
from otel_har.redaction.document import RedactionReport, redact_document
from otel_har.redaction.policy import NO_REDACTION, Mode, RedactionPolicy
from otel_har.redaction.redactor import Redactor
from otel_har.redaction.search import SecretSearch

DATA = Path(__file__).parents[2] / "data" / "har"
SECRET = "s3cr3t-Passw0rd-9f"  # noqa: S105 - what the tests look for
TOLD = '"_redaction":{"policy":"default"}'


def redacted(document: bytes | str, policy: RedactionPolicy | None = None) -> tuple[str, RedactionReport]:
    """A document without its secrets."""
    target = io.BytesIO()
    source = io.BytesIO(document.encode() if isinstance(document, str) else document)
    report = redact_document(source, target, Redactor(policy or RedactionPolicy()))
    return target.getvalue().decode(), report


@pytest.mark.parametrize("path", sorted(DATA.glob("*.har")), ids=lambda path: path.name)
@pytest.mark.parametrize("mode", ["default", "strict"])
def test_files_of_producers(path: Path, mode: str) -> None:
    """Files stay what they are but for their secrets, and redacted again they are the same."""
    policy = RedactionPolicy("strict" if mode == "strict" else "default")
    document = path.read_bytes()
    once, report = redacted(document, policy)
    before, after = json.loads(document)["log"], json.loads(once)["log"]
    assert {"policy": mode} == after.pop("_redaction")
    before.pop("_redaction", None)
    assert [*before] == [*after]
    assert report.entries == len(before["entries"]) == len(after["entries"])
    assert report.changed == sum(one != other for one, other in zip(before["entries"], after["entries"], strict=True))
    assert (once, 0, {}) == ((again := redacted(once, policy))[0], again[1].changed, again[1].rules)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ('{"log":{}}', f'{{"log":{{{TOLD}}}}}'),
        ('{"log": { "entries" : [ ] } }\n', f'{{"log": {{ "entries" : [ ],{TOLD} }} }}\n'),
        (
            '{\n  "log": {\n    "version": "1.2",\n    "entries": []\n  }\n}',
            '{\n  "log": {\n    "version": "1.2",\n    "entries": [],\n    "_redaction": {"policy":"default"}\n  }\n}',
        ),
        (
            '{"log":{"_redaction":{"policy":"none","by":1.50},"entries":[1, null , "x"]},"_x":12345678901234567890.10}',
            '{"log":{"_redaction":{"policy":"default"},"entries":[1, null , "x"]},"_x":12345678901234567890.10}',
        ),
        ('{"log":{"_redaction":{"policy":"strict"}}}', '{"log":{"_redaction":{"policy":"strict"}}}'),
        ('{"log":{"_redaction":5,"a":1}}', '{"log":{"_redaction":{"policy":"default"},"a":1}}'),
    ],
)
def test_where_it_is_told(document: str, expected: str) -> None:
    """The log tells which policy ran, once, behind what it has, and everything else stays byte for byte."""
    assert expected == redacted(document)[0]


def test_every_member() -> None:
    """What the log and the document have beside entries loses its secrets too; numbers and blanks stay."""
    document = f"""{{"_note": "password={SECRET}", "log": {{
        "creator": {{"name": "x", "version": "1.10", "n": 1.10}},
        "pages": [{{"id": "p", "title": "https://h.test/?access_token={SECRET}", "_n": 1e400}}],
        "comment": "Authorization: Bearer {SECRET}",
        "_custom": {{"deep": [{{"clientSecret": "{SECRET}"}}]}},
        "entries": [ {{"request": {{"url": "https://h.test/", "_n": 9007199254740993.0}}}} , {{}} ]
    }}}}"""
    after, report = redacted(document)
    assert SECRET not in after
    assert document.replace(f"={SECRET}", "=[REDACTED]").replace(SECRET, "[REDACTED]") == after.replace(
        f",\n        {TOLD.replace(':', ': ', 1)}", ""
    ).replace("%5BREDACTED%5D", "[REDACTED]")
    assert (2, 0) == (report.entries, report.changed)
    assert {"text: field": 3, "text: url-parameter": 1, "text: bearer": 1, "field": 1} == report.rules


def test_a_secret_of_one_entry() -> None:
    """An entry that is changed keeps its numbers and its layout, and tells so behind its members."""
    entry = f'{{ "time": 1.10,\n "request": {{"headers": [ {{"name": "X-Api-Key", "value": "{SECRET}"}} ]}} }}'
    after, report = redacted(f'{{"log": {{"entries": [{{"time": 1.10}},\n{entry}]}}}}')
    told = ', "_redaction": {"policy":"default","rules":["header"]} }'
    assert entry.replace(SECRET, "[REDACTED]")[:-2] + told in after
    assert (2, 1, {"header": 1}) == (report.entries, report.changed, report.rules)


def test_no_redaction() -> None:
    """Without redaction a document stays what it is, and tells that."""
    document = f'{{"log":{{"entries":[{{"password":"{SECRET}"}}]}}}}'
    assert document.replace("]}}", "]" + ',"_redaction":{"policy":"none"}}}') == redacted(document, NO_REDACTION)[0]


def test_encodings() -> None:
    """A byte order mark goes, UTF-16 becomes UTF-8, half a character a whole one."""
    document = '{"log":{"comment":"é\\ud83d","entries":[]}}'
    expected = document.replace("\\ud83d", "\\ufffd").replace("[]", f"[],{TOLD}")
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert expected == redacted(document.encode(encoding))[0]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "not a HAR: there is nothing in it"),
        ("[]", "not a HAR: there is no object in it"),
        ("{}", "not a HAR: there is no log object"),
        ('{"log":[]}', "not a HAR: there is no log object"),
        ('{"log":{}} x', "not JSON: there is something behind its end"),
        ('{"log":{"entries":[{"a":1},{"b', "log.entries[1]: it ends too early, after 30 bytes"),
        ('{"log":{"entries":[{"a":NaN}]}}', "log.entries[0]: not JSON: there is no NaN in it"),
        ('{"log":{"entries":[{"a":1} {"b":1}]}}', "log.entries[0]: not JSON, at byte 27"),
        ('{"log":{"pages":[1 2]}}', "log.pages: not JSON, at byte 19"),
        ('{"log":{"entries":[], "a" 1}}', "log.a: not JSON, at byte 26"),
        ('{"log":{"entries":[' + "[" * 500 + "]" * 500 + "]}}", "log.entries[0]: nested deeper than 400 levels"),
    ],
)
def test_what_is_no_har(document: str, message: str) -> None:
    """What is no HAR, or not to its end, is told with its place."""
    with pytest.raises(HarFormatError) as caught:
        redacted(document)
    assert message == str(caught.value)


def _recorded(path: Path, *urls: str, append: bool = False, indent: int | None = None) -> None:
    exporter = FileHarExporter(path, indent, append=append)
    start = "2030-01-02T03:04:05.678Z"
    page = Page(started_date_time=start, id="p", title="t")
    entries = [
        Entry.model_validate({"startedDateTime": start, "pageref": "p", "request": {"url": url}, "response": {}})
        for url in urls
    ]
    exporter.export(HarBatch((page,), entries))
    exporter.shutdown()


@pytest.mark.parametrize("mode", ["default", "strict"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_recording_that_is_redacted_already(tmp_path: Path, mode: Mode, indent: int | None) -> None:
    """Redacted by the same policy again, a recording of our own stays the same, byte for byte."""
    path = tmp_path / "out.har"
    redactor = Redactor(RedactionPolicy(mode))
    entry = {
        "startedDateTime": "2030-01-02T03:04:05.678Z",
        "request": {
            "url": f"https://h.test/?access_token={SECRET}&n=1",
            "headers": [{"name": "X-Api-Key", "value": SECRET}],
            "postData": {"mimeType": "application/json", "text": f'{{"password": "{SECRET}"}}'},
        },
        "response": {"content": {"mimeType": "text/plain", "text": f"token={SECRET}"}},
    }
    exporter = FileHarExporter(path, indent=indent)
    exporter.export(HarBatch((), [Entry.model_validate(redactor.entry(entry))], redaction=redactor.told))
    exporter.shutdown()
    before = path.read_bytes()
    after = io.BytesIO()
    report = redact_document(io.BytesIO(before), after, redactor)
    assert (1, 0, before) == (report.entries, report.changed, after.getvalue())
    assert {"policy": mode} == json.loads(before)["log"]["_redaction"]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("entries", [0, 2])
def test_a_recording_goes_on(tmp_path: Path, indent: int | None, entries: int) -> None:
    """A recording that was redacted can be gone on with: it tells where its entries end now."""
    path = tmp_path / "out.har"
    _recorded(path, *[f"https://h.test/?access_token={SECRET}"] * entries, indent=indent)
    document, _ = redacted(path.read_bytes())
    path.write_text(document)
    log = json.loads(document)["log"]
    assert ["_redaction", "_otel_har"] == [*log][-2:]
    assert document.encode()[: log["_otel_har"]["entriesEnd"]].decode().endswith("}" if entries else "[")
    _recorded(path, "https://h.test/more", append=True, indent=indent)
    after = json.loads(path.read_text())["log"]
    assert entries + 1 == len(after["entries"]) == after["_otel_har"]["statistics"]["entries"]
    assert (log["entries"], log["_otel_har"]["recording"]) == (after["entries"][:-1], after["_otel_har"]["recording"])


class _Endless(io.RawIOBase):
    """A large document that nobody holds."""

    def __init__(self, entries: int) -> None:
        self._parts = self._document(entries)
        self._rest = b""

    @staticmethod
    def _document(entries: int) -> Iterator[bytes]:
        entry = json.dumps({"request": {"headers": [{"name": "X-Api-Key", "value": SECRET}]}, "_": "x " * 25_000})
        yield b'{"log":{"entries":['
        for index in range(entries):
            yield (b"," if index else b"") + entry.encode()
        yield b"]}}"

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        while len(self._rest) < size and (more := next(self._parts, b"")):
            self._rest += more
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


class _Nowhere:
    written = 0

    def write(self, data: bytes) -> None:
        """Count."""
        self.written += len(data)


def test_memory() -> None:
    """Memory is for an entry, however large the document is."""
    target, redactor = _Nowhere(), Redactor()
    tracemalloc.start()
    try:
        report = redact_document(_Endless(400), target, redactor)  # type: ignore[arg-type] # it reads
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (400, 400) == (report.entries, report.changed)
    assert target.written > 20_000_000
    assert peak < 4_000_000


def _search(document: str, policy: RedactionPolicy | None = None) -> list[tuple[str, str]]:
    search = SecretSearch(io.BytesIO(document.encode()), Redactor(policy or RedactionPolicy()))
    return [(fault.place, fault.message) for fault in search]


def test_search() -> None:
    """Each place has the rules that find something there, or that it was found elsewhere; never the value."""
    document = json.dumps(
        {
            "_x.y": {"password": SECRET},
            "log": {
                "comment": "plain",
                "pages": [{"title": f"token={SECRET}"}],
                "entries": [
                    {"request": {"url": "https://h.test/"}},
                    {
                        "request": {
                            "url": f"https://h.test/?api_key={SECRET}",
                            "headers": [
                                {"name": "Accept", "value": "*/*"},
                                {"name": "Cookie", "value": f"a={SECRET}"},
                                {"name": "X-Odd", "value": f"odd {SECRET}"},
                            ],
                            "postData": {"mimeType": "application/json", "text": f'{{"pin": "{SECRET}"}}'},
                        },
                        "_": [f"odd {SECRET}"],
                    },
                ],
            },
        }
    )
    found = _search(document)
    assert [
        '["_x.y"].password',
        "log.pages[0].title",
        "log.entries[1].request.url",
        "log.entries[1].request.headers[1].value",
        "log.entries[1].request.headers[2].value",
        "log.entries[1].request.postData.text",
        "log.entries[1]._[0]",
    ] == [place for place, _ in found]
    assert ["looks secret (again)"] * 2 == [found[4][1], found[6][1]]
    assert "looks secret (field)" == found[0][1]
    assert "looks secret (header: cookie)" == found[3][1]
    assert SECRET not in repr(found)
    assert [] == _search(redacted(document)[0])
    assert [] == _search(document.replace(SECRET, "[REDACTED]"))


def test_search_by_names() -> None:
    """What is kept is not found, a further name is."""
    document = (
        '{"log":{"entries":[{"request":{"headers":[{"name":"X-Api-Key","value":"v"},{"name":"B","value":"w"}]}}]}}'
    )
    places = [place for place, _ in _search(document, RedactionPolicy(headers=("b",), keep=("x-api-key",)))]
    assert ["log.entries[0].request.headers[1].value"] == places


def test_search_in_what_ends_early() -> None:
    """What was found before the end of a broken document is delivered."""
    search = iter(SecretSearch(io.BytesIO(b'{"log":{"comment":"password=abcdef","entries":[{'), Redactor()))
    assert "log.comment" == next(search).place
    with pytest.raises(HarFormatError, match="it ends too early"):
        next(search)
