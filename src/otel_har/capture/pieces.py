"""The pieces that an iteration over a response's stream gives, each noted; the rule is that of `streams`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_har.capture.response_tap import ResponseTap
    from otel_har.capture.streams import ResponseNotes


class NotedPieces:
    """An iterator to delegate to (`yield from`): what a program throws into its generator comes here, and goes on.

    Args:
        pieces: The stream's own iterator.
        notes: Those of the stream; a piece that a call within this one has noted is not noted again.
        tap: The tap of the stream.
        decoded: Whether the content coding is removed from what it gives; None for the stream's own setting.
    """

    __slots__ = ("_decoded", "_notes", "_pieces", "_tap")

    def __init__(self, pieces: Iterator[Any], notes: ResponseNotes, tap: ResponseTap, decoded: bool | None) -> None:
        self._pieces: Any = pieces
        self._notes = notes
        self._tap = tap
        self._decoded = decoded

    def __iter__(self) -> NotedPieces:
        return self

    def __next__(self) -> Any:
        readings = self._notes.readings
        try:
            piece = next(self._pieces)
        except StopIteration:
            raise
        except BaseException as error:
            self._tap._self_failed(error)  # noqa: SLF001 - a part of the tap
            raise
        if readings == self._notes.readings:
            self._tap._self_got(piece, None, decoded=self._decoded)  # noqa: SLF001 - as above
        return piece

    def throw(self, *thrown: Any) -> Any:
        """Throw into the stream's own generator; an iterator that is none cannot be told."""
        if not hasattr(self._pieces, "throw"):
            raise thrown[0]
        try:
            piece = self._pieces.throw(*thrown)
        except StopIteration:
            raise
        except BaseException as error:
            if _comes_of(error, thrown):
                self._tap._self_abandoned()  # noqa: SLF001 - as above
            else:
                self._tap._self_failed(error)  # noqa: SLF001 - a part of the tap
            raise
        self._tap._self_got(piece, None, decoded=self._decoded)  # noqa: SLF001 - as above
        return piece

    def close(self) -> None:
        """The program let go of its generator."""
        if hasattr(self._pieces, "close"):
            self._pieces.close()


def _comes_of(error: BaseException, thrown: tuple[Any, ...]) -> bool:
    """Whether an error is what was thrown in, an exception or a class: urllib3 may put one of its own around it."""
    return any(
        one is cause or (isinstance(cause, type) and isinstance(one, cause))
        for one in (error, error.__cause__, error.__context__)
        for cause in thrown
        if cause is not None
    )
