"""Pages are traces: which entries share one, what it is called and how long it took."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from servers import CompletedRun, InstrumentedRunner


def _by_page(run: CompletedRun) -> list[tuple[str, list[str]]]:
    """The titles of the pages, each with the last segments of its entries' URLs."""
    return [
        (
            page["title"],
            [entry["request"]["url"].rpartition("/")[2] for entry in run.entries if entry["pageref"] == page["id"]],
        )
        for page in run.pages
    ]


def _instant(item: dict[str, Any]) -> datetime:
    # `fromisoformat` reads a Z only from Python 3.11 on.
    return datetime.fromisoformat(item["startedDateTime"].replace("Z", "+00:00"))


def test_each_trace_is_a_page(run_instrumented: InstrumentedRunner) -> None:
    """A page for each local root span, titled with its name, in order of start, with its entries."""
    run = run_instrumented("""
        import asyncio, aiohttp, requests
        from opentelemetry import trace
        from harness import BASE
        tracer = trace.get_tracer('program')
        async def main():
            async with aiohttp.ClientSession() as session:
                async def load(name):
                    with tracer.start_as_current_span(name):
                        for number in range(2):
                            async with session.get(f'{BASE}/item/{name}-{number}') as response:
                                await response.read()
                await asyncio.gather(load('one'), load('two'))
        with tracer.start_as_current_span('checkout'):
            requests.get(BASE + '/item/a')
            with tracer.start_as_current_span('inner'):
                requests.get(BASE + '/item/b')
        asyncio.run(main())
    """)
    assert (0, "") == (run.returncode, run.stderr)
    assert [("checkout", ["a", "b"]), ("one", ["one-0", "one-1"]), ("two", ["two-0", "two-1"])] == _by_page(run)
    assert 3 == len({entry["_otel"]["traceId"] for entry in run.entries})


def test_requests_without_a_root_share_a_page(run_instrumented: InstrumentedRunner) -> None:
    """Client spans without a local root, each a trace of its own, share one page titled with the command."""
    run = run_instrumented("""
        import requests
        from harness import BASE
        for number in range(3):
            requests.get(f'{BASE}/item/{number}')
    """, args=["--colour", "blue"])  # fmt: skip
    [(title, entries)] = _by_page(run)
    assert ["0", "1", "2"] == entries
    assert "app.py" in title
    assert 3 == len({entry["_otel"]["traceId"] for entry in run.entries})
    assert min(map(_instant, run.entries)) >= _instant(run.pages[0])


def test_both_kinds_of_page_stand_side_by_side(run_instrumented: InstrumentedRunner) -> None:
    """The shared page keeps what has no root, before and after a page of the program's own."""
    run = run_instrumented("""
        import requests
        from opentelemetry import trace
        from harness import BASE
        requests.get(BASE + '/item/before')
        with trace.get_tracer('program').start_as_current_span('own'):
            requests.get(BASE + '/item/own')
        requests.get(BASE + '/item/after')
    """)
    (shared, outside), (own, inside) = _by_page(run)
    assert ("own", ["own"]) == (own, inside)
    assert "app.py" in shared
    assert ["before", "after"] == outside


def test_a_page_takes_as_long_as_its_root_span(run_instrumented: InstrumentedRunner) -> None:
    """The page starts with the root span, and onLoad is its duration in milliseconds."""
    run = run_instrumented("""
        import json, requests
        from opentelemetry import trace
        from harness import BASE
        with trace.get_tracer('program').start_as_current_span('timed') as span:
            requests.get(BASE + '/json')
        print(json.dumps([span.start_time, span.end_time]))
    """)
    start_ns, end_ns = json.loads(run.stdout)
    [page] = run.pages
    assert abs((end_ns - start_ns) / 1e6 - page["pageTimings"]["onLoad"]) < 1
    assert abs(_instant(page).timestamp() - start_ns / 1e9) < 0.002
    assert _instant(run.entries[0]) >= _instant(page)
    assert -1 == page["pageTimings"]["onContentLoad"]


def test_entries_know_their_spans(run_instrumented: InstrumentedRunner) -> None:
    """`_otel` has the trace and the innermost span of the program as parent; without one there is no parent."""
    run = run_instrumented("""
        import json, requests
        from opentelemetry import trace
        from harness import BASE
        with trace.get_tracer('program').start_as_current_span('root'):
            with trace.get_tracer('program').start_as_current_span('inner') as span:
                requests.get(BASE + '/json')
        requests.get(BASE + '/json')
        context = span.get_span_context()
        print(f'{context.trace_id:032x} {context.span_id:016x}')
    """)
    inside, outside = (entry["_otel"] for entry in run.entries)
    assert run.stdout.split() == [inside["traceId"], inside["parentSpanId"]]
    assert inside["spanId"] != inside["parentSpanId"]
    assert "parentSpanId" not in outside


def test_a_remote_parent_does_not_hide_the_local_root(run_instrumented: InstrumentedRunner) -> None:
    """A span whose parent is in another process is the local root, and the page."""
    run = run_instrumented("""
        import requests
        from opentelemetry import propagate, trace
        from harness import BASE
        remote = propagate.extract({'traceparent': '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01'})
        with trace.get_tracer('program').start_as_current_span('serve', context=remote):
            requests.get(BASE + '/item/x')
    """)
    assert [("serve", ["x"])] == _by_page(run)
    assert "0123456789abcdef0123456789abcdef" == run.entries[0]["_otel"]["traceId"]


def test_a_root_span_that_never_ends_keeps_its_entries(run_instrumented: InstrumentedRunner) -> None:
    """A program that exits inside its root span has a valid file with every entry."""
    run = run_instrumented("""
        import os, requests
        from opentelemetry import trace
        from harness import BASE
        span = trace.get_tracer('program').start_span('endless')
        with trace.use_span(span):
            requests.get(BASE + '/item/x')
    """)
    assert (0, "") == (run.returncode, run.stderr)
    assert ["x"] == [name for _, names in _by_page(run) for name in names]
    assert {-1} == {page["pageTimings"]["onLoad"] for page in run.pages}


def test_a_trace_without_requests_is_no_page(run_instrumented: InstrumentedRunner) -> None:
    """Every page has an entry: traces without HTTP are none."""
    run = run_instrumented("""
        import requests
        from opentelemetry import trace
        from harness import BASE
        with trace.get_tracer('program').start_as_current_span('silent'):
            pass
        with trace.get_tracer('program').start_as_current_span('talking'):
            requests.get(BASE + '/item/x')
    """)
    assert [("talking", ["x"])] == _by_page(run)


def test_a_body_read_after_the_root_span_is_on_its_page(run_instrumented: InstrumentedRunner) -> None:
    """A streamed body that outlives its trace's root span is recorded whole, on that page."""
    run = run_instrumented("""
        import requests
        from opentelemetry import trace
        from harness import BASE
        with trace.get_tracer('program').start_as_current_span('opened'):
            response = requests.get(BASE + '/stream', stream=True)
        print(response.text)
    """)
    assert [("opened", ["stream"])] == _by_page(run)
    assert "first line\nsecond line\nthird line\n" == run.entries[0]["response"]["content"]["text"]
