"""The process of `BackgroundProcessHarExporter`: reads batches from its standard input, answers each one.

The rule: it ends with the process that started it, however that ends, and not with what is sent to a whole group of
processes: its parent may have something to say until its own end.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import signal
import threading
from typing import Any, BinaryIO

from otel_har.export.interfaces import HarExporter
from otel_har.export.messages import HEADER, batch_of
from otel_har.export.remote import answer_of, done, for_others, made_from, needs_upkeep, path_of

_LOOK_S = 1.0


def main() -> None:
    """Work until the input ends."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    source = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "r+b") as nothing:  # noqa: PTH123 - descriptors
        os.dup2(nothing.fileno(), 0)  # what the exporter reads and prints is not ours
    os.dup2(2, 1)
    _Worker(source, answers).work()


class _Worker:
    """One exporter, and who has it work."""

    def __init__(self, source: BinaryIO, answers: BinaryIO) -> None:
        self._source = source
        self._answers = answers
        self._exporter: HarExporter | None = None
        self._timeout_s = 0.0

    def work(self) -> None:
        """Do what is asked for, until the input ends or the exporter is shut down."""
        is_shut_down = False
        while not is_shut_down and (order := self._next_order()) is not None:
            answer = answer_of(functools.partial(self._do, order))
            is_shut_down = order["do"] == "shutdown"
            said: dict[str, Any] = {
                "number": order["number"],
                "value": answer.value,
                "fault": answer.fault,
                "is_passing": answer.is_passing,
                "errno": answer.errno,
                "needs_upkeep": self._exporter is not None and needs_upkeep(self._exporter),
                "path": path_of(self._exporter) if self._exporter is not None else None,
            }
            if order["do"] == "start" and self._exporter is not None:
                pickled = for_others(self._exporter)
                said["pickled"] = base64.b64encode(pickled).decode() if pickled is not None else None
            try:
                self._answer(said)
            except OSError:  # nobody is there any more
                break
        exporter = self._exporter
        if not is_shut_down and exporter is not None:
            answer_of(lambda: done(exporter, "shutdown", int(self._timeout_s * 1000)))

    def _do(self, order: dict[str, Any]) -> bool:
        if order["do"] == "start":
            return self._start(order)
        if self._exporter is None:
            raise RuntimeError("there is no exporter")
        argument = batch_of(order) if order["do"] == "export" else int(order["timeout_millis"])
        return done(self._exporter, order["do"], argument)

    def _start(self, order: dict[str, Any]) -> bool:
        self._timeout_s = float(order["timeout_s"])
        threading.Thread(target=self._end_with, args=(int(order["parent"]),), daemon=True).start()
        os.chdir(order["directory"])
        self._exporter = made_from(base64.b64decode(order["make"]))
        return True

    def _end_with(self, parent: int) -> None:
        """End when the parent has, should the exporter hang, or somebody else have the pipe open still."""
        pause = threading.Event()
        while os.getppid() == parent:
            pause.wait(_LOOK_S)
        pause.wait(self._timeout_s)
        os._exit(1)

    def _next_order(self) -> dict[str, Any] | None:
        header = self._source.read(HEADER.size)
        if len(header) < HEADER.size:
            return None
        (length,) = HEADER.unpack(header)
        text = self._source.read(length)
        if len(text) < length:
            return None
        order: dict[str, Any] = json.loads(text)
        return order

    def _answer(self, said: dict[str, Any]) -> None:
        text = json.dumps(said).encode()
        self._answers.write(HEADER.pack(len(text)) + text)
        self._answers.flush()


if __name__ == "__main__":
    main()
