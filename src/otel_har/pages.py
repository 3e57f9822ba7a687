"""Which page an entry belongs to: traces are pages.

The rule: a trace with a local root span of the program's own is a page, named after that span. Client spans without
one share the page of the program's run, and so does every trace beyond the limit: what closes a file holds all pages
and must not grow with the traffic.

Forked children are the same run, and share its page: a reader sees on one axis what went on at one time, and a pool
that forks a child for each task does not make a page for each. Which process an entry is of, `_otel.process` says.
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from otel_har.forking import call_in_forked_child
from otel_har.guard import guarded
from otel_har.record import PageFacts

DEFAULT_MAX_PAGES = 100
_MAX_TRACES = 10_000
_MAX_OPEN_SPANS = 10_000  # of one trace; beyond, the trace may be taken to have ended early
_MAX_TITLE = 500


class RootSpan(Protocol):
    """What is asked of a local root span; a live span may still be renamed."""

    @property
    def name(self) -> str:
        """The span's name now."""

    @property
    def start_time(self) -> int | None:
        """Nanoseconds since the Unix epoch."""

    @property
    def end_time(self) -> int | None:
        """The same; None while the span has not ended."""


class Trace:
    """One trace as long as any span of it is open, or an exchange of it is awaited.

    Attributes:
        open_span_ids: Of the spans that were seen to start and not yet to end.
        root: The local root span that names the page; None without one.
        root_id: That span's id.
        page: The page, once an entry asked for it.
    """

    # Defaults of the class instead of slots: where programs have no spans of their own, there is one for each exchange.
    root: RootSpan | None = None
    root_id: int | None = None
    page: PageFacts | None = None

    def __init__(self, span_id: int) -> None:
        self.open_span_ids = {span_id}


class PageBook:
    """The traces that are open and the pages that were given out.

    Args:
        max_pages: The most pages, the run's own included; at least 1.
        title: Gives the title of the run's page; asked for once, when an entry needs it. Where it raises, or gives
            none, that is the command line.
    """

    def __init__(self, max_pages: int = DEFAULT_MAX_PAGES, title: Callable[[], str] | None = None) -> None:
        self._max_pages = max(1, max_pages)
        self._title = title or command_line
        self._started_unix_ns = time.time_ns()
        self._traces: dict[int, Trace] = {}
        self._pages: dict[int, PageFacts] = {}
        self._root_ids: dict[int, int | None] = {}  # of the span that names each page
        self._run_id = f"run_{os.getpid()}"  # of the process that began it, in its forked children too
        self._run: PageFacts | None = None
        self._renew_lock()
        call_in_forked_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()  # reentrant: an exchange may be finished by a finaliser

    def span_started(
        self, trace_id: int, span_id: int, root: RootSpan | None = None, root_id: int | None = None
    ) -> Trace:
        """A span started; `root` is its trace's local root span, where this span is one or has one as its parent.

        Returns:
            The trace, for as long as an entry of it is awaited.
        """
        with self._lock:
            trace = self._traces.get(trace_id)
            if trace is None:
                while len(self._traces) >= _MAX_TRACES:  # spans that never end
                    del self._traces[next(iter(self._traces))]
                trace = self._traces[trace_id] = Trace(span_id)
            elif len(trace.open_span_ids) < _MAX_OPEN_SPANS:
                trace.open_span_ids.add(span_id)
            if root is not None and trace.root is None:
                trace.root, trace.root_id = root, root_id
            return trace

    def span_ended(self, trace_id: int, span_id: int, span: RootSpan) -> PageFacts | None:
        """A span ended; the page that this completes, if any."""
        with self._lock:
            trace = self._traces.get(trace_id)
            if trace is not None:
                open_span_ids = trace.open_span_ids
                open_span_ids.discard(span_id)
                if not open_span_ids:
                    del self._traces[trace_id]
                if span_id == trace.root_id:
                    trace.root = span
            page = self._pages.get(trace_id) if self._pages else None
            if page is None or span_id != self._root_ids[trace_id]:
                return None
            _complete(page, span)
            return page

    def page_of(self, trace_id: int, trace: Trace) -> PageFacts:
        """The page for an entry of this trace."""
        if trace.root is None and self._run is not None and trace_id not in self._pages:
            return self._run  # as most are of programs without spans of their own; nothing is to be made for it
        with self._lock:
            if trace.page is None:
                trace.page = self._pages.get(trace_id) or self._new_page(trace_id, trace)
            return trace.page or self._run_page()

    def _new_page(self, trace_id: int, trace: Trace) -> PageFacts | None:
        root = trace.root
        if root is None or len(self._pages) + 1 >= self._max_pages:
            return None
        page = PageFacts(f"trace_{trace_id:032x}", root.name, root.start_time or self._started_unix_ns)
        _complete(page, root)
        self._pages[trace_id] = page
        self._root_ids[trace_id] = trace.root_id
        return page

    def _run_page(self) -> PageFacts:
        if self._run is None:
            self._run = PageFacts(
                self._run_id, (_title_of(self._title) or command_line())[:_MAX_TITLE], self._started_unix_ns
            )
        return self._run


@guarded("the program's title of the page", BaseException)
def _title_of(title: Callable[[], str]) -> str:
    return str(title())


def command_line() -> str:
    """The command that started the program, as a shell would take it: the title of the run's page."""
    program, *arguments = sys.argv or [""]
    name = Path(program).name or "python"
    return shlex.join([name, *arguments])


def _complete(page: PageFacts, root: RootSpan) -> None:
    page.title = root.name[:_MAX_TITLE]
    if root.start_time is not None and root.end_time is not None:
        page.on_load_ms = round(max(0, root.end_time - root.start_time) / 1e6, 3)
