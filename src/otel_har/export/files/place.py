"""Where a process records: the file that was asked for, or one beside it.

The rule: a process that was forked, or that found another recording's file, never replaces one again.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from otel_har.errors import DestinationError, ExportError
from otel_har.export.files import access
from otel_har.export.files.aside import named_beside
from otel_har.export.files.growing import Claim, TakenError, not_now

PID = "{pid}"
"""What stands in a name for the number of the process that writes."""

LASTING = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG})
"""Where a new file is refused for one of these, waiting does not help: a worker that gave up its rights gets none back.
"""

_MOST_BESIDE = 100  # files of one process


class Place:
    """The file of one process.

    Args:
        path: The file as the user wrote it.
        recording: The name of the recording, a random one by default.
        first_process: The number of its first process, after which a file beside is named; this one by default.
        append: Whether it goes on with the file that is there.

    Attributes:
        asked: The file that was asked for, absolute.
        path: The file that is written.
        claim: What this process wants of it.
        first_process: As given.
    """

    def __init__(
        self, path: str | os.PathLike[str], recording: str | None, first_process: int | None, *, append: bool
    ) -> None:
        self.asked = access.with_home(path).absolute()
        if not self.asked.name:
            raise access.cannot_write(self.asked, OSError(errno.EISDIR, os.strerror(errno.EISDIR)))  # `/`
        self.first_process = os.getpid() if first_process is None else first_process
        self.claim = Claim(recording or uuid.uuid4().hex, append)
        self.path = self._of_this_process()

    def leave_alone(self) -> None:
        """From now on only go on with this recording's own file, and never replace another one."""
        self.claim = replace(self.claim, may_replace=False)

    def go_on_in_child(self) -> None:
        """In a forked child: a file of its own, where the name says so."""
        if PID in self.asked.name:
            self.path = self._of_this_process()
        else:
            self.leave_alone()  # should another recording have begun the file anew since

    def leave(self) -> None:
        """The file is another's: what is beside it is gone on with, or begun, and nothing is replaced."""
        self.claim = Claim(self.claim.recording, may_replace=False)

    @contextmanager
    def opening(self) -> Iterator[None]:
        """While the file is opened again: what cannot be opened now may be there later, or is not for this process.

        Raises:
            DestinationError: When it is to be tried again.
            TakenError: When it is to be left alone.
        """
        try:
            yield
        except (DestinationError, TakenError):
            raise
        except ExportError as fault:
            if fault.errno in LASTING or fault.errno == errno.EINVAL:  # or it is nothing to append to
                raise TakenError(str(fault)) from fault
            raise not_now(self.path, fault) from fault

    def beside(self) -> Iterator[Path]:
        """The names beside the file, the first one first."""
        asked = self._of_this_process()
        for number in range(1, _MOST_BESIDE + 1):
            yield named_beside(asked, f"{self.first_process}" if number == 1 else f"{self.first_process}.{number}")

    def _of_this_process(self) -> Path:
        return self.asked.with_name(self.asked.name.replace(PID, str(os.getpid())))
