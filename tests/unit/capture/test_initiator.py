"""The program's frames, and nobody else's."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import otel_har
from otel_har.call_frames import call_frame
from otel_har.capture.initiator import _classified, program_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_har.call_frames import CallFrame, CallPlace


def _called() -> list[CallFrame]:
    return list(map(call_frame, program_frames(10)))


class _Caller:
    def call(self) -> list[CallFrame]:
        return _called()


def test_innermost_first() -> None:
    """The frame that calls comes first, then its callers, with file and line."""
    first, second, third, *_ = _Caller().call()
    assert ["_called", "call", "test_innermost_first"] == [
        name.rpartition(".")[2] for name, _, _ in (first, second, third)
    ]
    assert {__file__} == {file_name for _, file_name, _ in (first, second, third)}
    assert first[2] < second[2] < third[2]


def test_frames_of_python_and_of_installed_packages_are_left_out() -> None:
    """Between this test and its runner there are only frames of pytest, which is installed."""
    frames = list(map(call_frame, program_frames(100)))
    assert ["test_frames_of_python_and_of_installed_packages_are_left_out"] == [name for name, _, _ in frames]


def test_through_python_itself() -> None:
    """Frames of the standard library between the program's own are left out."""
    found: list[CallFrame] = []
    json.loads("{}", object_hook=lambda _: found.extend(_called()))
    assert ["_called", "<lambda>", "test_through_python_itself"] == [name.rpartition(".")[2] for name, _, _ in found]


def test_in_a_thread() -> None:
    """A thread has the frames of what it runs, and no more."""
    with ThreadPoolExecutor(1) as pool:
        frames = pool.submit(_called).result()
    assert ["_called"] == [name for name, _, _ in frames]


@pytest.mark.parametrize("limit", [0, -1])
def test_none(limit: int) -> None:
    """Without a depth there is no walk."""
    assert [] == list(program_frames(limit))


def test_limit() -> None:
    """No more frames than asked for, the innermost ones."""

    def deep(levels: int) -> list[CallFrame]:
        return deep(levels - 1) if levels else list(map(call_frame, program_frames(3)))

    assert ["deep"] * 3 == [name.rpartition(".")[2] for name, _, _ in deep(50)]


def test_a_stack_without_end() -> None:
    """However deep the stack, the walk has an end."""

    def deep(levels: int) -> Sequence[CallFrame | CallPlace]:
        return deep(levels - 1) if levels else program_frames(10_000)

    assert 500 >= len(deep(800))


def test_few_frames_of_a_deep_stack_are_asked_for_their_code(tmp_path: Path) -> None:
    """Every audit hook of a process is called for it: the client's frames do without, and so do those not wanted."""
    program = tmp_path / "shop.py"
    program.write_text("""
import sys
import requests
from otel_har.capture.initiator import program_frames

class Refusing(requests.adapters.BaseAdapter):
    def send(self, request, **options):
        found[:] = program_frames(3, 2)
        raise requests.ConnectionError

def buy():
    try:
        session.get("http://shop.test/")
    except requests.ConnectionError:
        return

def deep(levels):
    return deep(levels - 1) if levels else buy()

session, found, read = requests.Session(), [], []
session.trust_env = False
session.mount("http://", Refusing())
deep(100)
sys.addaudithook(lambda event, args: event == "object.__getattr__" and args[1] == "f_code" and read.append(event))
deep(100)
count = len(read)
print([code.co_name for code, _ in found], count)
""")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)
    assert ("['buy', 'deep', 'deep'] 3\n", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("/srv/app/shop.py", 2),
        ("<string>", 1),
        ("<attrs generated init Thing>", 1),
        ("<ipython-input-1-0123456789ab>", 2),
        ("<stdin>", 2),
        ("<frozen importlib._bootstrap>", 0),
        (json.__file__, 0),
        (asyncio.base_events.__file__, 3),
        (asyncio.queues.__file__, 0),
        (otel_har.__file__, 0),
        ("/usr/lib/python3/dist-packages/requests/sessions.py", 0),
        ("/srv/venv/lib/python3.11/site-packages/aiohttp/client.py", 0),
        ("/srv/venv/lib/python3.11/site-packages/shop/app.py", 1),
        ("/srv/venv/lib/python3.11/site-packages/six.py", 1),
        ("/srv/venv/lib/python3.11/site-packages/wrapt.py", 0),
        ("", 2),
    ],
)
def test_whose_file_it_is(file_name: str, expected: int) -> None:
    """The program's, an installed package's, or what only carries requests."""
    assert expected == _classified(file_name)


def test_a_program_that_is_installed() -> None:
    """Where no frame is the program's own, those of installed packages count that do not carry requests."""
    site = "/srv/venv/lib/python3.11/site-packages"
    names: dict[str, object] = {"program_frames": program_frames, "ThreadPoolExecutor": ThreadPoolExecutor}
    exec(compile("def send():\n    return program_frames(10)", f"{site}/requests/api.py", "exec"), names)  # noqa: S102 - a file name of its own
    exec(compile("def shop():\n    return send()", f"{site}/shop/app.py", "exec"), names)  # noqa: S102 - as above
    exec(  # noqa: S102 - as above
        compile(
            "def run():\n    with ThreadPoolExecutor(1) as pool:\n        return pool.submit(shop).result()",
            f"{site}/x/x.py",
            "exec",
        ),
        names,
    )
    run = names["run"]
    assert callable(run)
    assert [("shop", f"{site}/shop/app.py", 2)] == list(map(call_frame, run()))


@pytest.mark.parametrize("other", ["def call():\n    return 1\n", "def call():\n\n    return 1\n"])
def test_equal_code(other: str) -> None:
    """Functions that are written alike are told by where each of them stands: their code objects are equal."""
    one = compile("def call():\n    return 1\n", "one.py", "exec").co_consts[0]
    another = compile(other, "another.py", "exec").co_consts[0]
    offset = len(one.co_code) - 2  # of the last instruction
    lines = other.count("\n")
    assert [("call", "one.py", 2), ("call", "another.py", lines)] == [
        call_frame((one, offset)),
        call_frame((another, offset)),
    ]
