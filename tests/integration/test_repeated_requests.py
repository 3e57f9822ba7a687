"""Requests that a client sends again: every attempt is an entry, each as the server saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from servers import assert_same_exchange, body_of
from servers.comparison import assert_same_request

if TYPE_CHECKING:
    from servers import InstrumentedRunner, RecordingServer

_RETRYING = """
    import io, requests
    from harness import BASE
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry
    def session_with(**options):
        session = requests.Session()
        retry = Retry(backoff_factor=0, allowed_methods=None, raise_on_status=False, **options)
        session.mount("http://", HTTPAdapter(max_retries=retry))
        return session
"""


def _statuses(entries: list[dict[str, Any]]) -> list[int]:
    return [entry["response"]["status"] for entry in entries]


def test_answers_that_urllib3_refuses(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """Of each earlier attempt urllib3 remembers the status; the last one is recorded whole."""
    run = run_instrumented(
        _RETRYING
        + """
    with session_with(total=2, status_forcelist=[500]) as session:
        print(session.post(BASE + "/status/500", data=b"the body").status_code)
    """
    )
    assert (0, "500\n", "") == (run.returncode, run.stdout, run.stderr)
    assert [500, 500, 500] == _statuses(run.entries)
    for entry, exchange in zip(run.entries, server.exchanges, strict=True):
        assert_same_request(entry, exchange, server)
        assert "the body" == entry["request"]["postData"]["text"]
    assert_same_exchange(run.entries[-1], server.exchanges[-1], server)
    assert ["unread", "unread", None] == [entry["response"]["content"].get("_bodyState") for entry in run.entries]
    assert 1 == len({entry["_otel"]["spanId"] for entry in run.entries})
    starts = [entry["startedDateTime"] for entry in run.entries]
    assert sorted(set(starts)) == starts


def test_connections_that_break(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """Each attempt has its own connection, and none has an answer."""
    run = run_instrumented(
        _RETRYING
        + """
    with session_with(total=2) as session:
        try:
            session.get(BASE + "/reset")
        except requests.ConnectionError as error:
            print(type(error).__name__)
    """
    )
    assert (0, "ConnectionError\n", "") == (run.returncode, run.stdout, run.stderr)
    assert [0, 0, 0] == _statuses(run.entries)
    for entry, exchange in zip(run.entries, server.exchanges, strict=True):
        assert_same_request(entry, exchange, server)
    assert 3 == len({entry["_connectionId"] for entry in run.entries})
    assert ["sent the request again"] * 2 == [entry["response"]["_error"][-22:] for entry in run.entries[:2]]
    assert "ConnectionError" in run.entries[2]["response"]["_error"]


def test_a_file_that_is_sent_again(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """The client rewinds the file; each attempt has what was sent of it."""
    run = run_instrumented(
        _RETRYING
        + """
    with session_with(total=1, status_forcelist=[500]) as session:
        print(session.put(BASE + "/status/500", data=io.BytesIO(b"from a file")).status_code)
    """
    )
    assert (0, "500\n", "") == (run.returncode, run.stdout, run.stderr)
    for entry, exchange in zip(run.entries, server.exchanges, strict=True):
        assert_same_request(entry, exchange, server)
        assert "from a file" == body_of(entry["request"]["postData"])


def test_refused_connections(run_instrumented: InstrumentedRunner) -> None:
    """Attempts that never came to sending are entries too, with their address."""
    run = run_instrumented(
        _RETRYING
        + """
    from harness import UNUSED
    with session_with(total=2) as session:
        try:
            session.get(UNUSED + "/x")
        except requests.ConnectionError as error:
            print(type(error).__name__)
    """
    )
    assert (0, "ConnectionError\n", "") == (run.returncode, run.stdout, run.stderr)
    assert [0, 0, 0] == _statuses(run.entries)
    assert ["127.0.0.1"] * 3 == [entry["serverIPAddress"] for entry in run.entries]
    assert all(entry["timings"]["connect"] > 0 for entry in run.entries)


def test_a_redirect_that_leads_nowhere(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """The hop that failed is an entry of its own, with where it went and why it failed."""
    run = run_instrumented("""
        import requests
        from harness import BASE, UNUSED
        try:
            requests.post(BASE + "/redirect-to?" + UNUSED + "/gone", data=b"x")
        except requests.ConnectionError as error:
            print(type(error).__name__)
    """)
    assert (0, "ConnectionError\n", "") == (run.returncode, run.stdout, run.stderr)
    first, second = run.entries
    assert_same_exchange(first, server.exchanges[0], server)
    assert first["response"]["redirectURL"] == second["request"]["url"]
    assert ("GET", 0) == (second["request"]["method"], second["response"]["status"])
    assert "ConnectionError" in second["response"]["_error"]
    assert second["connection"] == first["response"]["redirectURL"].rpartition(":")[2].removesuffix("/gone")
    assert first["startedDateTime"] < second["startedDateTime"]


def test_a_redirect_whose_answer_is_reset(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """The hop that was sent and not answered is recorded as the server saw it."""
    run = run_instrumented("""
        import requests
        from harness import BASE
        try:
            requests.get(BASE + "/redirect-to?" + BASE + "/reset")
        except requests.ConnectionError as error:
            print(type(error).__name__)
    """)
    assert (0, "ConnectionError\n", "") == (run.returncode, run.stdout, run.stderr)
    for entry, exchange in zip(run.entries, server.exchanges, strict=True):
        assert_same_request(entry, exchange, server)
    assert [302, 0] == _statuses(run.entries)


def test_a_request_of_a_hook_is_not_a_repetition(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """A program's hook may ask for something else in between: entries are what they were."""
    run = run_instrumented("""
        import requests
        from harness import BASE
        def hook(response, **kwargs):
            if "redirect/1" in response.url:
                print(requests.get(BASE + "/json?inner").status_code)
        print(requests.get(BASE + "/redirect/1", hooks={"response": hook}).status_code)
    """)
    assert (0, "200\n200\n", "") == (run.returncode, run.stdout, run.stderr)
    outer = [exchange for exchange in server.exchanges if "inner" not in exchange.request.target]
    for entry, exchange in zip(run.entries, outer, strict=True):
        assert_same_exchange(entry, exchange, server)
