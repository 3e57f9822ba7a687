"""What the processors account for, as OpenTelemetry metrics.

The rule: the names follow OpenTelemetry's semantic conventions for the metrics of its own SDK (`otel.sdk.processor.*`,
`otel.sdk.exporter.*`), with `entry` for `span`. All instruments are observable: whoever reads the metrics pays, nobody
who records. They exist once for each provider, whatever the number of processors, and keep no processor alive. A
program may set its provider later: the API's own proxy passes them on.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from otel_har.export.account import Account
from otel_har.guard import guarded
from otel_har.version import __version__

_Attributes = dict[str, str]
_Counts = Iterable[tuple[int, _Attributes]]


@dataclass(frozen=True, slots=True)
class Measured:
    """The state of one processor.

    Attributes:
        account: Its counts.
        queue_size: Entries that wait; None without a queue.
        queue_capacity: The most that may wait; None without a queue.
        inflight: Entries that the exporter has, and has not answered for.
    """

    account: Account
    queue_size: int | None = None
    queue_capacity: int | None = None
    inflight: int = 0


class Measurable(Protocol):
    """A processor whose state can be asked for."""

    def measured(self) -> Measured:
        """The state now."""


class _Observed:
    """The processors of one provider."""

    def __init__(self) -> None:
        self.processors: weakref.WeakKeyDictionary[Measurable, _Attributes] = weakref.WeakKeyDictionary()

    def register(self, provider: MeterProvider | None) -> None:
        """Create the instruments."""
        meter = metrics.get_meter("otel_har", __version__, provider)
        for name, unit, description, read in _UP_DOWN_COUNTERS:
            meter.create_observable_up_down_counter(name, [self._callback(read)], unit, description)
        for name, unit, description, read in _COUNTERS:
            meter.create_observable_counter(name, [self._callback(read)], unit, description)

    def _callback(self, read: Callable[[Measured], _Counts]) -> Callable[[CallbackOptions], list[Observation]]:
        def observe_all(_: CallbackOptions) -> list[Observation]:
            return _observations(self, read) or []

        return observe_all


@guarded("observing the metrics")
def _observations(observed: _Observed, read: Callable[[Measured], _Counts]) -> list[Observation]:
    return [
        Observation(count, attributes | more)
        for processor, attributes in list(observed.processors.items())
        for count, more in read(processor.measured())
    ]


def _queue_size(state: Measured) -> Iterator[tuple[int, _Attributes]]:
    if state.queue_size is not None:
        yield state.queue_size, {}


def _queue_capacity(state: Measured) -> Iterator[tuple[int, _Attributes]]:
    if state.queue_capacity is not None:
        yield state.queue_capacity, {}


def _inflight(state: Measured) -> Iterator[tuple[int, _Attributes]]:
    yield state.inflight, {}


def _processed(state: Measured) -> Iterator[tuple[int, _Attributes]]:
    """As the conventions have it: what was handed to the exporter is processed, whatever it makes of it."""
    account = state.account
    lost = account.statistics
    not_built = account.failures["build_failed"]
    yield account.exported_entries + lost.failed_entries - not_built, {}
    yield lost.dropped_entries, {"error.type": "queue_full"}
    yield not_built, {"error.type": "build_failed"}


def _filtered(state: Measured) -> Iterator[tuple[int, _Attributes]]:
    yield state.account.filtered_entries, {}


def _dropped_bodies(state: Measured) -> Iterator[tuple[int, _Attributes]]:
    yield state.account.statistics.dropped_bodies, {"error.type": "queue_full"}


def _exported(state: Measured) -> Iterator[tuple[int, _Attributes]]:
    yield state.account.exported_entries, {}
    for fault, count in list(state.account.failures.items()):
        if fault != "build_failed":
            yield count, {"error.type": fault}


def _failed_exports(state: Measured) -> Iterator[tuple[int, _Attributes]]:
    yield state.account.statistics.failed_exports, {}


_UP_DOWN_COUNTERS: tuple[tuple[str, str, str, Callable[[Measured], _Counts]], ...] = (
    ("otel_har.processor.entry.queue.size", "{entry}", "The entries that wait to be exported.", _queue_size),
    ("otel_har.processor.entry.queue.capacity", "{entry}", "The most entries that may wait.", _queue_capacity),
    ("otel_har.exporter.entry.inflight", "{entry}", "The entries that the exporter is delivering.", _inflight),
)
_COUNTERS: tuple[tuple[str, str, str, Callable[[Measured], _Counts]], ...] = (
    ("otel_har.processor.entry.processed", "{entry}", "The entries whose processing has ended.", _processed),
    ("otel_har.processor.entry.filtered", "{entry}", "The exchanges that a filter left out.", _filtered),
    (
        "otel_har.processor.body.dropped",
        "{body}",
        "The entries with a body left out or cut for want of room.",
        _dropped_bodies,
    ),
    ("otel_har.exporter.entry.exported", "{entry}", "The entries whose export has ended.", _exported),
    ("otel_har.exporter.export.failed", "{export}", "The exports that the destination did not take.", _failed_exports),
)

_numbers: dict[str, itertools.count[int]] = {}
_lock = threading.Lock()
_global = _Observed()
_is_global_registered = False
_of_providers: weakref.WeakKeyDictionary[MeterProvider, _Observed] = weakref.WeakKeyDictionary()


@guarded("offering the metrics")
def observe(component_type: str, processor: Measurable, provider: MeterProvider | None = None) -> None:
    """Tell a processor's state to whoever reads the provider's metrics, as long as the processor lives.

    Args:
        component_type: `otel.component.type`; `otel.component.name` has a number behind it.
        processor: The processor.
        provider: The provider; the global one by default, be it set now or later.
    """
    global _is_global_registered
    with _lock:
        number = next(_numbers.setdefault(component_type, itertools.count()))
        if provider is None or provider is metrics.get_meter_provider():
            observed, is_registered, _is_global_registered = _global, _is_global_registered, True
            provider = None
        else:
            is_registered = provider in _of_providers
            observed = _of_providers.setdefault(provider, _Observed())
        observed.processors[processor] = {
            "otel.component.type": component_type,
            "otel.component.name": f"{component_type}/{number}",
        }
        if not is_registered:
            observed.register(provider)
