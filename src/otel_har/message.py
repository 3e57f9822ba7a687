"""The facts of one HTTP message: its header fields as they were met, its body as the bytes that passed.

The rule is that of `exchange`: noting is cheap, and nothing is interpreted here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from otel_har.arrivals import Arrivals
from otel_har.budget import ByteBudget
from otel_har.limits import CaptureLimits

_SMALL_CHUNK_BYTES = 1024
_MAX_JOINED_BYTES = 64 * 1024

HeaderText = str | bytes
RawHeaders = Iterable[tuple[HeaderText, HeaderText]]
"""Header fields in their order, with duplicates."""

BodyState = Literal["whole", "truncated", "partial", "unread", "dropped", "excluded"]
BodyRule = Literal["all", "text", "none"]
"""What of a body is wanted: all, what is text, or nothing but its size."""

_STRICTNESS: tuple[BodyRule, ...] = ("all", "text", "none")


_texts_of = itertools.chain.from_iterable
TEXT_BYTES = 80
"""Of each of two texts, their pair and its place, besides the characters."""


class JoinedFields:
    """Header fields as one piece of bytes, names and values a line each: taken apart by whoever iterates over them.

    Args:
        octets: The lines.
        lines: How many these are.

    Attributes:
        memory_bytes: About how many bytes of memory the fields take.
    """

    __slots__ = ("_octets", "memory_bytes")

    def __init__(self, octets: bytes, lines: int) -> None:
        self._octets = octets
        self.memory_bytes = len(octets) + lines * TEXT_BYTES

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        lines = self._octets.split(b"\n")
        return zip(lines[::2], lines[1::2], strict=True)


def memory_of(raw: RawHeaders) -> int:
    """About how many bytes of memory header fields take."""
    if isinstance(raw, JoinedFields):
        return raw.memory_bytes
    try:
        if type(raw) is list or type(raw) is tuple:  # as nearly always
            return sum(map(len, _texts_of(raw))) + 2 * len(raw) * TEXT_BYTES
        lengths = list(map(len, _texts_of(raw)))
    except TypeError:  # what is no text, an adapter of the program's own put there
        lengths = [len(str(text)) for text in _texts_of(raw)]
    return sum(lengths) + len(lengths) * TEXT_BYTES


class SomeHeaders(tuple[tuple[HeaderText, HeaderText], ...]):
    """Header fields of a message of which nobody saw all: their size cannot be told."""

    __slots__ = ()


NOT_SEEN = SomeHeaders()
"""The header fields of a message of which nobody saw any."""


class Body:
    """The bytes of one message body, noted as they pass, kept up to a limit.

    Attributes:
        size_bytes: How many bytes passed, kept or not.
        encoded: True when the noted bytes still carry the message's Content-Encoding.
        ended: True when the end of the body was seen.
        wire_size_bytes: How many bytes of the encoded body came over the wire, without chunk framing; None: unknown.
        wire_bytes_lost: True when more came than anyone counted: `wire_size_bytes` is the least it can be.
        has_gaps: True when bytes of it came that were not noted, and not only behind those that were.
        is_over_budget: True when bytes of it were not kept because of what others hold, whatever its own limit.
        rule: What of it is wanted; where that is nothing, nothing is kept.
        framing_bytes: The bytes of the chunked transfer coding around them; 0 without it, or when not known.
        trailers: The trailer fields (RFC 9110, 6.5).
    """

    # Defaults of the class instead of slots: of most of this a body never has anything else, and two are made for each
    # exchange.
    size_bytes = 0
    encoded = False
    ended = False
    wire_size_bytes: int | None = None
    wire_bytes_lost = False
    has_gaps = False
    is_over_budget = False
    rule: BodyRule = "all"
    framing_bytes = 0
    trailers: RawHeaders = NOT_SEEN
    _kept_bytes = 0
    _arrivals: Arrivals | tuple[int, int] | None = None  # one piece needs no table
    _chunks: Sequence[bytes | bytearray] = ()  # a list where there are several

    def __init__(self, limits: CaptureLimits) -> None:
        self._limits = limits

    @property
    def arrivals(self) -> Arrivals:
        """When the pieces that passed came; only what a program reads has them."""
        known = self._arrivals
        if isinstance(known, Arrivals):
            return known
        arrivals = self._arrivals = Arrivals(self._limits.budget)
        if known is not None:
            arrivals.note(*known)
        return arrivals

    def note(self, chunk: bytes | bytearray | memoryview, instant: int | None = None) -> None:
        """Note bytes that pass.

        Args:
            chunk: The bytes.
            instant: When they came, nanoseconds of the exchange's clock; None where nobody asks for it.
        """
        # Most bodies come in one piece, and are kept as that.
        if not self.size_bytes and type(chunk) is bytes and self._arrivals is None and self.rule != "none":
            limits, length = self._limits, len(chunk)
            if 0 < length <= limits.max_body_bytes:
                self.size_bytes = length
                if instant is not None:
                    self._arrivals = instant, length
                if limits.budget.take(length):
                    self._chunks = (chunk,)
                    self._kept_bytes = length
                else:
                    self.is_over_budget = True
                return
        self._note_further(chunk, instant)

    def _note_further(self, chunk: bytes | bytearray | memoryview, instant: int | None) -> None:
        length = chunk.nbytes if isinstance(chunk, memoryview) else len(chunk)
        was_whole = self._kept_bytes == self.size_bytes
        self.size_bytes += length
        if instant is not None:
            if self._arrivals is None:
                self._arrivals = instant, self.size_bytes
            else:
                self.arrivals.note(instant, self.size_bytes)
        if (
            not was_whole or not length or self.rule == "none"
        ):  # behind a gap nothing more is kept: what is kept is a prefix
            return
        room = self._limits.max_body_bytes - self._kept_bytes
        kept_length = min(length, room)
        if not kept_length:
            return
        if not self._limits.budget.take(kept_length):  # before anything is copied
            self.is_over_budget = True
            return
        self._keep(bytes(chunk) if length <= room else bytes(memoryview(chunk).cast("B")[:room]))

    def _keep(self, chunk: bytes) -> None:
        """Small chunks are put together: each object of its own would take more memory than its bytes."""
        chunks = self._listed_chunks()
        last = chunks[-1] if chunks else None
        if isinstance(last, bytearray) and len(last) < _MAX_JOINED_BYTES:
            last += chunk
        else:
            chunks.append(bytearray(chunk) if len(chunk) < _SMALL_CHUNK_BYTES else chunk)
        self._kept_bytes += len(chunk)

    def _listed_chunks(self) -> list[bytes | bytearray]:
        chunks = self._chunks
        if not isinstance(chunks, list):
            chunks = self._chunks = [*chunks]
        return chunks

    def retract(self, count: int) -> None:
        """Take back the last `count` bytes: the program returned them to the stream."""
        self.size_bytes = max(0, self.size_bytes - count)
        surplus = self._kept_bytes - self.size_bytes
        chunks = self._listed_chunks()
        while surplus > 0:
            last = chunks.pop()
            kept = last[: max(0, len(last) - surplus)]
            if kept:
                chunks.append(kept)
            self._release(len(last) - len(kept))
            surplus -= len(last) - len(kept)
        if self._arrivals is not None:
            self.arrivals.retract(self.size_bytes)
        self.ended = False

    def moved_out(self) -> Body:
        """What was noted, as a body of its own; this one is empty then, for what is sent next.

        Arrivals, framing and trailers stay: only what is read has them.
        """
        other = Body(self._limits)
        other.rule = self.rule
        other.encoded, other.ended, other.size_bytes = self.encoded, self.ended, self.size_bytes
        other.wire_size_bytes = self.wire_size_bytes
        other.is_over_budget, self.is_over_budget = self.is_over_budget, False
        other._chunks, other._kept_bytes = self._chunks, self._kept_bytes
        self._chunks, self._kept_bytes, self.size_bytes, self.ended = (), 0, 0, False
        return other

    def under(self, rule: BodyRule) -> Body:
        """The same body as it is under a rule; this one stays as it is. It is for reading, while this one is there."""
        other = _BorrowedBody(self._limits)
        rule = max(rule, self.rule, key=_STRICTNESS.index)
        vars(other).update(vars(self), rule=rule)
        if rule == "none":
            vars(other).update(_chunks=(), _kept_bytes=0)
        return other

    def clear(self) -> None:
        """Forget everything: the body is sent once more from its start."""
        self._chunks = ()
        self._release(self._kept_bytes)
        self._arrivals = None
        self.size_bytes = 0
        self.ended = self.is_over_budget = False

    def kept(self) -> bytes:
        """The bytes that were kept, a prefix of those that passed."""
        return b"".join(self._chunks)

    @property
    def budget(self) -> ByteBudget:
        """What its bytes are taken from."""
        return self._limits.budget

    @property
    def limit_bytes(self) -> int:
        """The most bytes that are kept."""
        return self._limits.max_body_bytes

    @property
    def kept_bytes(self) -> int:
        """How many bytes are kept."""
        return self._kept_bytes

    @property
    def state(self) -> BodyState:
        """What is held of the body; only `whole` is all of it."""
        if self.rule == "none" and self.size_bytes:
            return "excluded"
        if self._kept_bytes < self.size_bytes:
            return "truncated" if self._kept_bytes else "dropped"
        if self.ended:
            return "whole"
        return "partial" if self.size_bytes else "unread"

    def _release(self, count: int) -> None:
        self._kept_bytes -= count
        self._limits.budget.give_back(count)

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._limits.budget.take(self._kept_bytes)  # an account of the other process, which gets them back

    def __del__(self) -> None:
        if self._kept_bytes:
            self._limits.budget.give_back(self._kept_bytes)


class _BorrowedBody(Body):
    """One whose bytes are another one's, which gives them back."""

    def __del__(self) -> None:
        """Nothing is taken."""
