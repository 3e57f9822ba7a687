"""What a file is to the exporter: a document that grows, by whatever means the filesystem has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from otel_har.errors import DestinationError, ExportError
from otel_har.export.files.standing import Growth, Standing

Compose = Callable[[Standing], Growth]

LOCK_SECONDS = 5.0
"""How long another process's turn is waited for, seconds."""


class TakenError(ExportError):
    """Another recording writes this file."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a process wants of a file.

    Attributes:
        recording: The name of its recording. A file of the same recording is gone on with.
        append: Go on with any HAR file.
        may_replace: Start anew what is there otherwise; if not, it is left alone.
    """

    recording: str
    append: bool = False
    may_replace: bool = True

    def continues(self, standing: Standing) -> bool:
        """Whether a document is to be gone on with."""
        return self.append or standing.recording == self.recording


class GrowingFile(ABC):
    """A HAR document in a file, as one process has it open.

    Attributes:
        path: The file.
    """

    path: Path

    @abstractmethod
    def add(self, compose: Compose) -> Standing:
        """Add to the document; all of it or nothing.

        Args:
            compose: Gives the addition to what the document holds. May be called again when the file turns out to
                have changed.

        Returns:
            What the document holds then.

        Raises:
            DestinationError: When the file does not take it now. It is as it was.
            TakenError: When the file is another's by now. It is left alone.
        """

    @property
    @abstractmethod
    def due(self) -> float:
        """When `tend` will have something to do, seconds since 1970."""

    @abstractmethod
    def tend(self) -> None:
        """Do what time brings: drop what is too old, put the file aside.

        Raises:
            DestinationError: When the file does not take it now. It is as it was.
            TakenError: When the file is another's by now. It is left alone.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    @abstractmethod
    def forget(self) -> None:
        """In a forked child: close what is shared with the parent, without a trace in the file or its locks."""


def not_now(path: Path, fault: OSError) -> DestinationError:
    """The error of a file that takes nothing for now."""
    cause = fault.__cause__ if isinstance(fault.__cause__, OSError) else fault
    error = DestinationError(f"cannot write to {path}: {cause.strerror or cause}")
    error.errno = cause.errno
    return error
