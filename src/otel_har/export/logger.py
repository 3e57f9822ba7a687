"""`LoggingHarExporter`: each page and each entry as a record of Python's logging.

The rule: a record is handed to logging once, whatever a handler of the program's makes of it. What is logged are plain
values of JSON, so that any formatter can write them.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from otel_har.errors import SettingError
from otel_har.export.interfaces import DEFAULT_TIMEOUT_MILLIS, HarBatch, HarExporter, HarExportResult
from otel_har.guard import guarded
from otel_har.har.models import Entry, HarModel, Page

DEFAULT_LOGGER_NAME = "otel_har.traffic"


class LoggingHarExporter(HarExporter):
    """Logs pages and entries, in the extra fields `har_page` and `har_entry` of the records.

    A page is logged before its first entry, and again when it has changed. `to_har_model` makes a document of what was
    logged. Where the level is not enabled nothing is built.

    A handler that sends its records over HTTP in a thread of its own must not be recorded itself, or each record makes
    the next: exclude its URL. One that sends at once, in the call, is not recorded anyway.

    Args:
        logger: The logger, or its name; `otel_har.traffic` by default.
        level: Of the records, as a number or by its name.
        new_page_message: The message of a page's record.
        new_entry_message: The message of an entry's record.

    Raises:
        SettingError: When there is no such level.
    """

    def __init__(
        self,
        logger: logging.Logger | logging.LoggerAdapter[Any] | str | None = None,
        level: int | str = logging.DEBUG,
        *,
        new_page_message: str = "new HAR page",
        new_entry_message: str = "new HAR entry",
    ) -> None:
        self._logger = _found(logger)
        self._level = _number(level)
        self._page_message = new_page_message
        self._entry_message = new_entry_message
        self._pages: dict[str, Page] = {}
        self._logged: dict[str, Page] = {}
        self._shut_down = False

    @property
    def takes_locks_of_program(self) -> bool:
        """Logging handlers have a lock each, and one of the program's may send what it gets by a request."""
        return True

    def export(self, batch: HarBatch) -> HarExportResult:
        """Log the batch.

        Returns:
            FAILURE after `shutdown`, and when logging raised for each of the entries.
        """
        if self._shut_down:
            return HarExportResult.FAILURE
        self._pages.update({page.id: page for page in batch.pages})
        if not self._logger.isEnabledFor(self._level):
            return HarExportResult.SUCCESS
        for page in batch.pages:
            if page.id in self._logged:
                self._log_page(page)
        is_done = [self._log_entry(entry) for entry in batch.entries]
        return HarExportResult.SUCCESS if any(is_done) or not is_done else HarExportResult.FAILURE

    def shutdown(self, timeout_millis: int = DEFAULT_TIMEOUT_MILLIS) -> None:  # noqa: ARG002 - nothing waits here
        """Log nothing more. The logger and its handlers are the program's, and stay as they are."""
        self._shut_down = True

    def _log_entry(self, entry: Entry) -> bool:
        page = self._pages.get(entry.pageref) if entry.pageref is not None else None
        if page is not None:
            self._log_page(page)
        return self._log(self._entry_message, "har_entry", entry) is True

    def _log_page(self, page: Page) -> None:
        if self._logged.get(page.id) != page and self._log(self._page_message, "har_page", page):
            self._logged[page.id] = page

    @guarded("logging an entry", BaseException)
    def _log(self, message: str, field: str, model: HarModel) -> bool:
        self._logger.log(self._level, message, extra={field: json.loads(model.to_json())})
        return True


def _found(logger: logging.Logger | logging.LoggerAdapter[Any] | str | None) -> logging.Logger:
    """The logger itself: an adapter would put its own `extra` in the place of ours (until Python 3.13)."""
    while isinstance(logger, logging.LoggerAdapter):
        logger = logger.logger
    return logger if isinstance(logger, logging.Logger) else logging.getLogger(logger or DEFAULT_LOGGER_NAME)


def _number(level: int | str) -> int:
    if isinstance(level, int):
        return level
    number: int | str = logging.getLevelName(level.strip().upper())
    if not isinstance(number, int):
        raise SettingError(f"there is no level {level!r} in logging")
    return number
