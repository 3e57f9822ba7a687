"""Where handlers of signals are installed, and where not."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from otel_har import BatchHarProcessor, HarSpanProcessor, shut_down_on_signals
from otel_har.signals import DelayedDefault
from otel_har.testing import InMemoryHarExporter

if TYPE_CHECKING:
    from collections.abc import Iterator

BOTH = frozenset({signal.SIGTERM, signal.SIGHUP})


@pytest.fixture(autouse=True)
def default_dispositions() -> Iterator[None]:
    """Both signals have their default action, and what they had before afterwards."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in BOTH}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def processor() -> Iterator[HarSpanProcessor]:
    """A recording to memory."""
    processor = HarSpanProcessor(BatchHarProcessor(InMemoryHarExporter()))
    yield processor
    processor.shutdown()


def test_the_default_action_is_delayed(processor: HarSpanProcessor) -> None:
    """Both signals get a handler, once, which passes for the default action."""
    assert BOTH == shut_down_on_signals(processor)
    first = [signal.getsignal(number) for number in BOTH]
    assert BOTH == shut_down_on_signals(processor)
    second = [signal.getsignal(number) for number in BOTH]
    assert [True, True] == [one is other for one, other in zip(first, second, strict=True)]
    assert [signal.SIG_DFL, signal.SIG_DFL] == first
    assert [repr(signal.SIG_DFL), str(signal.SIG_DFL), False] == [repr(first[0]), str(first[0]), bool(first[0])]
    assert first[0] != signal.SIG_IGN


@pytest.mark.parametrize("present", [signal.SIG_IGN, lambda _number, _frame: None], ids=["ignored", "handled"])
def test_what_the_program_chose_stays(processor: HarSpanProcessor, present: signal.Handlers) -> None:
    """An ignored signal stays ignored, a handler stays where it is."""
    signal.signal(signal.SIGHUP, present)
    assert {signal.SIGTERM} == shut_down_on_signals(processor)
    assert present is signal.getsignal(signal.SIGHUP)


def test_another_thread_installs_nothing(processor: HarSpanProcessor) -> None:
    """Python takes handlers from the main thread only: elsewhere nothing is installed, and nothing raised."""
    results: list[frozenset[signal.Signals]] = []
    thread = threading.Thread(target=lambda: results.append(shut_down_on_signals(processor)))
    thread.start()
    thread.join()
    assert [frozenset()] == results
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_the_program_calls_ours(processor: HarSpanProcessor) -> None:
    """Called by another handler it returns: the process and the recording live on."""
    calls: list[int] = []
    shut_down_on_signals(processor)
    previous = signal.getsignal(signal.SIGTERM)
    assert isinstance(previous, DelayedDefault)

    def handle(number: int, _frame: object) -> None:
        calls.append(number)
        previous(number, None)

    signal.signal(signal.SIGTERM, handle)
    os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.SIGTERM] == calls
    assert processor.force_flush()


def test_processors_are_not_kept_alive() -> None:
    """What nobody holds any more is let go; the handler stays and finds nothing to do."""
    processor = HarSpanProcessor(BatchHarProcessor(InMemoryHarExporter()))
    shut_down_on_signals(processor)
    del processor
    handler = signal.getsignal(signal.SIGTERM)
    assert isinstance(handler, DelayedDefault)
    assert [None] == [known() for known, _ in handler._recordings]


def test_when_it_is_shut_down(processor: HarSpanProcessor) -> None:
    """What waits for the end of a shutdown is called then, and what comes later at once."""
    calls: list[str] = []
    processor.when_shut_down(lambda: calls.append("before"))
    assert ([], False) == (calls, processor.is_shutting_down)
    processor.shutdown()
    processor.when_shut_down(lambda: calls.append("after"))
    assert (["before", "after"], False) == (calls, processor.is_shutting_down)
