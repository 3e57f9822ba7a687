"""What a recording server remembers of each exchange; bytes, because bytes are what a HAR file is compared with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Header = tuple[bytes, bytes]

_FOLD = re.compile(rb"[ \t]*\r?\n[ \t]+")
"""RFC 9112, 5.2: who receives a folded line reads it as one or more blanks."""


def parse_headers(lines: list[bytes]) -> list[Header]:
    """Split header lines into names and values, in order and with duplicates."""
    headers = []
    for line in lines:
        name, _, value = line.partition(b":")
        headers.append((name, value.strip(b" \t")))
    return headers


@dataclass(slots=True)
class SeenRequest:
    """One request as it arrived: `head` is all through the blank line, `body` has no transfer coding any more.

    `is_whole` says that the body came to its end.
    """

    head: bytes
    body: bytes = b""
    wire_body: bytes = b""
    is_whole: bool = False
    method: str = field(init=False)
    target: str = field(init=False)
    version: str = field(init=False)
    headers: list[Header] = field(init=False)

    def __post_init__(self) -> None:
        start, *lines = self.head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        self.method, self.target, self.version = start.decode("latin-1").split(" ", 2)
        self.headers = parse_headers(lines)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order; the name's case does not matter."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == wanted]

    def first(self, name: str, default: str = "") -> str:
        """The first value of a header."""
        return next(iter(self.all(name)), default)


@dataclass(slots=True)
class SentResponse:
    """One response as it was sent.

    `interim` is what came before it, answers of the kind 1xx; `wire` is the body with its transfer coding, `encoded`
    the body without transfer but with content coding, `body` the body without any coding. `upgraded` is what followed
    over a connection that became a WebSocket.
    """

    head: bytes = b""
    wire: bytes = b""
    encoded: bytes = b""
    body: bytes = b""
    interim: bytes = b""
    upgraded: bytes = b""

    @property
    def version(self) -> str:
        """The HTTP version of the status line."""
        return self._status_line[0]

    @property
    def status(self) -> int:
        """The status code; 0 when no head was sent."""
        return int(self._status_line[1] or 0)

    @property
    def reason(self) -> str:
        """The reason phrase, which may be empty: UTF-8 where it is valid UTF-8, else ISO 8859-1."""
        octets = self._status_line[2].encode("latin-1")
        try:
            return octets.decode()
        except UnicodeDecodeError:
            return octets.decode("latin-1")

    @property
    def headers(self) -> list[Header]:
        """The headers, in order and with duplicates."""
        unfolded = _FOLD.sub(b" ", self.head)
        return parse_headers([line for line in re.split(b"\r?\n", unfolded)[1:] if line])

    @property
    def has_length(self) -> bool:
        """Whether the head announces the size of the encoded body."""
        return any(name.lower() == b"content-length" for name, _ in self.headers)

    @property
    def _status_line(self) -> tuple[str, str, str]:
        version, _, rest = self.head.partition(b"\n")[0].rstrip(b"\r").decode("latin-1").partition(" ")
        status, _, reason = rest.partition(" ")
        return version, status, reason


@dataclass(frozen=True, slots=True)
class SeenMessage:
    """One message or control frame of a WebSocket: `send` is the client's, `receive` the server's."""

    type: str
    opcode: int
    data: bytes


@dataclass(slots=True)
class Exchange:
    """One request and its answer, with the number of the connection they went over.

    `messages` is what passed after the connection became a WebSocket, in the server's order.
    """

    connection: int
    client_port: int
    request: SeenRequest
    response: SentResponse = field(default_factory=SentResponse)
    messages: list[SeenMessage] = field(default_factory=list)
