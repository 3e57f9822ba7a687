"""Where entries go: to one exporter, or to one for each name of a file.

The rule: the names are others' choice, so the number of files is bounded, and that of those that are open at a time.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from otel_har.errors import DestinationError, ExportError
from otel_har.export.interfaces import HarExporter
from otel_har.guard import guarded
from otel_har.har.models import Entry
from otel_har.receive.decoding import Resource
from otel_har.receive.ledger import DEFAULT_MAX_PAGES, PageLedger
from otel_har.receive.naming import NameTemplate

_MAX_OPEN = 64
DEFAULT_MAX_FILES = 10_000
MakeFile = Callable[[Path, bool], HarExporter]
"""Makes the exporter to a path; whether it goes on with what is there."""


class Destination:
    """An exporter, and the pages that went there."""

    def __init__(self, exporter: HarExporter, pages: PageLedger) -> None:
        self.exporter = exporter
        self.pages = pages


class Destinations(ABC):
    """Which destination is whose. All of it is for one thread."""

    is_by_entry = False
    """Whether entries of one resource may go to several."""

    @abstractmethod
    def name(self, resource: Resource, entry: Entry | None) -> str:
        """Which one something goes to."""

    def knowing(self, page_id: str) -> list[str]:  # noqa: ARG002 - for those that have several
        """The names of those that have entries of a page, where entries of one resource go to several."""
        return []

    @abstractmethod
    def destination(self, name: str) -> Destination:
        """The one of a name.

        Raises:
            OSError: It cannot be opened.
        """

    @abstractmethod
    def upkeep(self) -> None:
        """Have those that are open do what time brings; called often."""

    @abstractmethod
    def close(self, timeout_millis: int) -> None:
        """Shut the exporters down."""


class OneDestination(Destinations):
    """Everything goes to one exporter."""

    def __init__(self, exporter: HarExporter, max_pages: int = DEFAULT_MAX_PAGES) -> None:
        self._destination = Destination(exporter, PageLedger(max_pages))

    def name(self, resource: Resource, entry: Entry | None) -> str:  # noqa: ARG002 - there is one
        """The only one."""
        return ""

    def destination(self, name: str) -> Destination:  # noqa: ARG002 - there is one
        """The only one."""
        return self._destination

    def upkeep(self) -> None:
        """What its exporter has to do."""
        _keep_up(self._destination.exporter)

    def close(self, timeout_millis: int) -> None:
        """Shut the exporter down."""
        self._destination.exporter.shutdown(timeout_millis)


class FileDestinations(Destinations):
    """A file for each name that a template gives.

    Args:
        template: Gives the names.
        make_file: Makes the exporter of one.
        append: Whether to go on with files that are there.
        max_pages: The most pages of each.
        max_files: The most files; what would need another one goes to one more, with `others` in the place of fields.
    """

    def __init__(
        self,
        template: NameTemplate,
        make_file: MakeFile,
        *,
        append: bool = True,
        max_pages: int = DEFAULT_MAX_PAGES,
        max_files: int = DEFAULT_MAX_FILES,
    ) -> None:
        self._template = template
        self._make_file = make_file
        self._append = append
        self._max_pages = max_pages
        self._max_files = max_files
        self._begun: dict[str, PageLedger] = {}
        self._open: OrderedDict[str, Destination] = OrderedDict()
        self.is_by_entry = template.is_by_entry

    def name(self, resource: Resource, entry: Entry | None) -> str:
        """The path."""
        path = os.fspath(self._template.path(resource, entry))
        if path in self._begun or len(self._begun) < self._max_files:
            return path
        return os.fspath(self._template.of_others)

    def knowing(self, page_id: str) -> list[str]:
        """The paths of the files with entries of a page."""
        return [name for name, pages in self._begun.items() if page_id in pages]

    def destination(self, name: str) -> Destination:
        """The file of a path; the one that was not used for longest is closed for it."""
        found = self._open.get(name)
        if found is None:
            is_new = name not in self._begun
            exporter = self._make_file(Path(name), self._append or not is_new)
            pages = self._begun.setdefault(name, PageLedger(self._max_pages))
            pages.tell_again()
            found = Destination(exporter, pages)
            self._open[name] = found
            if len(self._open) > _MAX_OPEN:
                _, oldest = self._open.popitem(last=False)
                _shut_down(oldest.exporter, 5_000)
        self._open.move_to_end(name)
        return found

    def upkeep(self) -> None:
        """What the files that are open have to do; those that were closed are looked at when something comes again."""
        for destination in self._open.values():
            _keep_up(destination.exporter)

    def close(self, timeout_millis: int) -> None:
        """Shut the exporters down."""
        while self._open:
            _, destination = self._open.popitem()
            _shut_down(destination.exporter, timeout_millis)


def check_directory(path: Path) -> None:
    """See that files can be made beside this one.

    Raises:
        ExportError: When there is no such directory, or it is not writable.
    """
    directory = path.parent
    if not directory.is_dir() or not os.access(directory, os.W_OK):
        raise ExportError(f"{directory} is no directory that can be written to")


@guarded("closing a file")
def _shut_down(exporter: HarExporter, timeout_millis: int) -> None:
    exporter.shutdown(timeout_millis)


@guarded("upkeep of a file")
def _keep_up(exporter: HarExporter) -> None:
    if exporter.needs_upkeep:
        with contextlib.suppress(DestinationError):  # it may be that it takes nothing for now
            exporter.upkeep()
