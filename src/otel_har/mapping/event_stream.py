"""Server-sent events: the bytes of a `text/event-stream` body to the messages that Chrome shows.

The rule is the WHATWG's, HTML 9.2.6, "interpreting an event stream": what an EventSource would have dispatched, in
order, and nothing that the end of the bytes cut off. The parsers on PyPI belong to clients: they read from a stream
of their own and do not say where in it an event ended, which is what tells when it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from otel_har.mapping.content_type import media_type

MEDIA_TYPE = "text/event-stream"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DEFAULT_NAME = "message"
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One dispatched event.

    Attributes:
        name: Its type; `message` where the stream names none.
        id: The last event id that the stream had set by then; `""` without one.
        data: Its data lines, joined with line feeds.
        end: How many bytes of the stream had come when it was complete.
    """

    name: str
    id: str
    data: str
    end: int


def is_event_stream(content_type: str) -> bool:
    """Whether a Content-Type says so, in any case and with any parameters."""
    return media_type(content_type) == MEDIA_TYPE


def server_sent_events(stream: bytes) -> Iterator[ServerSentEvent]:
    """The events that are complete in a stream, or in a prefix of one; of its lines one is held at a time."""
    position = len(_BYTE_ORDER_MARK) if stream.startswith(_BYTE_ORDER_MARK) else 0
    block = _Block()
    for line_end in _LINE_END.finditer(stream, position):
        if line_end.start() > position:
            block.take(stream[position : line_end.start()])
        else:
            event = block.dispatch(position + 1)  # a CR is an end, whether a LF follows or not
            if event is not None:
                yield event
        position = line_end.end()


@dataclass(slots=True)
class _Block:
    """The buffers of the standard's algorithm; `data` is None where no line of it has come."""

    name: str = ""
    last_id: str = ""
    data: bytearray | None = None

    def take(self, line: bytes) -> None:
        """Process a field; a line that begins with a colon is a comment, a field without a name."""
        name, _, octets = line.partition(b":")
        value = octets.removeprefix(b" ")
        if name == b"event":
            self.name = _text(value)
        elif name == b"data" and self.data is None:
            self.data = bytearray(value)
        elif name == b"data" and self.data is not None:
            self.data += b"\n" + value
        elif name == b"id" and b"\0" not in value:
            self.last_id = _text(value)

    def dispatch(self, end: int) -> ServerSentEvent | None:
        """An empty line ends the event; one without data is none. The id holds for the events to come."""
        name, data = self.name, self.data
        self.name, self.data = "", None
        return None if data is None else ServerSentEvent(name or _DEFAULT_NAME, self.last_id, _text(data), end)


def _text(octets: bytes | bytearray) -> str:
    """HTML 9.2.6: a stream is decoded as UTF-8, always. No error of a line reaches over the line feed behind it."""
    return octets.decode("utf-8", "replace")
