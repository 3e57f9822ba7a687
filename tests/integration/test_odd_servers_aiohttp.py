"""Programs that ask odd servers with aiohttp: each entry against the server's record, each run against a plain one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from servers.comparison import body_of, pairs
from servers.odd_answers import ODD_ANSWERS
from servers.odd_entries import ODD_ARGS, STRICT, TEXTS, WAYS, OddRuns
from servers.odd_routes import SEEN_BYTES
from servers.releases import AIOHTTP_COUNTS_CODED_BODIES, AIOHTTP_TRIES_AGAIN
from servers.rude import RUDE, rude_servers
from servers.transparency import both_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

# What aiohttp takes for no answer at all, and says so; some of it only when it has asked once more.
TRIED_AGAIN = {
    f"{ending}-{phase}" for ending in ("closed", "reset") for phase in (
        "before-status-line", "in-status-line", "after-status-line", "in-headers", "after-interim",
    )
}  # fmt: skip
NO_ANSWER = TRIED_AGAIN | {
    "two-lengths", "chunked-and-length", "length-text", "length-negative", "lengths-differ", "surplus",
    "chunk-size-text", "no-colon", "huge-line",  "status-text", "status-long", "version-unknown",
    "version-none",
}  # fmt: skip
# What breaks off, or cannot be decoded, behind its head.
BROKEN = {
    "coding-false", "coding-false-br",
    *(f"{ending}-{phase}" for ending in ("closed", "reset") for phase in (
        "before-body", "in-body", "in-gzip", "before-chunk", "in-chunk-size", "in-chunk", "before-last-chunk",
        "in-trailers",
    )),
}  # fmt: skip
# A redirect is followed without its body; the parser keeps the tab of a folded line.
OTHERWISE = {"redirect-gzip", "folded", "coding-cut"}
# Releases of aiohttp differ in what they take, and in whether they count what they decode.
BY_RELEASE = {"coding-members", "coding-garbage", "too-many-headers"}
BROKEN_CODED = {"coding-false", "coding-false-br", "closed-in-gzip", "reset-in-gzip"}
CODED_WITHOUT_LENGTH = {"unframed-gzip", "chunked-gzip"}
WHOLE = [name for name in ODD_ANSWERS if name not in NO_ANSWER | BROKEN | OTHERWISE | BY_RELEASE]

PROGRAM = """
import asyncio, sys, aiohttp
from harness import BASE
def facts(response):
    print(response.status, ascii(response.reason), response.version, response.raw_headers, response.url)
    print(response.headers, list(response.cookies.values()), response.charset, response.content_type)
    print([(hop.status, hop.url, hop.closed) for hop in response.history], response.connection is None)
async def whole(session, *request):
    async with session.request(*request) as response:
        facts(response)
        print(await response.read(), await response.read())
        print(response.content.at_eof(), response.content.exception())
        print(await response.text())
async def pieces(session, *request):
    async with session.request(*request) as response:
        facts(response)
        async for piece in response.content.iter_chunked(70):
            print(piece)
        print('read', response.content.at_eof())
async def unread(session, *request):
    async with session.request(*request) as response:
        facts(response)
    print('left', response.closed)
async def main():
    for argument in sys.argv[1:]:
        method, _, name = argument.partition(':')
        for way in whole, pieces, unread:
            print('--', name, way.__name__)
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
                try:
                    await way(session, method, f'{BASE}/odd/{name}?way={way.__name__}')
                except Exception as error:
                    print(type(error).__module__, type(error).__qualname__, error, repr(error.__cause__))
asyncio.run(main())
"""

INTERRUPTED_PROGRAM = """
import asyncio, sys, aiohttp
from harness import BASE, release
async def body():
    yield b'0123456789'
    await asyncio.Event().wait()  # whoever writes on may be told of the end in another way than the reader
async def attempt(name, ask):
    print('--', name, 'whole')
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            await ask(session)
    except Exception as error:
        print(type(error).__module__, type(error).__qualname__, error, repr(error.__cause__))
def post(path):
    async def ask(session):
        headers = {'X-A': 'b', 'Content-Length': '30'}
        url, expect100 = f'{BASE}{path}?way=whole', '/head-' in path
        async with session.post(url, data=body(), headers=headers, expect100=expect100) as response:
            print(await response.read())
    return ask
def get(url):
    async def ask(session):
        async with session.get(url, headers={'X-A': 'b'}) as response:
            print(await response.read())
    return ask
def drip(framing):
    async def ask(session):
        async with session.get(f'{BASE}/drip/{framing}?gate={framing}') as response:
            print('first', await response.content.readany())
            await asyncio.to_thread(release, framing)
            print('second', await response.content.readany())
            await asyncio.to_thread(release, framing)
            print('rest', await response.content.read())
    return ask
async def main():
    for path in ('/interrupted/head-reset', '/interrupted/head-closed', '/interrupted/body-reset',
                 '/interrupted/body-closed'):
        await attempt(path, post(path))
    for url in sys.argv[1:]:
        name, _, url = url.partition('=')
        await attempt(name, get(f'{url}/{name}'))
    for framing in ('unframed', 'length', 'chunked'):
        await attempt(framing, drip(framing))
asyncio.run(main())
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
    """Exceptions are those of the plain run, and each piece is there before the next one is sent."""
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
        is_wire_told = AIOHTTP_COUNTS_CODED_BODIES or name not in CODED_WITHOUT_LENGTH
        odd.assert_same_answer(name, way, is_framing_told=False, is_wire_told=is_wire_told)


@pytest.mark.parametrize("name", WHOLE)
def test_an_odd_answer_that_is_not_read_has_its_head(odd: OddRuns, name: str) -> None:
    """What the program left unread is said to be unread, unless there was nothing to read."""
    odd.assert_same_head(name, "unread")
    content = odd.entry(f"/odd/{name}", "unread")["response"]["content"]
    is_over = ODD_ANSWERS[name].wire == b"" and name != "unframed-empty"
    assert (None if is_over else "unread") == content.get("_bodyState")


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


@pytest.mark.parametrize("name", sorted(TRIED_AGAIN))
def test_what_is_tried_again_is_an_entry_for_each_trial(odd: OddRuns, name: str) -> None:
    """A connection that ends before the head is whole makes aiohttp ask once more: the first trial says so."""
    for way in WAYS:
        if not AIOHTTP_TRIES_AGAIN:
            odd.assert_refused(odd.entry(f"/odd/{name}", way), name, way)
            assert 1 == len(odd.entries(f"/odd/{name}", way))
            continue
        first, last = odd.entries(f"/odd/{name}", way)
        assert (0, 0) == (first["response"]["status"], last["response"]["status"])
        assert "no response was seen: the client sent the request again" == first["response"]["_error"]
        assert first["startedDateTime"] < last["startedDateTime"]


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_what_breaks_off_has_its_head_and_the_error(odd: OddRuns, name: str) -> None:
    """Status and header fields that came, the body as far as the program got it, and the error that it saw."""
    is_wire_told = AIOHTTP_COUNTS_CODED_BODIES or name not in BROKEN_CODED
    for way in ("whole", "pieces"):
        odd.assert_broken(name, way, body_size=len(ODD_ANSWERS[name].encoded) if is_wire_told else -1)


@pytest.mark.parametrize("name", sorted(BY_RELEASE))
def test_what_releases_read_differently_is_recorded_as_the_program_saw_it(odd: OddRuns, name: str) -> None:
    """The entry has the body that the program got, or the error."""
    response = odd.entry(f"/odd/{name}", "whole")["response"]
    if "_error" in response:
        odd.assert_said(response["_error"], name, "whole")
    else:
        odd.assert_same_head(name, "whole")
        assert repr(response["content"]["text"].encode()) in odd.said(name, "whole")


def test_pieces_before_the_break_are_recorded(odd: OddRuns) -> None:
    """What the program got of a body before it broke is in the entry."""
    for name in ("closed-in-body", "closed-in-chunk", "reset-in-body", "reset-in-chunk"):
        content = odd.entry(f"/odd/{name}", "pieces")["response"]["content"]
        assert ("partial", ODD_ANSWERS[name].body.decode()) == (content["_bodyState"], content["text"])


def test_a_followed_redirect_says_that_its_body_was_let_go(odd: OddRuns) -> None:
    """A redirect is followed without its body being read: head and target are there, the body is unread."""
    odd.assert_same_head("redirect-gzip", "whole")
    response = odd.entry("/odd/redirect-gzip", "whole")["response"]
    assert "unread" == response["content"]["_bodyState"]
    assert odd.runs.server.url("/item/z") == response["redirectURL"]


def test_a_folded_header_is_one_line(odd: OddRuns) -> None:
    """The value is unfolded; the tab that began a line is a tab, because that is what the parser leaves."""
    headers = pairs(odd.entry("/odd/folded", "whole")["response"]["headers"])
    assert [("X-Folded", "one two\tthree"), ("X-Next", "next")] == headers[:2]


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


# Where the answer and the end of the connection come together, aiohttp has let go of the socket before it tells.
PEER_MAY_BE_UNKNOWN = {name for name, answer in ODD_ANSWERS.items() if answer.ending == "closed"}


@pytest.mark.parametrize("name", [name for name in ODD_ANSWERS if name in NO_ANSWER])
def test_without_an_answer_the_peer_is_known_of_new_connections(odd: OddRuns, name: str) -> None:
    """The client shows a connection with its answer; Python tells of connecting; of a kept connection nobody does."""
    for way in WAYS:
        entry, server = odd.entry(f"/odd/{name}", way), odd.runs.server
        expected = (None, None) if entry["timings"]["connect"] == -1 else (server.host, server.port)
        assert expected == (entry.get("serverIPAddress"), entry.get("_serverPort"))


@pytest.mark.parametrize(
    "name", [name for name in ODD_ANSWERS if name not in PEER_MAY_BE_UNKNOWN | BY_RELEASE | set(NO_ANSWER)]
)
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
    """Head and error are there, and that part of the body which was sent."""
    [entry] = interrupted.runs.run.of(path)
    [exchange] = interrupted.runs.server.of(path)
    interrupted.assert_refused(entry, path, "whole")
    assert [(name.decode(), value.decode()) for name, value in exchange.request.headers] == pairs(
        entry["request"]["headers"]
    )
    assert SEEN_BYTES * ("/body-" in path) == len(exchange.request.body)
    body = body_of(entry["request"].get("postData", {"encoding": "base64"}))
    assert exchange.request.body == body


@pytest.mark.parametrize("name", RUDE)
def test_a_connection_that_broke_before_there_was_a_request_is_an_entry(interrupted: OddRuns, name: str) -> None:
    """Method, URL and the program's header fields are there, and the error that it saw."""
    *_, entry = interrupted.runs.run.of(f"/{name}")  # aiohttp may have tried twice
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
    assert set(ODD_ANSWERS) == NO_ANSWER | BROKEN | OTHERWISE | BY_RELEASE | set(WHOLE)
