"""Which page an entry belongs to."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from otel_har.pages import PageBook, Trace, command_line

START_NS = 1_900_000_000_000_000_000
MANY = 10_050


@dataclass
class _Root:
    name: str = "GET /users"
    start_time: int | None = START_NS
    end_time: int | None = None


def _book(max_pages: int = 100) -> PageBook:
    return PageBook(max_pages, lambda: "the command")


def _trace(book: PageBook, trace_id: int) -> Trace:
    """The trace as who saw it start knows it; one that nobody saw is empty."""
    return book._traces.get(trace_id) or Trace(0)


def test_trace_is_a_page() -> None:
    """A trace with a local root span is a page of that span's name and start; how long it took is known at its end."""
    book, root = _book(), _Root()
    book.span_started(1, 10, root, 10)
    page = book.page_of(1, _trace(book, 1))
    assert (f"trace_{1:032x}", "GET /users", START_NS, -1) == (
        page.id,
        page.title,
        page.started_unix_ns,
        page.on_load_ms,
    )
    root.end_time = START_NS + 12_345_678
    assert book.span_ended(1, 10, root) is page
    assert 12.346 == page.on_load_ms


def test_entries_of_a_trace_share_its_page() -> None:
    """One trace is one page, two are two."""
    book = _book()
    for trace_id in (1, 2):
        book.span_started(trace_id, 10, _Root(), 10)
    assert book.page_of(1, _trace(book, 1)) is book.page_of(1, _trace(book, 1))
    assert book.page_of(1, _trace(book, 1)) is not book.page_of(2, _trace(book, 2))


def test_run_page() -> None:
    """Without a root span of the program's own, entries share the page of the run."""
    book = _book()
    book.span_started(1, 11)
    book.span_started(2, 11)
    page = book.page_of(1, _trace(book, 1))
    assert page is book.page_of(2, _trace(book, 2))
    assert (f"run_{os.getpid()}", "the command", -1) == (page.id, page.title, page.on_load_ms)


def test_title_is_asked_for_when_it_is_needed() -> None:
    """A program whose entries all have pages of their own needs no title of the run."""
    asked: list[int] = []

    def title() -> str:
        asked.append(1)
        return "x"

    book = PageBook(10, title)
    book.span_started(1, 10, _Root(), 10)
    book.page_of(1, _trace(book, 1))
    assert [] == asked
    book.page_of(2, _trace(book, 2))
    book.page_of(3, _trace(book, 3))
    assert [1] == asked


def test_most_pages() -> None:
    """Traces over the limit share the page of the run, which counts as one."""
    book, pages = _book(3), set()
    for trace_id in range(10):
        book.span_started(trace_id, 10, _Root(), 10)
        pages.add(book.page_of(trace_id, _trace(book, trace_id)).id)
    assert {f"trace_{0:032x}", f"trace_{1:032x}", f"run_{os.getpid()}"} == pages


def test_one_page_is_the_run() -> None:
    """A limit of one, and anything below, is the page of the run."""
    for most in (1, 0, -5):
        book = _book(most)
        book.span_started(1, 10, _Root(), 10)
        assert f"run_{os.getpid()}" == book.page_of(1, _trace(book, 1)).id


def test_trace_over_the_limit_completes_nothing() -> None:
    """A root span whose trace has no page of its own changes no page."""
    book, root = _book(1), _Root(end_time=START_NS + 1)
    book.span_started(1, 10, root, 10)
    page = book.page_of(1, _trace(book, 1))
    assert book.span_ended(1, 10, root) is None
    assert -1 == page.on_load_ms


def test_root_renamed_before_the_entry() -> None:
    """Frameworks name the root span late: the name that it has when the page is needed counts."""
    book, root = _book(), _Root("HTTP")
    book.span_started(1, 10, root, 10)
    root.name = "GET /users/{id}"
    assert "GET /users/{id}" == book.page_of(1, _trace(book, 1)).title


def test_root_renamed_after_the_entry() -> None:
    """The name at the root span's end is the last word."""
    book, root = _book(), _Root("HTTP")
    book.span_started(1, 10, root, 10)
    page = book.page_of(1, _trace(book, 1))
    root.name, root.end_time = "GET /users/{id}", START_NS + 1_000_000
    assert book.span_ended(1, 10, root) is page
    assert ("GET /users/{id}", 1) == (page.title, page.on_load_ms)


def test_root_ends_before_its_entry() -> None:
    """A body that is read after its trace has ended belongs to the trace's page, duration included."""
    book, root = _book(), _Root()
    book.span_started(1, 10, root, 10)
    book.span_started(1, 11)
    trace = _trace(book, 1)
    root.end_time = START_NS + 5_000_000
    assert book.span_ended(1, 10, root) is None
    book.span_ended(1, 11, _Root())
    page = book.page_of(1, trace)
    assert (f"trace_{1:032x}", 5) == (page.id, page.on_load_ms)


def test_entry_without_page_changes_nothing() -> None:
    """A trace without entries completes no page: a page without entries breaks readers."""
    book, root = _book(), _Root(end_time=START_NS + 1)
    book.span_started(1, 10, root, 10)
    assert book.span_ended(1, 10, root) is None


def test_other_spans_complete_nothing() -> None:
    """Only the root span's end is the page's end."""
    book, root = _book(), _Root()
    book.span_started(1, 10, root, 10)
    book.span_started(1, 11)
    page = book.page_of(1, _trace(book, 1))
    assert book.span_ended(1, 11, _Root(end_time=START_NS + 1)) is None
    assert -1 == page.on_load_ms


def test_first_root_completes_the_page() -> None:
    """A second local root of one trace, as a remote parent may cause, joins the page and does not change it."""
    book = _book()
    first, second = _Root("first"), _Root("second", end_time=START_NS + 9_000_000)
    book.span_started(1, 10, first, 10)
    page = book.page_of(1, _trace(book, 1))
    first.end_time = START_NS + 1_000_000
    assert book.span_ended(1, 10, first) is page
    book.span_started(1, 20, second, 20)
    assert page is book.page_of(1, _trace(book, 1))
    assert book.span_ended(1, 20, second) is None
    assert ("first", 1) == (page.title, page.on_load_ms)


def test_root_seen_late() -> None:
    """A root span that is first known through a later child names the page all the same."""
    book = _book()
    book.span_started(1, 11)
    book.span_started(1, 10, _Root(), 10)
    assert f"trace_{1:032x}" == book.page_of(1, _trace(book, 1)).id


def test_root_that_was_not_seen_to_start() -> None:
    """A root span that began before the recording may end before its child does: the child keeps its page."""
    book, root = _book(), _Root()
    book.span_started(1, 11, root, 10)  # the child: its parent is the root
    root.end_time = START_NS + 1_000_000
    book.span_ended(1, 10, root)
    assert f"trace_{1:032x}" == book.page_of(1, _trace(book, 1)).id


def test_root_that_was_not_seen_completes_its_page() -> None:
    """A root span that began before the recording ends its page, though every child has ended before it."""
    book, root = _book(), _Root()
    book.span_started(1, 11, root, 10)
    page = book.page_of(1, _trace(book, 1))
    book.span_ended(1, 11, _Root())
    root.end_time = START_NS + 1_000_000
    assert book.span_ended(1, 10, root) is page
    assert 1 == page.on_load_ms


def test_span_that_was_not_seen_to_start() -> None:
    """A span that began before the recording ends without harm."""
    assert _book().span_ended(1, 10, _Root()) is None


def test_traces_that_never_end_are_bounded() -> None:
    """Spans that nobody ends do not fill the memory, and the newest traces are the ones that count."""
    book = _book(MANY + 10)
    for trace_id in range(MANY):
        book.span_started(trace_id, 10, _Root(), 10)
    assert len(book._traces) <= 10_000
    assert f"trace_{MANY - 1:032x}" == book.page_of(MANY - 1, _trace(book, MANY - 1)).id
    assert f"run_{os.getpid()}" == book.page_of(0, _trace(book, 0)).id


def test_ended_traces_are_forgotten() -> None:
    """What has ended holds nothing but its page."""
    book = _book()
    for trace_id in range(50):
        book.span_started(trace_id, 10, _Root(), 10)
        book.span_ended(trace_id, 10, _Root())
    assert {} == book._traces


def test_long_titles_are_cut() -> None:
    """The tail of a file holds all titles: each is bounded, from the first."""
    book, root = PageBook(10, lambda: "y" * 10_000), _Root("x" * 10_000)
    book.span_started(1, 10, root, 10)
    page = book.page_of(1, _trace(book, 1))
    assert [500, 500] == [len(page.title), len(book.page_of(2, _trace(book, 2)).title)]
    root.end_time = START_NS + 1
    book.span_ended(1, 10, root)
    assert 500 == len(page.title)


def test_clock_that_goes_back() -> None:
    """A duration is never negative."""
    book, root = _book(), _Root(end_time=START_NS - 5)
    book.span_started(1, 10, root, 10)
    assert 0 == book.page_of(1, _trace(book, 1)).on_load_ms


def test_root_without_a_start() -> None:
    """A root span that does not say when it started began with the recording."""
    book = _book()
    book.span_started(1, 10, _Root(start_time=None), 10)
    page = book.page_of(1, _trace(book, 1))
    assert page.started_unix_ns > 0
    assert -1 == page.on_load_ms


def test_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is named as a shell would take it, without the program's directory."""
    monkeypatch.setattr(sys, "argv", ["/opt/app/main.py", "--name", "two words", "$x"])
    assert "main.py --name 'two words' '$x'" == command_line()
    for nothing in ([], [""]):
        monkeypatch.setattr(sys, "argv", nothing)
        assert "python" == command_line()


def test_spans_of_one_trace_that_never_end_are_bounded() -> None:
    """A trace that goes on for ever, with spans that nobody ends, holds no more than so many of them."""
    book = _book()
    for span_id in range(MANY):
        book.span_started(1, span_id)
    assert 10_000 == len(_trace(book, 1).open_span_ids)


@pytest.mark.parametrize("gives", ["raises", "exits", "nothing", "a number"])
def test_a_title_that_cannot_be_had_is_the_command_line(gives: str) -> None:
    """What the program's function raises costs no entry; it is asked once."""
    asked: list[int] = []

    def title() -> Any:
        asked.append(1)
        if gives == "raises":
            raise ValueError("the program's own")
        if gives == "exits":
            sys.exit(3)
        return {"nothing": "", "a number": 7}[gives]

    book = PageBook(10, title)
    for trace_id in (1, 2):
        book.span_started(trace_id, 10)
        page = book.page_of(trace_id, _trace(book, trace_id))
        assert ("7" if gives == "a number" else command_line()[:500]) == page.title
    assert [1] == asked
