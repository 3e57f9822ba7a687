"""Answers that a test lays ready: `/canned/<name>` gives the one of that name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from servers.routes import ROUTES

if TYPE_CHECKING:
    from servers.routes import Call


@dataclass(frozen=True)
class Canned:
    """One answer.

    Attributes:
        body: What is sent, in one chunk if there are trailers.
        headers: Beside `Content-Length` or `Transfer-Encoding`.
        status: The status code.
        trailers: The fields behind a body in chunks.
    """

    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    status: int = 200
    trailers: tuple[tuple[str, str], ...] = ()


CANNED: dict[str, Canned] = {}
"""The answers by their names."""

_NOTHING = Canned(b"nothing is laid ready", status=404)


def canned(call: Call) -> None:
    """Give the answer that is laid ready; parameters of the path do not matter."""
    answer = CANNED.get(call.argument.partition(";")[0], _NOTHING)
    if not answer.trailers:
        call.reply(answer.body, answer.headers, status=answer.status)
        return
    call.head(answer.status, [*answer.headers, ("Transfer-Encoding", "chunked")])
    call.channel.send_body(answer.body, chunked=True)
    call.channel.send_last_chunk(answer.trailers)


ROUTES["canned"] = canned
