"""Child processes of a recorded program record to files of their own, to their end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from otel_har.har.checker import check
from servers.releases import OTEL_IS_PASSED_ON

if TYPE_CHECKING:
    from pathlib import Path

    from servers import InstrumentedRunner, RecordingServer


def _paths(har: Path, server: RecordingServer) -> list[str]:
    assert [] == list(check(har))
    entries = json.loads(har.read_text())["log"]["entries"]
    return [entry["request"]["url"].removeprefix(server.url("")) for entry in entries]


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_multiprocessing(
    run_instrumented: InstrumentedRunner, server: RecordingServer, method: str
) -> None:
    """Each child's exchange is in its own file, the program's in the program's, where children are instrumented."""
    run = run_instrumented(f"""
        import multiprocessing, requests
        from harness import BASE
        def work(number):
            requests.get(BASE + '/item/%d' % number)
        if __name__ == '__main__':
            requests.get(BASE + '/item/before')
            context = multiprocessing.get_context({method!r})
            children = [context.Process(target=work, args=(number,)) for number in range(2)]
            [child.start() for child in children]
            [child.join() for child in children]
            requests.get(BASE + '/item/after')
    """)
    assert (0, "") == (run.returncode, run.stderr)
    assert ["/item/before", "/item/after"] == _paths(run.har_path, server)
    others = [path for path in run.har_path.parent.glob("*.har") if path != run.har_path]
    is_instrumented = method == "fork" or OTEL_IS_PASSED_ON
    expected = [["/item/0"], ["/item/1"]] if is_instrumented else []
    assert expected == sorted(_paths(path, server) for path in others)


def test_a_pool_of_processes(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """What the workers of a process pool did is in their files."""
    run = run_instrumented("""
        import concurrent.futures, requests
        from harness import BASE
        def work(number):
            return requests.get(BASE + '/item/%d' % number).status_code
        if __name__ == '__main__':
            with concurrent.futures.ProcessPoolExecutor(2) as pool:
                print(*pool.map(work, range(8)))
    """)
    assert (0, "", "200 200 200 200 200 200 200 200\n") == (run.returncode, run.stderr, run.stdout)
    others = [path for path in run.har_path.parent.glob("*.har") if path != run.har_path]
    assert [f"/item/{number}" for number in range(8)] == sorted(
        requested for path in others for requested in _paths(path, server)
    )
