"""From samples to figures: pure.

The machine is shared and its speed changes, so what is compared is what was measured in one round: a ratio or a
difference is the median of those of the rounds, not that of two medians.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.compare.rounds import Outcome, Results, Sample

_SHARE_OF_HARLEM = 1 / 6
_THREAD_LIMIT_US = 30.0
_P99_LIMIT = 1.3


@dataclass(frozen=True)
class Verdict:
    """One thing that must hold.

    Attributes:
        rule: What must hold.
        value: What was measured; None where something is missing.
        limit: What it may be at most.
        unit: Of both.
        note: Where the limit comes from.
    """

    rule: str
    value: float | None
    limit: float | None
    unit: str
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether it holds; None where that is not known."""
        return None if self.value is None or self.limit is None else self.value <= self.limit


def samples_of(outcomes: Sequence[Outcome]) -> list[Sample]:
    """Those of the rounds that gave one."""
    return [outcome for outcome in outcomes if isinstance(outcome, Sample)]


def median(outcomes: Sequence[Outcome], figure: str) -> float | None:
    """The median of a figure over the rounds."""
    values = [getattr(sample, figure) for sample in samples_of(outcomes)]
    return statistics.median(values) if values else None


def _pairs(outcomes: Sequence[Outcome], base: Sequence[Outcome], figure: str) -> list[tuple[float, float]]:
    return [
        (getattr(one, figure), getattr(other, figure))
        for one, other in zip(outcomes, base, strict=bool(outcomes and base))  # what was not asked for has no rounds
        if isinstance(one, Sample) and isinstance(other, Sample)
    ]


def ratio(outcomes: Sequence[Outcome], base: Sequence[Outcome], figure: str) -> float | None:
    """How many times the base it is: the median of the rounds' ratios."""
    ratios = [one / other for one, other in _pairs(outcomes, base, figure) if other]
    return statistics.median(ratios) if ratios else None


def extra(outcomes: Sequence[Outcome], base: Sequence[Outcome], figure: str) -> float | None:
    """How much more than the base it is: the median of the rounds' differences."""
    differences = [one - other for one, other in _pairs(outcomes, base, figure)]
    return statistics.median(differences) if differences else None


def verdicts(results: Results) -> list[Verdict]:
    """What must hold, as far as the cases for it were measured."""
    found = [_beside_harlem(results, f"{client} 2 KB") for client in ("requests", "aiohttp")]
    found += [_in_thread(results, f"{client} 2 KB") for client in ("requests", "aiohttp")]
    found.append(_p99(results, "aiohttp-20 2 KB", "otel-har"))
    if ("aiohttp-20 2 KB", "otel-har-process") in results:
        found.append(_p99(results, "aiohttp-20 2 KB", "otel-har-process", ", with `--har_in_background process`"))
    return found


def _extra(results: Results, case: str, recorder: str, base: str, figure: str) -> float | None:
    return extra(results.get((case, recorder), []), results.get((case, base), []), figure)


def _beside_harlem(results: Results, case: str) -> Verdict:
    value = _extra(results, case, "otel-har", "otel", "cpu_us")
    harlem = _extra(results, case, "harlem", "nothing-harlem", "cpu_us")
    limit = None if harlem is None else harlem * _SHARE_OF_HARLEM
    note = "" if harlem is None else f"a sixth of the {harlem:,.0f} us that harlem adds to nothing"
    rule = f"{case}: extra CPU of an exchange over OpenTelemetry alone, program and worker together"
    return Verdict(rule, value, limit, "us", note)


def _in_thread(results: Results, case: str) -> Verdict:
    value = _extra(results, case, "otel-har", "otel", "thread_us")
    return Verdict(
        f"{case}: extra CPU of the program's own thread over OpenTelemetry alone", value, _THREAD_LIMIT_US, "us"
    )


def _p99(results: Results, case: str, recorder: str, how: str = "") -> Verdict:
    value = ratio(results.get((case, recorder), []), results.get((case, "otel"), []), "p99_ms")
    harlem = ratio(results.get((case, "harlem"), []), results.get((case, "nothing-harlem"), []), "p99_ms")
    note = "" if harlem is None else f"harlem: {harlem:.1f} times that of nothing"
    return Verdict(f"{case}: p99 latency beside OpenTelemetry alone{how}", value, _P99_LIMIT, "times", note)
