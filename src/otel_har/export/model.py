"""Pages and entries to one HAR model."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from otel_har.errors import HarFormatError
from otel_har.export.files.standing import comment_on, counts
from otel_har.export.interfaces import HarStatistics
from otel_har.har.models import Browser, Creator, Entry, Har, Log, Page
from otel_har.version import __version__

M = TypeVar("M", Page, Entry)


def to_har_model(pages: Iterable[Page | Mapping[str, Any]], entries: Iterable[Entry | Mapping[str, Any]]) -> Har:
    """Put logged pages and entries together again: the `har_page` and `har_entry` of `LoggingHarExporter`'s records.

    Args:
        pages: As they came; of those with the same id the last one counts.
        entries: In their order.

    Raises:
        HarFormatError: When one of them is no page, or no entry; its `place` says which.
    """
    by_id: dict[str, Page] = {}
    for number, page in enumerate(pages):
        model = _validated(Page, page, f"pages[{number}]")
        by_id[model.id] = model
    return har_model(
        by_id.values(), (_validated(Entry, entry, f"entries[{number}]") for number, entry in enumerate(entries))
    )


def _validated(kind: type[M], value: object, place: str) -> M:
    try:
        return kind.model_validate(value)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
        inside = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise HarFormatError(first["msg"], place + inside) from invalid


def har_model(
    pages: Iterable[Page], entries: Iterable[Entry], lost: HarStatistics | None = None, redaction: str | None = None
) -> Har:
    """A document of this recorder's.

    Args:
        pages: Each once.
        entries: In their order.
        lost: What was lost, which the document then tells.
        redaction: The policy by which all of it was redacted, which it tells, too.
    """
    found = tuple(entries)
    log = Log(
        version="1.2",
        creator=Creator(name="otel-har", version=__version__),
        browser=Browser(name=platform.python_implementation(), version=platform.python_version()),
        pages=tuple(pages),
        entries=found,
    )
    told: dict[str, Any] = {"_redaction": {"policy": redaction}} if redaction else {}
    if lost:
        told |= {"comment": comment_on(lost), "_otel_har": {"statistics": counts(len(found), lost)}}
    return Har(log=Log.model_validate({**dict(log), **told}) if told else log)
