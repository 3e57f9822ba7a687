"""Recorded processes that a test tells what to do, and may kill; one that has imported everything forks them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from servers.programs import CHILD_TIMEOUT_S, read_checked

if TYPE_CHECKING:
    from types import TracebackType

    from servers.server import RecordingServer

_PROGRAM = Path(__file__).with_name("nursery.py")


class OrderError(AssertionError):
    """What a recorded process was told to do raised."""


class Nursery:
    """The process that the others are forked from."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        foreign = ("OTEL_", "COVERAGE_", "COV_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), str(theirs.fileno())], pass_fds=[theirs.fileno()], env=env
        )
        theirs.close()

    def close(self) -> None:
        """End it."""
        self._control.close()
        self._process.wait(CHILD_TIMEOUT_S)

    def fork(self, server: RecordingServer) -> RecordedProcess:
        """A new process, which sends its requests to the server."""
        ours, theirs = socket.socketpair()
        socket.send_fds(self._control, [b"!"], [theirs.fileno()])
        theirs.close()
        return RecordedProcess(ours, server)


class RecordedProcess:
    """One of them. It ends, unasked, at the end of the `with` block."""

    def __init__(self, channel: socket.socket, server: RecordingServer) -> None:
        channel.settimeout(CHILD_TIMEOUT_S)
        self._channel = channel
        self._answers = channel.makefile("r", encoding="utf-8")
        self._server = server
        self.pid = int(self._answers.readline())
        self._handle = os.pidfd_open(self.pid)  # type: ignore[attr-defined,unused-ignore] # Linux only

    def __enter__(self) -> RecordedProcess:  # noqa: PYI034 - `Self` is not in typing of 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._answers.close()
        self._channel.close()
        os.close(self._handle)

    def record(self, path: Path, **settings: Any) -> RecordedProcess:
        """Begin to record to a file; see `nursery.Recorder.begin`. Writes every 20 ms unless told otherwise."""
        self.order("begin", str(path), **{"schedule_delay_millis": 20, **settings})
        return self

    def url(self, target: str) -> str:
        """The absolute URL of a target of its server."""
        return self._server.url(target)

    def get(self, *targets: str) -> float:
        """Request the targets one after the other; the longest time that one of them took, seconds."""
        longest: float = self.order("get", *(self.url(target) for target in targets))
        return longest

    def flush(self) -> bool:
        """Whether everything was exported."""
        done: bool = self.order("flush")
        return done

    def shutdown(self) -> float:
        """End the recording; how long that took, seconds."""
        seconds: float = self.order("shutdown")
        return seconds

    def path(self) -> Path:
        """The file that is written."""
        return Path(self.order("path"))

    def logged(self) -> list[str]:
        """What our logger said in it since this was asked last."""
        said: list[str] = self.order("logged")
        return said

    def do(self, name: str, *args: Any) -> Any:
        """Have it call a function, as in `os:setuid`."""
        return self.order("do", name, *args)

    def order(self, name: str, *args: Any, **settings: Any) -> Any:
        """Have it do something, and wait for that.

        Raises:
            OrderError: When that raised.
        """
        self.send(name, *args, **settings)
        answer = self.hear()
        if answer is None:
            raise OrderError(f"{name}: the process has ended")
        if "fault" in answer:
            raise OrderError(answer["fault"], answer["trace"])
        return answer["value"]

    def send(self, name: str, *args: Any, **settings: Any) -> None:
        """Tell it what to do, and go on."""
        self._channel.sendall(json.dumps([name, args, settings]).encode() + b"\n")

    def hear(self) -> Any:
        """The next thing that it tells; None when it has ended."""
        try:
            line = self._answers.readline()
        except ConnectionResetError:
            return None
        return json.loads(line) if line.endswith("\n") else None

    def kill(self) -> None:
        """End it by SIGKILL, and wait until its files are closed."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)  # type: ignore[attr-defined,unused-ignore] # Linux only
        self.wait()

    def wait(self) -> None:
        """Wait until it has ended."""
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        assert poll.poll(CHILD_TIMEOUT_S * 1000), f"process {self.pid} does not end"


def targets(har_path: Path) -> list[str]:
    """What the entries of a file asked for, of a file which the checker has no complaint about."""
    urls = [urlsplit(entry["request"]["url"]) for entry in read_checked(har_path)["log"]["entries"]]
    return [url._replace(scheme="", netloc="").geturl() for url in urls]
