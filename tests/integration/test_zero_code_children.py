"""Child processes of multiprocessing record to the program's file, to their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from servers.releases import OTEL_IS_PASSED_ON

if TYPE_CHECKING:
    from servers import InstrumentedRunner, RecordingServer


_NAMES = {"fork": "ForkProcess", "forkserver": "ForkServerProcess", "spawn": "SpawnProcess"}


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_multiprocessing(
    run_instrumented: InstrumentedRunner, server: RecordingServer, method: str
) -> None:
    """Each child's exchange is in the program's file, under the child's name, where children are instrumented."""
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
    own = [("/item/after", "MainProcess"), ("/item/before", "MainProcess")]
    is_instrumented = method == "fork" or OTEL_IS_PASSED_ON
    theirs = [(f"/item/{n}", f"{_NAMES[method]}-{n + 1}") for n in range(2)] if is_instrumented else []
    recorded = [
        (entry["request"]["url"].removeprefix(server.url("")), entry["_otel"]["process"]["name"])
        for entry in run.entries
    ]
    assert sorted(theirs + own) == sorted(recorded)
    assert {page["id"] for page in run.pages} == {entry["pageref"] for entry in run.entries}
    # A fork shares its parent's page, be that the program or the fork server; a new program has one of its own.
    programs = {"fork": 0, "forkserver": 1, "spawn": 2}[method] if is_instrumented else 0
    assert 1 + programs == len(run.pages)


def test_a_pool_of_processes(run_instrumented: InstrumentedRunner, server: RecordingServer) -> None:
    """What the workers of a process pool did is in the program's file."""
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
    requested = sorted(entry["request"]["url"].removeprefix(server.url("")) for entry in run.entries)
    assert [f"/item/{number}" for number in range(8)] == requested
    assert [run.har_path] == list(run.har_path.parent.glob("*.har"))
