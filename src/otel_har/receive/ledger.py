"""The pages of one file that many processes tell of.

The rule: a trace is one page, whoever tells of it, and bears the title of the local root span that began first. The
page of a program's run is that program's: another one with the same id gets an id of its own. Pages stand in the end of
a file, which is written anew with each addition: so their number is bounded, and what is beyond shares one page.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from otel_har.har.models import Entry, Page
from otel_har.otlp.traces import is_named
from otel_har.receive.decoding import Arrival

DEFAULT_MAX_PAGES = 1000
_OF_TRACE = "trace_"
_OTHERS = "others"
_MAX_RENAMED = 100_000
_MAX_HEARD = 10_000


class PageLedger:
    """Knows the pages of one file.

    Args:
        max_pages: The most pages, that of all further ones included.
    """

    def __init__(self, max_pages: int = DEFAULT_MAX_PAGES) -> None:
        self._max_pages = max(1, max_pages)
        self._pages: dict[str, Page] = {}
        self._ids: dict[tuple[str, str], str] = {}
        self._changed: dict[str, Page] = {}
        self._heard: OrderedDict[tuple[str, str], Page] = OrderedDict()

    def entered(self, arrivals: Iterable[Arrival]) -> tuple[list[Page], list[Entry]]:
        """Pages to write and entries, with the ids that they have in this file."""
        entries: list[Entry] = []
        for arrival in arrivals:
            entry = arrival.entry
            if entry is None and not self._is_of_entries(arrival):
                continue
            page_id = self._page_of(arrival)
            if entry is None:
                continue
            if entry.pageref != page_id:
                entry = entry.model_copy(update={"pageref": page_id})
            entries.append(entry)
        changed, self._changed = self._changed, {}
        return list(changed.values()), sorted(entries, key=_started)

    def take_back(self, pages: Iterable[Page]) -> None:
        """They were not written: they are to be told again."""
        for page in pages:
            self._changed.setdefault(page.id, page)

    def tell_again(self) -> None:
        """Another exporter goes on with the file: it is to know all its pages, for those that a new file will need."""
        self._changed = dict(self._pages)

    def __contains__(self, page_id: str) -> bool:
        return page_id in self._pages

    def _is_of_entries(self, arrival: Arrival) -> bool:
        """Whether a page that is told alone has entries here. If not it waits for the first one, as long as it can."""
        page = arrival.page
        if page is None:
            return False
        key = page.id, _source(arrival.resource, page)
        if key in self._ids:
            return True
        self._heard[key] = _better(self._heard.pop(key, None), page)
        if len(self._heard) > _MAX_HEARD:
            self._heard.popitem(last=False)
        return False

    def _page_of(self, arrival: Arrival) -> str:
        """The page of an arrival; it is noted with what is new of it."""
        page = arrival.page if arrival.page is not None else _page_without_facts(arrival)
        source = _source(arrival.resource, page)
        page_id = self._ids.get((page.id, source))
        if page_id is None:
            page_id = self._new_id(page.id, source)
            page = _better(self._heard.pop((page.id, source), None), page)
            if len(self._ids) < _MAX_RENAMED:
                self._ids[page.id, source] = page_id
        if page_id == _OTHERS:
            page = _of_others(self._pages.get(_OTHERS), page)
        known = self._pages.get(page_id)
        wanted = _better(known, page if page_id == page.id else page.model_copy(update={"id": page_id}))
        if wanted is not known:
            self._pages[page_id] = self._changed[page_id] = wanted
        return page_id

    def _new_id(self, asked: str, source: str) -> str:
        if len(self._pages) + 1 >= self._max_pages and asked not in self._pages:
            return _OTHERS
        if asked not in self._pages or not source:
            return asked
        return f"{asked}_{source[:8]}"


def _better(known: Page | None, told: Page) -> Page:
    """Which of two that tell of a page is right."""
    if known is None or known == told:
        return known or told
    if is_named(known) != is_named(told):
        return told if is_named(told) else known
    if told.started_date_time != known.started_date_time:
        return min(known, told, key=_started)
    return known if told.page_timings.on_load == -1 else told


def _page_without_facts(arrival: Arrival) -> Page:
    """A page for an entry that came without: that of its trace, or of its service."""
    entry = arrival.entry
    service = arrival.resource.get("service.name", "")
    started = entry.started_date_time if entry is not None else "1970-01-01T00:00:00Z"
    page_id = (entry.pageref if entry is not None else None) or f"service_{service or 'unknown'}"
    return Page(started_date_time=started, id=page_id, title=page_id.removeprefix(_OF_TRACE))


def _of_others(known: Page | None, page: Page) -> Page:
    return known or Page(started_date_time=page.started_date_time, id=_OTHERS, title="further traces")


def _source(resource: Mapping[str, str], page: Page) -> str:
    """Whose page it is, as far as the resource tells programs apart; that of a trace is everybody's."""
    if page.id.startswith(_OF_TRACE):
        return ""
    return hashlib.sha256(repr(sorted(resource.items())).encode("utf-8", "replace")).hexdigest()


def _started(model: Entry | Page) -> float:
    try:
        return model.started_at.timestamp()
    except (ValueError, OverflowError):
        return 0.0
