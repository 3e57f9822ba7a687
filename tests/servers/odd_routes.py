"""The answers of `servers.odd_answers`, answers that come piece by piece, and breaking off while a request is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servers.odd_answers import ODD_ANSWERS
from servers.routes import CHUNKS, ROUTES, Call

if TYPE_CHECKING:
    from servers.channel import Channel
    from servers.gates import Gates
    from servers.records import SeenRequest

_INTERRUPTED = "/interrupted/"
SEEN_BYTES = 10
"""How much of a request's body is read before the connection is broken in it."""


def answer_oddly(call: Call) -> None:
    """`/odd/NAME`: send the answer of that name in one piece, once the gate of the query is released."""
    answer = ODD_ANSWERS[call.argument]
    call.pass_gate()
    call.channel.send_exactly(answer.interim, answer.head, answer.wire, encoded=answer.encoded, body=answer.body)
    if answer.ending == "reset":
        call.channel.reset()
    if answer.ending == "closed":
        call.channel.close()


def interrupt(request: SeenRequest, channel: Channel, gates: Gates) -> None:
    """`/interrupted/PHASE-ENDING`: break the connection when the head, or a part of the body, was read.

    Marks `arrived <path>` before, so that the program may go on sending into the broken connection afterwards, when
    `closed <path>` is marked.

    Raises:
        Disconnected: The connection is over.
    """
    if not request.path.startswith(_INTERRUPTED):
        return
    phase, _, ending = request.path.removeprefix(_INTERRUPTED).rpartition("-")
    if phase == "body":
        channel.read_part(request, SEEN_BYTES)
    gates.mark(f"arrived {request.path}")
    if ending == "reset":
        channel.reset()
    channel.close()


def drip(call: Call) -> None:
    """`/drip/FRAMING`: send the three chunks, each but the first only when its gate is released."""
    typed = ("Content-Type", "text/plain; charset=utf-8")
    chunked = call.argument == "chunked"
    if chunked:
        call.head(200, [typed, ("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")])
    elif call.argument == "length":
        call.head(200, [typed, ("Content-Length", str(sum(map(len, CHUNKS))))])
    else:
        call.head(200, [typed], version="1.0")
    for number, piece in enumerate(CHUNKS):
        if number:
            call.pass_gate()
        call.channel.send_body(piece, chunked=chunked)
    if chunked:
        call.channel.send_garbage(b"0\r\nX-Sum: 1\r\n\r\n")
    elif call.argument == "unframed":
        call.channel.close()


ROUTES["odd"] = answer_oddly
ROUTES["drip"] = drip
