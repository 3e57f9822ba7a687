"""The pieces that an iteration over a response's stream gives, each noted; the rule is that of `streams`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_har.capture.streams import ResponseNotes


class NotedPieces:
    """An iterator to delegate to (`yield from`): what a program throws into its generator comes here, and goes on.

    Args:
        pieces: The stream's own iterator.
        notes: Those of the stream; a piece that a call within this one has noted is not noted again.
        got: Called with each piece.
        failed: Called with what the stream raised.
        abandoned: Called where what the program threw in came out again.
    """

    __slots__ = ("_abandoned", "_failed", "_got", "_notes", "_pieces")

    def __init__(
        self,
        pieces: Iterator[Any],
        notes: ResponseNotes,
        *,
        got: Callable[[Any], object],
        failed: Callable[[BaseException], object],
        abandoned: Callable[[], object],
    ) -> None:
        self._pieces: Any = pieces
        self._notes = notes
        self._got = got
        self._failed = failed
        self._abandoned = abandoned

    def __iter__(self) -> NotedPieces:
        return self

    def __next__(self) -> Any:
        readings = self._notes.readings
        try:
            piece = next(self._pieces)
        except StopIteration:
            raise
        except BaseException as error:
            self._failed(error)
            raise
        if readings == self._notes.readings:
            self._got(piece)
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
                self._abandoned()
            else:
                self._failed(error)
            raise
        self._got(piece)
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
