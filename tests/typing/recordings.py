"""Recordings as users write them: what mypy makes of them. It is read, and not run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

from otel_har import (
    NO_REDACTION,
    CaptureLimits,
    FileHarExporter,
    FileRecording,
    HarExporter,
    ModelRecording,
    Recording,
    RedactionPolicy,
    record,
    record_to_file,
    record_to_logger,
    record_to_model,
)
from otel_har.har.models import Entry, Har


def context_managers() -> None:
    with record_to_file("out.har", indent=2, live=True, redaction=NO_REDACTION) as recording:
        assert_type(recording, FileRecording)
        assert_type(recording.path, Path)
        assert_type(recording.exporter, HarExporter | None)
        assert_type(recording.is_recording, bool)
        assert_type(recording.force_flush(), bool)
    with record_to_model(context_only=True) as model:
        assert_type(model, ModelRecording)
        assert_type(model.har, Har)
        assert_type(model.har.log.entries[0], Entry)
        assert_type(model.har.log.entries[0].response.status, int)
    with record_to_logger(logging.getLogger("http"), logging.INFO, new_entry_message="exchange") as logged:
        assert_type(logged, Recording)
    with record(FileHarExporter("out.har"), limits=CaptureLimits(max_body_bytes=0)) as recorded:
        assert_type(recorded, Recording)


async def async_context_managers() -> None:
    async with record_to_file(Path("out.har"), interval_seconds=0.5, in_background="process") as recording:
        assert_type(recording, FileRecording)
    async with record_to_model() as model:
        assert_type(model, ModelRecording)


def starts_and_stops() -> None:
    recording = record_to_file("out.har").start()
    assert_type(recording, FileRecording)
    recording.stop()
    assert_type(record_to_model().start(), ModelRecording)


@record_to_file("out.har")
def add(one: int, *, other: str) -> float:
    return one + float(other)


@record_to_model()
async def add_later(one: int) -> float:
    return float(one)


class Shop:
    @record_to_file("out.har")
    def price(self, name: str) -> int:
        return len(name)


async def decorators_keep_types() -> None:
    assert_type(add(1, other="2"), float)
    assert_type(await add_later(1), float)
    later: Callable[[int], Coroutine[Any, Any, float]] = add_later
    assert later is not None
    assert_type(Shop().price("tea"), int)
    price: Callable[[Shop, str], int] = Shop.price
    assert price is not None


def policies() -> None:
    policy = RedactionPolicy(mode="strict", headers=("x-key",), redactor=without_cookies)
    assert_type(policy, RedactionPolicy)
    record_to_file("out.har", redaction=policy)


def without_cookies(entry: Entry) -> Entry | None:
    return entry.model_copy(update={"response": entry.response.model_copy(update={"cookies": ()})})


def mistakes() -> None:
    """Each is an error of mypy's: an ignore that none needs is one, too."""
    record_to_file("out.har", in_background="fork")  # type: ignore[arg-type]
    record_to_file("out.har", "2")  # type: ignore[arg-type]
    record_to_file(3)  # type: ignore[arg-type]
    record_to_file("out.har", redact=True)  # type: ignore[call-arg]
    record_to_logger(in_background="process")  # type: ignore[arg-type]
    record("out.har")  # type: ignore[arg-type]
    RedactionPolicy(mode="everything")  # type: ignore[arg-type]
    add("1", other="2")  # type: ignore[arg-type]
    record_to_model().har.log.nothing  # type: ignore[attr-defined] # noqa: B018 - it need not do anything
