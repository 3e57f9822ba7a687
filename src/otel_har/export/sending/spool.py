"""A directory with requests of OTLP that wait for their receiver. Any number of processes may share it.

The rule: a file is a whole request, `ExportLogsServiceRequest` as protobuf writes it, and appears under its name when
it is whole. Names sort by time. One process at a time sends, which a lock says, whoever wrote them: so what a process
left that ended is sent by the next one. The directory is for its owner alone, as the entries may be. What another user
owns or may write to is not sent: anybody's records would be sent as this program's, with its token.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import re
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from otel_har.errors import ExportError
from otel_har.export.files import access
from otel_har.export.sending.limits import DEFAULT_MAX_SPOOL_BYTES

# When it was made, which process made it, the number within that, and how many entries it has.
_NAME = re.compile(r"(\d{20})-(\d+)-(\d+)-(\d+)\.otlp")
_COMING = ".coming-"
_LOCK = ".lock"
_STALE_S = 3600.0  # what was begun so long ago, nobody writes any more

_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH

# A link is not followed (ELOOP), and what is no file is not read (EINVAL).
_STRANGE = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.EINVAL})

_numbers = itertools.count()
_logger = logging.getLogger("otel_har")


class Spool:
    """Files in a directory, which is made if it is not there.

    Args:
        directory: The directory.
        max_bytes: The most bytes of all files together, whoever wrote them; beyond it the oldest go.

    Raises:
        ExportError: When there can be no files in it.
    """

    def __init__(self, directory: str | os.PathLike[str], max_bytes: int = DEFAULT_MAX_SPOOL_BYTES) -> None:
        self.directory = access.with_home(directory).absolute()
        self._max_bytes = max_bytes
        self._last_ns = 0
        self._strange: set[str] = set()
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            access.must_be_ours(self.directory, self.directory.stat())
            with access.closing(access.opened(self.directory / _LOCK)) as descriptor:
                # On a filesystem without modes all files have the same.
                self._has_modes = not os.fstat(descriptor).st_mode & _BY_OTHERS
        except OSError as fault:
            raise ExportError(f"there can be no spool in {self.directory}: {fault.strerror or fault}") from fault

    def put(self, data: bytes, entries: int) -> int:
        """Keep a request.

        Args:
            data: The request.
            entries: How many entries it has, in whole or in part.

        Returns:
            How many entries had to go for it, or are not kept: it alone is over the limit.

        Raises:
            OSError: When it cannot be kept.
        """
        if len(data) > self._max_bytes:
            return entries
        dropped = self._make_room(len(data))
        self._last_ns = max(time.time_ns(), self._last_ns + 1)  # in order, also where the clock is set back
        self._write(f"{self._last_ns:020d}-{os.getpid()}-{next(_numbers)}-{entries}.otlp", data)
        return dropped

    def replace(self, name: str, data: bytes) -> None:
        """Keep another request in the place of one.

        Raises:
            OSError: When it cannot be kept.
        """
        self._write(name, data)

    def names(self) -> list[str]:
        """The files, the oldest first, without those that were found to be somebody else's."""
        with contextlib.suppress(OSError):
            found = (entry.name for entry in os.scandir(self.directory) if _NAME.fullmatch(entry.name))
            return sorted(name for name in found if name not in self._strange)
        return []

    def read(self, name: str) -> bytes | None:
        """A request; None when it has gone, or somebody else put it there or may have changed it.

        Raises:
            OSError: When it cannot be read for now.
        """
        path = self.directory / name
        try:
            with access.closing(access.opened(path, os.O_RDONLY)) as descriptor:
                status = os.fstat(descriptor)
                access.must_be_ours_alone(path, status)
                self._must_be_trusted(status)
                with open(descriptor, "rb", closefd=False) as file:
                    return file.read()
        except FileNotFoundError:
            return None
        except OSError as fault:
            if fault.errno not in _STRANGE:
                raise
            self._strange.add(name)
            _logger.warning("otel-har: %s in the spool is not sent: %s", name, fault.strerror)
            return None

    def remove(self, name: str) -> None:
        """It was sent, or never will be."""
        (self.directory / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether it is this process's turn to send, which lasts until the end."""
        try:
            descriptor = access.opened(self.directory / _LOCK)
        except OSError:
            yield False
            return
        with access.closing(descriptor):
            is_ours = access.locked(descriptor)
            if is_ours:
                self._tidy()
            try:
                yield is_ours
            finally:
                access.unlocked(descriptor)

    def _must_be_trusted(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError(errno.EACCES, "it is no file")
        if sys.platform == "win32":
            return
        if status.st_uid != os.geteuid():
            raise PermissionError(errno.EACCES, f"it belongs to user {status.st_uid}")
        if self._has_modes and status.st_mode & _BY_OTHERS:
            raise PermissionError(errno.EACCES, "others may write to it")

    def _write(self, name: str, data: bytes) -> None:
        coming = self.directory / f"{_COMING}{os.getpid()}-{next(_numbers)}"
        try:
            with access.closing(access.opened(coming, os.O_WRONLY | os.O_CREAT | os.O_EXCL)) as descriptor:
                access.written(descriptor, data, 0)
                os.fsync(descriptor)
            coming.replace(self.directory / name)
        except OSError:
            coming.unlink(missing_ok=True)
            raise

    def _make_room(self, needed: int) -> int:
        sizes = {name: self._size(name) for name in self.names()}
        total = needed + sum(sizes.values())
        dropped = 0
        for name, size in sizes.items():
            if total <= self._max_bytes:
                break
            self.remove(name)
            total -= size
            dropped += entries_of(name)
        return dropped

    def _size(self, name: str) -> int:
        with contextlib.suppress(OSError):
            return (self.directory / name).stat().st_size
        return 0

    def _tidy(self) -> None:
        """Remove what a process left that ended while it wrote."""
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.directory):
                if entry.name.startswith(_COMING) and time.time() - entry.stat().st_mtime > _STALE_S:
                    Path(entry.path).unlink(missing_ok=True)


def entries_of(name: str) -> int:
    """How many entries a file has, by its name."""
    found = _NAME.fullmatch(name)
    return int(found[4]) if found else 0
