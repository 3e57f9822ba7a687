"""The process of `BackgroundProcessHarExporter`: reads batches from its standard input, answers each one.

The rule: it ends with the process that started it, however that ends, and not with what is sent to a whole group of
processes: its parent may have something to say until its own end.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections import deque
from dataclasses import replace
from typing import Any, BinaryIO

from otel_har.export.background.messages import HEADER, members_of, message, unpacked
from otel_har.export.building import build, made_of, taken_from
from otel_har.export.elsewhere import EntryForm
from otel_har.export.interfaces import HarExporter
from otel_har.export.remote import Made, answer_of, done, for_others, made_from, needs_upkeep, path_of
from otel_har.filters import EVERYTHING
from otel_har.mapping.options import DEFAULT_OPTIONS
from otel_har.redaction.policy import DEFAULT_POLICY
from otel_har.redaction.redactor import DEFAULT_REDACTOR, Redactor

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
        self._packed_form = b""
        self._form = EntryForm(DEFAULT_OPTIONS, DEFAULT_POLICY, EVERYTHING)
        self._redactor = DEFAULT_REDACTOR
        self._made: Made | None = None

    def work(self) -> None:
        """Do what is asked for, until the input ends or the exporter is shut down."""
        is_shut_down = False
        while not is_shut_down and (order := self._next_order()) is not None:
            self._made = None
            answer = answer_of(functools.partial(self._do, order))
            is_shut_down = order["do"] == "shutdown"
            exporter = self._exporter
            if exporter is not None:
                pickled = for_others(exporter) if order["do"] == "start" else None
                upkeep, path = needs_upkeep(exporter), path_of(exporter)
                answer = replace(answer, needs_upkeep=upkeep, path=path, pickled=pickled, made=self._made)
            try:
                self._answers.write(message({"number": order["number"], "answer": answer}))
                self._answers.flush()
            except OSError:  # nobody is there any more
                break
        exporter = self._exporter
        if not is_shut_down and exporter is not None:
            answer_of(lambda: done(exporter, "shutdown", int(self._timeout_s * 1000)))

    def _do(self, order: dict[str, Any]) -> bool:
        if order["do"] == "start":
            return self._start(order)
        exporter = self._exporter
        if exporter is None:
            raise RuntimeError("there is no exporter")
        if order["do"] == "export_records":
            return self._export_records(exporter, order)
        return done(exporter, order["do"], order["batch"] if order["do"] == "export" else order["timeout_millis"])

    def _export_records(self, exporter: HarExporter, order: dict[str, Any]) -> bool:
        """Make the batch here."""
        if order["form"] != self._packed_form:
            form: EntryForm = unpacked(order["form"])
            self._redactor = Redactor(form.redaction)
            self._form, self._packed_form = form, order["form"]
        left = deque(unpacked(order["items"]))
        count = len(left)
        built = build(taken_from(left), self._form.options, self._redactor, self._form.filter)
        batch = replace(built.batch, statistics=order["untold"] + built.batch.statistics)
        self._made = made_of(built, count - len(left), batch.statistics)
        return self._made.is_empty or done(exporter, "export", batch)

    def _start(self, order: dict[str, Any]) -> bool:
        self._timeout_s = order["timeout_s"]
        threading.Thread(target=self._end_with, args=(order["parent"],), daemon=True).start()
        os.chdir(order["directory"])
        self._exporter = made_from(order["make"])
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
        return members_of(text) if len(text) == length else None


if __name__ == "__main__":
    main()
