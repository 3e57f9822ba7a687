"""Server-sent events: the bytes of a `text/event-stream` body to the messages that Chrome shows.

The rule is the WHATWG's, HTML 9.2.6, "interpreting an event stream": what an EventSource would have dispatched, in
order, and nothing that the end of the bytes cut off. The parsers on PyPI belong to clients: they read from a stream
of their own and do not say where in it an event ended, which is what tells when it came.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

MEDIA_TYPE = "text/event-stream"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DEFAULT_NAME = "message"


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
    return content_type.partition(";")[0].strip().lower() == MEDIA_TYPE


def server_sent_events(stream: bytes) -> Iterator[ServerSentEvent]:
    """The events that are complete in a stream, or in a prefix of one."""
    position = len(_BYTE_ORDER_MARK) if stream.startswith(_BYTE_ORDER_MARK) else 0
    block = _Block()
    for ended_line in stream[position:].splitlines(keepends=True):  # of bytes: at CR LF, LF and CR, and only there
        line = ended_line.rstrip(b"\r\n")
        if len(line) == len(ended_line):  # unfinished
            return
        if line:
            block.take(line)
        else:
            event = block.dispatch(position + 1)  # a CR is an end, whether a LF follows or not
            if event is not None:
                yield event
        position += len(ended_line)


@dataclass(slots=True)
class _Block:
    """The buffers of the standard's algorithm."""

    name: str = ""
    last_id: str = ""
    data: list[str] = field(default_factory=list)

    def take(self, line: bytes) -> None:
        """Process a field; a line that begins with a colon is a comment, a field without a name."""
        name, _, octets = line.partition(b":")
        value = octets.removeprefix(b" ").decode("utf-8", "replace")
        if name == b"event":
            self.name = value
        elif name == b"data":
            self.data.append(value)
        elif name == b"id" and "\0" not in value:
            self.last_id = value

    def dispatch(self, end: int) -> ServerSentEvent | None:
        """An empty line ends the event; one without data is none. The id holds for the events to come."""
        name, data = self.name, self.data
        self.name, self.data = "", []
        return ServerSentEvent(name or _DEFAULT_NAME, self.last_id, "\n".join(data), end) if data else None
