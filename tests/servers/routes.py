"""The answers a recording server gives, chosen by the first segment of the path.

A route that waits takes the name of its gate from the query (`/stream?gate=a`); without one it does not wait.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import brotli  # type: ignore[import-untyped]  # Brotli ships no annotations

from servers.channel import Disconnected
from servers.more_routes import MORE_ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from servers.channel import Channel
    from servers.gates import Gates
    from servers.records import SeenRequest

TEXT = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. " * 20
"""The text of every compressed route: long enough to shrink, with letters outside ASCII."""

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff\xfe\x00\x01"
"""Bytes that are no text in UTF-8."""

CHUNKS = (b"first line\n", b"second line\n", b"third line\n")
"""The pieces of /stream, one chunk each."""

EVENTS = (b"event: greeting\ndata: hello\n\n", b"id: 2\ndata: bye\n\n")
"""The events of /sse, one chunk each."""

_BODILESS_STATUS = (204, 304)
_REASONS = {200: "OK", 201: "Created", 204: "No Content", 302: "Found", 304: "Not Modified", 307: "Temporary Redirect"}
_REASONS |= {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    418: "I'm a Teapot",
    500: "Internal Server Error",
}

Header = tuple[str, "str | bytes"]


@dataclass(slots=True)
class Call:
    """One request being answered: what was asked, and the means to answer."""

    request: SeenRequest
    argument: str
    query: dict[str, str]
    channel: Channel
    gates: Gates
    scheme: str

    def head(self, status: int, headers: Sequence[Header], *, reason: str | None = None, version: str = "1.1") -> None:
        """Send a status line and headers."""
        phrase = _REASONS.get(status, "Status") if reason is None else reason
        self.channel.send_head(f"HTTP/{version} {status} {phrase}", headers)

    def reply(  # noqa: PLR0913 - an answer has this many parts
        self,
        body: bytes = b"",
        headers: Sequence[Header] = (),
        *,
        status: int = 200,
        encoded: bytes | None = None,
        reason: str | None = None,
        version: str = "1.1",
    ) -> None:
        """Send a whole answer of known length."""
        wire = body if encoded is None else encoded
        length = () if status in _BODILESS_STATUS else (("Content-Length", str(len(wire))),)
        self.head(status, [*headers, *length], reason=reason, version=version)
        if self.request.method != "HEAD" and status not in _BODILESS_STATUS:
            self.channel.send_body(wire, body=body)
        self.channel.flush()

    def pass_gate(self) -> None:
        """Wait at the gate which the query names.

        Raises:
            Disconnected: Nobody released it in time: the client sees a broken answer.
        """
        if "gate" in self.query and not self.gates.enter(self.query["gate"]):
            raise Disconnected


ROUTES: dict[str, Callable[[Call], None]] = {**MORE_ROUTES}


def _route(function: Callable[[Call], None]) -> Callable[[Call], None]:
    ROUTES[function.__name__.strip("_").replace("_", "-")] = function
    return function


def answer(request: SeenRequest, channel: Channel, gates: Gates, scheme: str) -> None:
    """Answer one request.

    Raises:
        Disconnected: The connection is over.
    """
    _, _, query = request.target.partition("?")
    name, _, argument = urlsplit(request.path).path.removeprefix("/").partition("/")  # a proxy is asked for a whole URL
    call = Call(request, argument, dict(parse_qsl(query)), channel, gates, scheme)
    ROUTES.get(name, _missing)(call)


def _missing(call: Call) -> None:
    call.reply(b"no such route", [("Content-Type", "text/plain")], status=404)


@_route
def echo(call: Call) -> None:
    """Describe the request as JSON: method, target, headers as pairs, body as latin-1 text."""
    request = call.request
    seen = {
        "method": request.method,
        "target": request.target,
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers],
        "body": request.body.decode("latin-1"),
    }
    call.reply(json.dumps(seen).encode(), [("Content-Type", "application/json")])


@_route
def _json(call: Call) -> None:
    call.reply('{"name": "Jürgen", "ok": true}'.encode(), [("Content-Type", "application/json; charset=utf-8")])


@_route
def _bytes(call: Call) -> None:
    size_bytes = int(call.argument)
    body = (bytes(range(256)) * (size_bytes // 256 + 1))[:size_bytes]
    call.reply(body, [("Content-Type", "application/octet-stream")])


@_route
def item(call: Call) -> None:
    """Answer with the path, so that every answer of a load is another one."""
    call.reply(f"item {call.request.target}".encode(), [("Content-Type", "text/plain; charset=utf-8")])


def _reply_encoded(call: Call, coding: str, encoded: bytes) -> None:
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Encoding", coding)]
    call.reply(TEXT.encode(), headers, encoded=encoded)


@_route
def _gzip(call: Call) -> None:
    _reply_encoded(call, "gzip", gzip.compress(TEXT.encode(), mtime=0))


@_route
def deflate(call: Call) -> None:
    """Answer with a zlib-wrapped body, which is what `deflate` means."""
    _reply_encoded(call, "deflate", zlib.compress(TEXT.encode()))


@_route
def br(call: Call) -> None:
    """Answer with a Brotli body."""
    _reply_encoded(call, "br", brotli.compress(TEXT.encode()))


@_route
def bad_gzip(call: Call) -> None:
    """Promise gzip and send something else."""
    call.reply(b"this is not gzip", [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")])


@_route
def latin1(call: Call) -> None:
    """Answer with text that is not UTF-8 and says so."""
    call.reply("Käse, Größe".encode("latin-1"), [("Content-Type", "text/plain; charset=iso-8859-1")])


@_route
def potato(call: Call) -> None:
    """Answer with a charset that does not exist."""
    call.reply("Käse".encode("latin-1"), [("Content-Type", "text/plain; charset=potato")])


@_route
def binary(call: Call) -> None:
    """Answer with an image."""
    call.reply(PNG, [("Content-Type", "image/png")])


@_route
def status(call: Call) -> None:
    """Answer with the status of the path, and a body where one is allowed."""
    call.reply(f"status {call.argument}".encode(), [("Content-Type", "text/plain")], status=int(call.argument))


@_route
def redirect(call: Call) -> None:
    """Redirect N times, with a body, relatively; then answer."""
    hops = int(call.argument)
    if hops:
        call.reply(f"{hops} to go".encode(), [("Location", f"/redirect/{hops - 1}")], status=302)
    else:
        call.reply(b"arrived", [("Content-Type", "text/plain")])


@_route
def redirect_307(call: Call) -> None:
    """Redirect N times keeping method and body; then say what body arrived."""
    hops = int(call.argument or 1)
    if hops:
        call.reply(b"", [("Location", f"/redirect-307/{hops - 1}")], status=307)
    else:
        call.reply(b"got " + call.request.body, [("Content-Type", "text/plain")])


@_route
def set_cookies(call: Call) -> None:
    """Set cookies of every form."""
    headers = [
        ("Set-Cookie", "plain=1; Path=/"),
        ("Set-Cookie", "session=a=b=c; Path=/; HttpOnly; Secure; SameSite=Lax"),
        ("Set-Cookie", "dated=x; Expires=Fri, 01 Jan 2038 00:00:00 GMT; Path=/"),
        ("Set-Cookie", 'quoted="a b"; Max-Age=3600; Path=/'),
        ("Content-Type", "text/plain"),
    ]
    call.reply(b"cookies", headers)


@_route
def duplicate_headers(call: Call) -> None:
    """Send headers of one name with another between them, in mixed case."""
    headers = [("X-Twice", "one"), ("X-Between", "middle"), ("x-twice", "two"), ("Content-Type", "Text/Plain")]
    call.reply(b"duplicates", headers)


def _send_gated(call: Call, mime_type: str, pieces: Sequence[bytes]) -> None:
    call.head(200, [("Content-Type", mime_type), ("Transfer-Encoding", "chunked")])
    for number, piece in enumerate(pieces):
        if number:
            call.pass_gate()
        call.channel.send_body(piece, chunked=True)
    call.channel.send_last_chunk()


@_route
def stream(call: Call) -> None:
    """Send three chunks, each but the first only when its gate is released."""
    _send_gated(call, "text/plain; charset=utf-8", CHUNKS)


@_route
def gzip_stream(call: Call) -> None:
    """Send a compressed body of known pieces, each but the first only when its gate is released."""
    compressor = zlib.compressobj(wbits=31)
    headers = [("Content-Type", "text/plain"), ("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked")]
    call.head(200, headers)
    for number, piece in enumerate(CHUNKS):
        if number:
            call.pass_gate()
        encoded = compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH)
        call.channel.send_body(encoded, body=piece, chunked=True)
    call.channel.send_body(compressor.flush(), body=b"", chunked=True)
    call.channel.send_last_chunk()


@_route
def sse(call: Call) -> None:
    """Send two server-sent events, the second only when its gate is released."""
    _send_gated(call, "text/event-stream", EVENTS)


@_route
def slow_headers(call: Call) -> None:
    """Answer only when the gate is released."""
    call.pass_gate()
    call.reply(b"at last", [("Content-Type", "text/plain")])


@_route
def reset(call: Call) -> None:
    """Reset the connection instead of answering."""
    call.channel.reset()


@_route
def hang_up(_call: Call) -> None:
    """Close the connection instead of answering."""
    raise Disconnected


@_route
def garbage(call: Call) -> None:
    """Answer with what is not HTTP."""
    call.channel.send_garbage(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    raise Disconnected


@_route
def reset_mid_body(call: Call) -> None:
    """Reset the connection once the client has had half of the body (and released the gate)."""
    call.head(200, [("Content-Type", "text/plain"), ("Content-Length", "20")])
    call.channel.send_body(b"ten bytes.")
    call.pass_gate()
    call.channel.reset()


@_route
def truncated(call: Call) -> None:
    """Promise more than is sent, then close."""
    call.head(200, [("Content-Type", "text/plain"), ("Content-Length", "100")])
    call.channel.send_body(b"only this much")
    raise Disconnected


@_route
def truncated_chunks(call: Call) -> None:
    """Close inside a chunked body."""
    call.head(200, [("Transfer-Encoding", "chunked")])
    call.channel.send_body(CHUNKS[0], chunked=True)
    raise Disconnected


@_route
def close(call: Call) -> None:
    """Answer and close, having said so."""
    call.reply(b"bye", [("Content-Type", "text/plain"), ("Connection", "close")])
    raise Disconnected


@_route
def http10(call: Call) -> None:
    """Answer in HTTP/1.0, the end of the connection being the end of the body."""
    call.head(200, [("Content-Type", "text/plain")], version="1.0")
    call.channel.send_body(b"ten")
    raise Disconnected


@_route
def no_reason(call: Call) -> None:
    """Answer with an empty reason phrase."""
    call.reply(b"terse", [("Content-Type", "text/plain")], reason="")


@_route
def split(call: Call) -> None:
    """Send head and body in two pieces; every other route sends the head with the beginning of the body."""
    call.head(200, [("Content-Type", "text/plain"), ("Content-Length", "8")])
    call.channel.flush()
    call.channel.send_body(b"in two. ")


@_route
def no_type(call: Call) -> None:
    """Answer without saying what it is."""
    call.reply(b"untyped")


@_route
def empty(call: Call) -> None:
    """Answer 204."""
    call.reply(status=204)


@_route
def hang(call: Call) -> None:
    """Send half of the body, then nothing until the client goes away."""
    call.head(200, [("Content-Type", "text/plain"), ("Content-Length", "20")])
    call.channel.send_body(b"ten bytes.")
    call.channel.wait_for_end()


@_route
def silence(call: Call) -> None:
    """Never answer."""
    call.channel.wait_for_end()


@_route
def digest(call: Call) -> None:
    """Ask for digest authentication, then be content with any."""
    if call.request.first("authorization").startswith("Digest "):
        call.reply(b"welcome", [("Content-Type", "text/plain")])
    else:
        challenge = 'Digest realm="test", nonce="0123456789abcdef", qop="auth", algorithm=MD5'
        call.reply(b"who?", [("WWW-Authenticate", challenge), ("Content-Type", "text/plain")], status=401)


@_route
def basic(call: Call) -> None:
    """Ask for basic authentication as user:secret."""
    wanted = "Basic " + base64.b64encode(b"user:secret").decode()
    if call.request.first("authorization") == wanted:
        call.reply(b"welcome", [("Content-Type", "text/plain")])
    else:
        call.reply(b"who?", [("WWW-Authenticate", 'Basic realm="test"')], status=401)
