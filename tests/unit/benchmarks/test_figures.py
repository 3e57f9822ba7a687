"""From samples to ratios, differences and verdicts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.compare.figures import extra, median, ratio, verdicts
from benchmarks.compare.recorded import Verification
from benchmarks.compare.rounds import Outcome, Results, Sample

SAMPLE = Sample(
    cpu_us=100.0,
    thread_us=50.0,
    wall_us=200.0,
    p50_ms=1.0,
    p99_ms=2.0,
    memory_kib=0.0,
    peak_mib=40.0,
    end_ms=0.0,
    exit_cpu_ms=0.0,
    verification=Verification(),
)


def _with_cpu(*values_us: float) -> list[Outcome]:
    return [replace(SAMPLE, cpu_us=value) for value in values_us]


def _constant(**figures: float) -> list[Outcome]:
    return [replace(SAMPLE, **figures)] * 3  # type: ignore[arg-type] # all of them are numbers


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    """A round in which the machine was slow for both changes no ratio, though it changes both medians."""
    assert 2.0 == ratio(_with_cpu(200, 2_000, 20), _with_cpu(100, 1_000, 10), "cpu_us")


def test_a_difference_is_the_median_of_the_rounds_own() -> None:
    """The middle one of the rounds' differences, not the difference of the middle ones."""
    assert 10.0 == extra(_with_cpu(110, 1_010, 30), _with_cpu(100, 1_000, 10), "cpu_us")


def test_a_round_that_failed_counts_on_neither_side() -> None:
    """Figures come from the rounds in which both were measured; a median from those of its own."""
    failed: list[Outcome] = ["failed: boom"]
    outcomes = [*failed, *_with_cpu(300, 500)]
    base = [*_with_cpu(1, 100), *failed]
    assert (3.0, 200.0, 400.0) == (
        ratio(outcomes, base, "cpu_us"),
        extra(outcomes, base, "cpu_us"),
        median(outcomes, "cpu_us"),
    )


def test_without_a_base_there_is_no_ratio() -> None:
    """A recorder that was not asked for gives neither ratio nor difference."""
    outcomes = _with_cpu(1, 2)
    assert (None, None, None) == (ratio(outcomes, [], "cpu_us"), extra(outcomes, [], "cpu_us"), median([], "cpu_us"))


def _results(har_us: float, thread_us: float, p99_ms: float) -> Results:
    results: Results = {}
    for case in ("requests 2 KB", "aiohttp 2 KB", "aiohttp-20 2 KB"):
        results |= {
            (case, "otel"): _constant(cpu_us=100.0, thread_us=100.0, p99_ms=10.0),
            (case, "otel-har"): _constant(cpu_us=har_us, thread_us=thread_us, p99_ms=p99_ms),
            (case, "nothing-harlem"): _constant(cpu_us=50.0),
            (case, "harlem"): _constant(cpu_us=350.0),
        }
    return results


@pytest.mark.parametrize(
    ("measured", "holds"),
    [
        ((150.0, 130.0, 13.0), [True, True, True, True, True]),
        ((151.0, 130.0, 13.0), [False, False, True, True, True]),
        ((150.0, 131.0, 13.0), [True, True, False, False, True]),
        ((150.0, 130.0, 13.1), [True, True, True, True, False]),
    ],
)
def test_what_must_hold_holds_up_to_its_limit(measured: tuple[float, float, float], holds: list[bool]) -> None:
    """A sixth of what harlem adds (300 us here), 30 us in the thread, 1.3 times the latency."""
    assert holds == [verdict.holds for verdict in verdicts(_results(*measured))]


@pytest.mark.parametrize(("p99_ms", "holds"), [(13.0, True), (13.1, False)])
def test_the_background_process_has_a_latency_of_its_own_to_hold(*, p99_ms: float, holds: bool) -> None:
    """Where it was measured there is one verdict more, of its own p99 and with the same limit; the others stay."""
    results = _results(150.0, 130.0, 12.0)
    results["aiohttp-20 2 KB", "otel-har-process"] = _constant(p99_ms=p99_ms)
    *others, last = verdicts(results)
    assert verdicts(_results(150.0, 130.0, 12.0)) == others
    rule = "aiohttp-20 2 KB: p99 latency beside OpenTelemetry alone, with `--har_in_background process`"
    assert (rule, p99_ms / 10, 1.3, "times", holds) == (last.rule, last.value, last.limit, last.unit, last.holds)


def test_what_was_not_measured_neither_holds_nor_fails() -> None:
    """Without the cases, or without harlem, nothing is claimed."""
    without_harlem = {key: outcomes for key, outcomes in _results(1, 1, 1).items() if key[1] != "harlem"}
    assert [None] * 5 == [verdict.holds for verdict in verdicts({})]
    assert [None, None, True, True, True] == [verdict.holds for verdict in verdicts(without_harlem)]
