"""What a read of a stream of urllib3's shape asks for, and what one that fails tells."""

from __future__ import annotations

import io
import zlib
from http.client import HTTPException, IncompleteRead
from typing import Any

_BROKEN = (OSError, EOFError, HTTPException, zlib.error)
_REFUSED = frozenset({"BodyNotHttplibCompatible", "ResponseNotChunked"})  # of urllib3: a way to read that does not fit


def is_left_encoded(raw: Any) -> bool:
    """Whether a body is in zstd and urllib3 has no decoder for that, which others may have."""
    coding = str((getattr(raw, "headers", None) or {}).get("content-encoding") or "")
    return coding.lower() == "zstd" and "zstd" not in getattr(raw, "CONTENT_DECODERS", ("zstd",))


def breaks(error: BaseException) -> bool:
    """Whether an error is one of the stream itself; others are those of a call, like a wrong argument."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, io.UnsupportedOperation) or names & _REFUSED:
        return False
    return isinstance(error, _BROKEN) or "HTTPError" in names  # urllib3's base of all


def cut_off_bytes(error: BaseException) -> int | None:
    """What a failed read had got before the connection ended, and `tell` does not count; None where it is lost.

    A read of the connection's buffered file that raises, at a time-out or a reset, takes along what it had got.
    http.client hands it on where the connection just ended.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) or not isinstance(cause, Exception):
            return None
        if isinstance(cause, IncompleteRead) and isinstance(cause.partial, bytes):
            return len(cause.partial)
        cause = cause.__cause__ or cause.__context__
    return 0


def amount(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """How much a read asks for: `amt` to urllib3, `size` to a file."""
    return args[0] if args else kwargs.get("amt", kwargs.get("size"))


def asked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool | None:
    """Whether a read asks to remove the content coding; None when it does not say."""
    asked = args[1] if len(args) > 1 else kwargs.get("decode_content")
    return None if asked is None else bool(asked)
