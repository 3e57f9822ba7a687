"""The recording that a program's replaces: it comes back where the program failed before its first request.

The rule: a name that is mistyped costs no recording. What was recorded is never given up for what was there before.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from otel_har.export.files import access

__all__ = ["Earlier"]


class Earlier:
    """What is in the file before the program starts; kept open, because the file is replaced.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path: Path | None = None
        self._held: access.Held | None = None
        with contextlib.suppress(OSError):
            self._path = access.resolved(access.with_home(path))
            self._held = access.Held(access.opened(self._path, os.O_RDONLY))

    def put_back(self) -> bool:
        """Give the file its earlier content; whether there was one, and it could be."""
        path, held = self._path, self._held
        if path is None or held is None or not os.fstat(held.number).st_size:
            return False
        coming = path.with_name(f".{path.name}.earlier")
        try:
            status = os.fstat(held.number)
            if os.path.samestat(status, os.lstat(path)):  # written in place: it is gone
                return False
            with access.closing(access.opened(coming, os.O_WRONLY | os.O_CREAT | os.O_EXCL)) as target:
                access.copied(held.number, target, 0, status.st_size)
                access.given_mode_of(target, status)
            coming.rename(path)
        except OSError:
            with contextlib.suppress(OSError):
                coming.unlink()
            return False
        return True
