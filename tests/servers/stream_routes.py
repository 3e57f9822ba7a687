"""The answers that are about how a body comes: event streams of every form, trailers, pieces behind gates."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from servers.channel import Disconnected
from servers.routes import CHUNKS, ROUTES, TEXT

if TYPE_CHECKING:
    from servers.routes import Call

TRAILERS = [("X-Checksum", "abc"), ("Server-Timing", "total;dur=1"), ("X-Checksum", "d e")]
"""The trailer fields of /trailers."""

EVENT_STREAMS: dict[str, tuple[str, tuple[bytes, ...], list[tuple[str, str, str]]]] = {
    "plain": (
        "text/event-stream",
        (b"event: greeting\ndata: hello\n\n", b"id: 2\ndata: bye\n\n", b"data\n\n"),
        [("greeting", "", "hello"), ("message", "2", "bye"), ("message", "2", "")],
    ),
    "crlf": (
        "Text/Event-Stream; charset=UTF-8",
        (b"data: a\r\ndata: b\r", b"\n\r\n", b"data:c\r\n\r\n"),
        [("message", "", "a\nb"), ("message", "", "c")],
    ),
    "cr": (
        "text/event-stream;x=y",
        (b"data: a\r\r", b"id\rdata:  b\r\r"),
        [("message", "", "a"), ("message", "", " b")],
    ),
    "comments": (
        "text/event-stream",
        (b"\xef\xbb\xbf: keep-alive\n\n", b"retry: 5\nfoo: bar\ndata: \xc3\xa4", b"\n\n:\n\nid: 1\n\n", b"data:x\n\n"),
        [("message", "", "ä"), ("message", "1", "x")],
    ),
    "unfinished": (
        "text/event-stream",
        (b"event: a\ndata: 1\n\n", b"event: b\n\nid: 7\ndata: 2\n\n", b"data: never"),
        [("a", "", "1"), ("message", "7", "2")],
    ),
    "silent": ("text/event-stream", (b": nothing\n\n", b"event: x\n\n"), []),
}
"""The streams of /events/<name>: Content-Type, pieces, and the events (name, id, data) that an EventSource gets."""


def events(call: Call) -> None:
    """Send an event stream, a chunk a piece, each but the first only when its gate is released."""
    content_type, pieces, _ = EVENT_STREAMS[call.argument.partition("/")[0]]
    call.head(200, [("Content-Type", content_type), ("Transfer-Encoding", "chunked")])
    for number, piece in enumerate(pieces):
        if number:
            call.pass_gate()
        call.channel.send_body(piece, chunked=True)
    call.channel.send_last_chunk()


def gzip_events(call: Call) -> None:
    """Send the plain event stream compressed, each piece so that it can be decoded when it comes."""
    compressor = zlib.compressobj(wbits=31)
    content_type, pieces, _ = EVENT_STREAMS["plain"]
    headers = [("Content-Type", content_type), ("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked")]
    call.head(200, headers)
    for number, piece in enumerate(pieces):
        if number:
            call.pass_gate()
        encoded = compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH)
        call.channel.send_body(encoded, body=piece, chunked=True)
    call.channel.send_body(compressor.flush(), body=b"", chunked=True)
    call.channel.send_last_chunk()


def trailers(call: Call) -> None:
    """Send chunks with extensions, and trailer fields behind them."""
    names = ", ".join(name for name, _ in TRAILERS)
    headers = [("Content-Type", "text/plain"), ("Trailer", names), ("Transfer-Encoding", "chunked")]
    call.head(200, headers)
    for piece in CHUNKS:
        call.channel.send_body(piece, chunked=True, extension=b';name="a value"')
    call.channel.send_last_chunk(TRAILERS)


def gzip_chunks(call: Call) -> None:
    """Send a compressed text in chunks of a few bytes, cut without regard to what they hold."""
    compressor = zlib.compressobj(wbits=31)
    encoded = compressor.compress(TEXT.encode()) + compressor.flush()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Encoding", "gzip")]
    call.head(200, [*headers, ("Transfer-Encoding", "chunked")])
    for start in range(0, len(encoded), 7):
        call.channel.send_body(encoded[start : start + 7], body=b"" if start else TEXT.encode(), chunked=True)
    call.channel.send_last_chunk()


def dribble(call: Call) -> None:
    """Send a body of known length in pieces, each but the first only when its gate is released."""
    call.head(200, [("Content-Type", "text/plain"), ("Content-Length", str(len(b"".join(CHUNKS))))])
    for number, piece in enumerate(CHUNKS):
        if number:
            call.pass_gate()
        call.channel.send_body(piece)


def many(call: Call) -> None:
    """Send so many chunks of one byte."""
    call.head(200, [("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked")])
    for number in range(int(call.argument or 3)):
        call.channel.send_body(b"%d" % (number % 10), chunked=True)
    call.channel.send_last_chunk()


def bad_chunks(call: Call) -> None:
    """Send a chunk, and then what is none."""
    call.head(200, [("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked")])
    call.channel.send_body(CHUNKS[0], chunked=True)
    call.channel.send_garbage(b"no size\r\n")
    raise Disconnected


def hang_chunks(call: Call) -> None:
    """Send a chunk, then nothing until the client goes away."""
    call.head(200, [("Content-Type", "text/plain"), ("Transfer-Encoding", "chunked")])
    call.channel.send_body(CHUNKS[0], chunked=True)
    call.channel.wait_for_end()


for route in (hang_chunks, bad_chunks, events, gzip_events, trailers, gzip_chunks, dribble, many):
    ROUTES[route.__name__.replace("_", "-")] = route
