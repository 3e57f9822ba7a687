"""What looking for the initiator of a request costs, against the least that a request of requests costs itself.

Run it as `python benchmarks/initiator.py [ROUNDS]`. The request goes to an adapter that answers at once, unrecorded, so
that it is less than any request over a network. Printed is the search's part of that, from stacks as deep as is said:
of a program's own frames, of which ten are enough, and of an installed package's, which are all gone through in search
of one of the program, five hundred at most.
"""

from __future__ import annotations

import io
import sys
import timeit
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import BaseAdapter

from otel_har.capture.initiator import program_frames

_FRAMES = 10  # the default
_REPEATED = 1_000
_DEEP = "def deep(levels, work):\n    return deep(levels - 1, work) if levels else work()\n"
_FILES = {"the program's": "/home/user/program.py", "a package's": "/usr/lib/python3/site-packages/package/module.py"}


class _AtOnce(BaseAdapter):
    """Answers without a connection."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, request.url or ""
        response.raw = io.BytesIO(b"{}")
        return response

    def close(self) -> None:
        """Nothing is open."""


def _seconds(work: Callable[[], object], rounds: int) -> float:
    return min(timeit.repeat(work, number=_REPEATED, repeat=rounds)) / _REPEATED


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    session = requests.Session()
    session.mount("http://", _AtOnce())
    request_s = _seconds(lambda: session.get("http://host.test/"), rounds)
    for whose, file_name in _FILES.items():
        names: dict[str, Any] = {}
        exec(compile(_DEEP, file_name, "exec"), names)  # noqa: S102 - the function above, under the name of the file
        for levels in (30, 200, 600):
            search_s = names["deep"](levels, lambda: _seconds(lambda: program_frames(_FRAMES), rounds))
            print(f"{search_s / request_s:6.3f}  {levels} frames, {whose}")


if __name__ == "__main__":
    main()
