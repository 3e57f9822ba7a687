"""Programs that ask odd servers with requests: each entry against the server's record, each run against a plain one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from servers.comparison import body_of, pairs
from servers.odd_answers import BODIES, BREAKS, HEADERS, ODD_ANSWERS, REFUSED, STATUS_LINES
from servers.odd_entries import ODD_ARGS, STRICT, TEXTS, WAYS, OddRuns
from servers.odd_routes import SEEN_BYTES
from servers.releases import URLLIB3_DECODES_X_GZIP, URLLIB3_MISSES_BYTES
from servers.rude import RUDE, rude_servers
from servers.transparency import both_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

# What requests takes for no answer at all, and says so.
NO_ANSWER = {
    "lengths-differ", "huge-line", "too-many-headers", "status-text", "status-long", "version-unknown", "version-none",
    "closed-before-status-line", "closed-in-status-line", "closed-after-interim", "reset-before-status-line",
    "reset-in-status-line", "reset-after-status-line", "reset-in-headers", "reset-after-interim",
}  # fmt: skip
# What breaks off, or cannot be decoded, behind its head.
BROKEN = {
    "coding-false", "coding-false-br", "chunk-size-text", "204-chunked", "reset-in-trailers",
    *(f"{ending}-{phase}" for ending in ("closed", "reset") for phase in (
        "before-body", "in-body", "in-gzip", "before-chunk", "in-chunk-size", "in-chunk", "before-last-chunk",
    )),
}  # fmt: skip
# http.client takes every 1xx but 100 for the answer, and ends the header fields where a line is none.
OTHERWISE = {"early-hints", "processing", "no-colon", "closed-in-headers", "closed-after-status-line", "coding-cut"}
OTHERWISE |= set() if URLLIB3_DECODES_X_GZIP else {"coding-x-gzip"}
UNNOTICED = set() if URLLIB3_MISSES_BYTES else {"closed-before-body", "closed-in-body", "closed-in-gzip"}
WHOLE = [name for name in ODD_ANSWERS if name not in NO_ANSWER | BROKEN | OTHERWISE]

PROGRAM = """
import sys, requests
from harness import BASE
def facts(response):
    raw = response.raw
    print(response.status_code, ascii(response.reason), raw.version, list(raw.headers.items()), response.url)
    print(raw._original_response.msg.items(), response.cookies.items(), response.encoding, response.elapsed is None)
    print([(hop.status_code, hop.url, hop.text) for hop in response.history])
def whole(session, *request):
    response = session.request(*request, timeout=10)
    facts(response)
    print(response.content, response.text, response.content is response.content, response.raw.closed)
def pieces(session, *request):
    with session.request(*request, stream=True, timeout=10) as response:
        facts(response)
        for piece in response.iter_content(70):
            print(piece)
        print('read', response.raw.closed)
def unread(session, *request):
    with session.request(*request, stream=True, timeout=10) as response:
        facts(response)
    print('left', response.raw.closed)
for argument in sys.argv[1:]:
    method, _, name = argument.partition(':')
    for way in whole, pieces, unread:
        print('--', name, way.__name__)
        with requests.Session() as session:
            try:
                way(session, method, f'{BASE}/odd/{name}?way={way.__name__}')
            except Exception as error:
                print(type(error).__module__, type(error).__qualname__, error, repr(error.__cause__))
                # OpenTelemetry's instrumentation keeps the exception in a frame of its traceback, and so the socket.
                error.__traceback__ = None
"""

INTERRUPTED_PROGRAM = """
import sys, requests
from harness import BASE, release, wait
class Body:
    def __init__(self, path):
        self.pieces = [b'0123456789', b'abcdefghij', b'ABCDEFGHIJ']
        self.path = path
    def __len__(self):
        return 30
    def read(self, size=-1):
        if len(self.pieces) == (3 if '/head-' in self.path else 2):
            wait('closed ' + self.path)
        return self.pieces.pop(0) if self.pieces else b''
def attempt(name, function):
    print('--', name, 'whole')
    try:
        print(function())
    except Exception as error:
        print(type(error).__module__, type(error).__qualname__, error, repr(error.__cause__))
        error.__traceback__ = None
for path in ('/interrupted/head-reset', '/interrupted/head-closed', '/interrupted/body-reset',
             '/interrupted/body-closed'):
    attempt(path, lambda: requests.post(f'{BASE}{path}?way=whole', data=Body(path), headers={'X-A': 'b'}, timeout=10))
for url in sys.argv[1:]:
    name, _, url = url.partition('=')
    attempt(name, lambda: requests.get(f'{url}/{name}', headers={'X-A': 'b'}, timeout=10))
for framing in ('unframed', 'length', 'chunked'):
    print('--', framing, 'whole')
    with requests.get(f'{BASE}/drip/{framing}?gate={framing}', stream=True, timeout=10) as response:
        pieces = response.iter_content(None) if framing == 'chunked' else response.iter_content(11)
        print('first', next(pieces))
        release(framing); release(framing)
        print('rest', b''.join(pieces))
"""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OddRuns]:
    """One program that has asked for every odd answer in every way."""
    with both_runs(tmp_path_factory.mktemp("odd"), PROGRAM, args=ODD_ARGS, python_options=STRICT) as runs:
        yield OddRuns(runs)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OddRuns]:
    """One program whose requests do not get through, and whose answers come piece by piece."""
    with rude_servers() as urls:
        args = [f"{name}={url}" for name, url in urls.items()]
        directory = tmp_path_factory.mktemp("interrupted")
        with both_runs(directory, INTERRUPTED_PROGRAM, args=args, python_options=STRICT) as runs:
            yield OddRuns(runs)


def test_odd_answers_are_the_same_with_and_without_recording(odd: OddRuns) -> None:
    """Results, exceptions, chunk boundaries and order are those of the plain run; no warning is added to it."""
    odd.runs.assert_no_difference()


def test_interruptions_are_the_same_with_and_without_recording(interrupted: OddRuns) -> None:
    """Exceptions are those of the plain run, and the first piece is there before the second is sent."""
    interrupted.runs.assert_no_difference()


def test_every_odd_answer_is_one_entry(odd: OddRuns) -> None:
    """As many entries as exchanges, in the order in which they were made."""
    assert [odd.runs.server.url(seen.request.target) for seen in odd.runs.server.exchanges] == [
        entry["request"]["url"] for entry in odd.runs.run.entries
    ]


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_the_request_is_recorded_whatever_the_answer(odd: OddRuns, name: str) -> None:
    """Method, URL, header fields and sizes of the request are those that the server saw."""
    for way in WAYS:
        odd.assert_same_request(f"/odd/{name}", way)


@pytest.mark.parametrize("name", WHOLE)
def test_an_odd_answer_is_recorded_byte_for_byte(odd: OddRuns, name: str) -> None:
    """Status line, header fields, sizes and body are those that the server sent."""
    for way in ("whole", "pieces"):
        odd.assert_same_answer(name, way, is_framing_told=True)


@pytest.mark.parametrize("name", WHOLE)
def test_an_odd_answer_that_is_not_read_has_its_head(odd: OddRuns, name: str) -> None:
    """What the program left unread is said to be unread, unless there was nothing to read."""
    odd.assert_same_head(name, "unread")
    content = odd.entry(f"/odd/{name}", "unread")["response"]["content"]
    is_redirect = name.startswith("redirect") and "without" not in name
    is_over = ODD_ANSWERS[name].wire in {b"", b"0\r\n\r\n"} and name not in {"unframed-empty", "chunked-empty"}
    assert (None if is_redirect or is_over else "unread") == content.get("_bodyState")


@pytest.mark.parametrize("name", TEXTS)
def test_an_odd_charset_is_text_or_bytes(odd: OddRuns, name: str) -> None:
    """Text in a charset that fits is its characters, everything else is bytes."""
    content = odd.entry(f"/odd/{name}", "whole")["response"]["content"]
    expected = ODD_ANSWERS[name].body if TEXTS[name] is None else TEXTS[name]
    assert (expected, "base64" if TEXTS[name] is None else None) == (body_of(content), content.get("encoding"))


@pytest.mark.parametrize("name", sorted(NO_ANSWER))
def test_what_is_no_answer_is_a_failure(odd: OddRuns, name: str) -> None:
    """Status 0, and the error is that which the program saw."""
    for way in WAYS:
        odd.assert_refused(odd.entry(f"/odd/{name}", way), name, way)


@pytest.mark.parametrize("name", sorted(UNNOTICED))
def test_what_the_client_does_not_miss_is_recorded_as_it_came(odd: OddRuns, name: str) -> None:
    """A body that is shorter than announced, and whole to the program: the entry has its size."""
    for way in ("whole", "pieces"):
        odd.assert_same_head(name, way)
        response = odd.entry(f"/odd/{name}", way)["response"]
        assert (None, len(ODD_ANSWERS[name].encoded)) == (response.get("_error"), response["bodySize"])


@pytest.mark.parametrize("name", sorted(BROKEN - UNNOTICED))
def test_what_breaks_off_has_its_head_and_the_error(odd: OddRuns, name: str) -> None:
    """Status and header fields that came, the body as far as the program got it, and the error that it saw."""
    is_reset = name.startswith("reset")  # urllib3 does not tell what came before
    for way in ("whole", "pieces"):
        odd.assert_broken(name, way, body_size=-1 if is_reset else len(ODD_ANSWERS[name].encoded))


@pytest.mark.parametrize(
    ("name", "status", "headers", "body"),
    [
        ("early-hints", (103, "Early Hints"), [("Link", "</style.css>")], ""),
        ("processing", (102, "Processing"), [], ""),
        ("no-colon", (200, "OK"), [("X-Before", "1")], "body"),
        ("closed-in-headers", (200, "OK"), [("X-One", "1")], ""),
        ("closed-after-status-line", (200, "OK"), [], ""),
    ],
)
def test_what_http_client_reads_otherwise_is_recorded_as_the_program_saw_it(
    odd: OddRuns, name: str, status: tuple[int, str], headers: list[tuple[str, str]], body: str
) -> None:
    """The program takes a 1xx for its answer and loses header fields behind a line that is none: so does the entry."""
    for way in ("whole", "pieces"):
        response = odd.entry(f"/odd/{name}", way)["response"]
        assert status == (response["status"], response["statusText"])
        assert (headers, body) == (pairs(response["headers"]), body_of(response["content"]))
        assert len(body) == response["bodySize"]


def test_a_cut_coding_is_recorded_as_far_as_it_goes(odd: OddRuns) -> None:
    """A compressed body that breaks off within its length: the program got a part without being told, and so it is."""
    response = odd.entry("/odd/coding-cut", "whole")["response"]
    whole = ODD_ANSWERS["coding-cut"]
    assert 0 < response["content"]["size"] < len(whole.body)
    assert whole.body.startswith(response["content"]["text"].encode())
    assert len(whole.encoded) == response["bodySize"]


def test_odd_cookies_are_recorded(odd: OddRuns) -> None:
    """Quotes, equals signs and commas in values, every form of date, Max-Age: as RFC 6265 reads them."""
    for way in WAYS:
        odd.assert_cookies(way)


def test_redirects_lead_where_they_say(odd: OddRuns) -> None:
    """The target of a Location in any encoding is absolute and percent-encoded; what is no redirect has none."""
    targets = {
        "redirect-utf-8": "/item/Gr%C3%B6%C3%9Fe?%C3%BC=1",
        "redirect-blank": "/item/a%20b",
        "redirect-fragment": "/item/a#part",
        "redirect-relative": "/item/r?a=1&b",
        "redirect-gzip": "/item/z",
    }
    for name, target in targets.items():
        entry = odd.entry(f"/odd/{name}", "whole")
        assert odd.runs.server.url(target) == entry["response"]["redirectURL"]
    for name in ("location-without-redirect", "redirect-without-location"):
        assert "" == odd.entry(f"/odd/{name}", "whole")["response"]["redirectURL"]


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_the_peer_is_known_whatever_the_answer(odd: OddRuns, name: str) -> None:
    """Address, port and identity of the connection are there, for redirects and failures too."""
    for way in WAYS:
        entry, server = odd.entry(f"/odd/{name}", way), odd.runs.server
        assert (server.host, server.port) == (entry.get("serverIPAddress"), entry.get("_serverPort"))
        assert entry["_connectionId"]


@pytest.mark.parametrize(
    "path", [f"/interrupted/{phase}-{end}" for phase in ("head", "body") for end in ("reset", "closed")]
)
def test_a_request_that_broke_is_recorded_as_far_as_it_was_sent(interrupted: OddRuns, path: str) -> None:
    """Head and error are there; of the body at least what the server has read, and no more than the program gave."""
    [entry] = interrupted.runs.run.of(path)
    [exchange] = interrupted.runs.server.of(path)
    interrupted.assert_refused(entry, path, "whole")
    assert [(name.decode(), value.decode()) for name, value in exchange.request.headers] == pairs(
        entry["request"]["headers"]
    )
    assert SEEN_BYTES * ("/body-" in path) == len(exchange.request.body)
    body = entry["request"].get("postData", {}).get("text", "")
    assert "0123456789abcdefghijABCDEFGHIJ".startswith(body)
    assert body.encode().startswith(exchange.request.body)


@pytest.mark.parametrize("name", RUDE)
def test_a_connection_that_broke_before_there_was_a_request_is_an_entry(interrupted: OddRuns, name: str) -> None:
    """Method, URL and the program's header fields are there, and the error that it saw."""
    [entry] = interrupted.runs.run.of(f"/{name}")
    interrupted.assert_refused(entry, name, "whole")
    assert "GET" == entry["request"]["method"]
    assert ("X-A", "b") in pairs(entry["request"]["headers"])


@pytest.mark.parametrize("framing", ["unframed", "length", "chunked"])
def test_an_answer_that_comes_piece_by_piece_is_whole(interrupted: OddRuns, framing: str) -> None:
    """However a slow body is framed, the entry has it whole."""
    [entry], [exchange] = interrupted.runs.run.of(f"/drip/{framing}"), interrupted.runs.server.of(f"/drip/{framing}")
    content = entry["response"]["content"]
    assert (None, exchange.response.body.decode()) == (content.get("_bodyState"), content["text"])
    assert len(exchange.response.body) == entry["response"]["bodySize"]


def test_every_odd_answer_is_held_to_something() -> None:
    """The groups of this module are the table, no more and no less."""
    assert set(ODD_ANSWERS) == NO_ANSWER | BROKEN | OTHERWISE | set(WHOLE)
    assert set(ODD_ANSWERS) == set(STATUS_LINES) | set(HEADERS) | set(BODIES) | set(REFUSED) | set(BREAKS)
