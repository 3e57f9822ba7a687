"""Clients that OpenTelemetry instruments and nobody hooks are recorded from their spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from servers import InstrumentedRunner, RecordingServer


@pytest.mark.parametrize("naming", ["", "http", "http/dup"])
def test_a_client_without_hooks_is_recorded_from_its_spans(
    run_instrumented: InstrumentedRunner, server: RecordingServer, naming: str
) -> None:
    """A request of urllib is one entry, which says where it comes from, beside one of requests with its body."""
    run = run_instrumented(
        """
        import urllib.request, requests
        from harness import BASE
        with urllib.request.urlopen(BASE + '/json?by=urllib') as response:
            response.read()
        requests.get(BASE + '/json?by=requests')
        """,
        env={"OTEL_SEMCONV_STABILITY_OPT_IN": naming},
    )
    assert (0, "") == (run.returncode, run.stderr)
    assert [server.url("/json?by=urllib"), server.url("/json?by=requests")] == [
        entry["request"]["url"] for entry in run.entries
    ]
    from_span, hooked = run.entries
    assert ("GET", 200) == (from_span["request"]["method"], from_span["response"]["status"])
    assert ("unread", True) == (from_span["response"]["content"]["_bodyState"], "span" in from_span["comment"])
    assert "text" in hooked["response"]["content"]
