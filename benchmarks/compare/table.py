"""The figures as text: tables in Markdown, and what must hold."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.compare.figures import Verdict, extra, median, ratio, samples_of, verdicts
from benchmarks.compare.recorders import OWN, Recorder
from benchmarks.compare.rounds import Case, Outcome, Results

_HEADINGS = (
    "",
    "CPU us",
    "x nothing",
    "x OTel",
    "CPU extra",
    "thread us",
    "thread extra",
    "wall us",
    "x nothing",
    "p50 ms",
    "p99 ms",
    "KiB/entry",
    "recording",
)
_MISSING = "-"


def table(results: Results, cases: Sequence[Case], recorders: Sequence[Recorder]) -> str:
    """A table for each case, and the verdicts."""
    parts = [f"**{case.name}**\n\n{_of_case(results, case, recorders)}" for case in cases]
    return "\n\n".join([*parts, _of_verdicts(verdicts(results))]) + "\n"


def _of_case(results: Results, case: Case, recorders: Sequence[Recorder]) -> str:
    rows = [_row(results, case, recorder) for recorder in recorders]
    return aligned([_HEADINGS, *rows])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown whose columns are as wide as they need be; the first row is its head."""
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(_padded(row, widths)) + " |" for row in rows]
    rule = "|" + "|".join("-" * (width + 2 - (number > 0)) + ":" * (number > 0) for number, width in enumerate(widths))
    return "\n".join([lines[0], rule + "|", *lines[1:]])


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *rest = zip(row, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]


def _row(results: Results, case: Case, recorder: Recorder) -> list[str]:
    outcomes = results[case.name, recorder.name]
    if not samples_of(outcomes):
        return [recorder.title, *[_MISSING] * (len(_HEADINGS) - 2), recording(outcomes)]

    def base(name: str) -> Sequence[Outcome]:
        return results.get((case.name, name), [])

    nothing = base("nothing" if recorder.environment == OWN else recorder.baseline)
    otel = base("otel") if recorder.environment == OWN else []
    own = base(recorder.baseline) if recorder.baseline != recorder.name else []
    return [
        recorder.title,
        number(median(outcomes, "cpu_us"), ",.0f"),
        number(ratio(outcomes, nothing, "cpu_us"), ".2f"),
        number(ratio(outcomes, otel, "cpu_us"), ".2f"),
        number(extra(outcomes, own, "cpu_us"), "+,.0f"),
        number(median(outcomes, "thread_us"), ",.0f"),
        number(extra(outcomes, own, "thread_us"), "+,.0f"),
        number(median(outcomes, "wall_us"), ",.0f"),
        number(ratio(outcomes, nothing, "wall_us"), ".2f"),
        number(median(outcomes, "p50_ms"), ".2f"),
        number(median(outcomes, "p99_ms"), ".2f"),
        number(median(outcomes, "memory_kib"), ".1f"),
        recording(outcomes),
    ]


def number(value: float | None, form: str) -> str:
    """A figure as it is shown; a dash where there is none."""
    return _MISSING if value is None else format(value, form)


def recording(outcomes: Sequence[Outcome]) -> str:
    """What is wrong with the recordings: the worst of the rounds."""
    faults = [outcome for outcome in outcomes if isinstance(outcome, str)]
    if faults:
        return faults[0]
    found = [sample.verification for sample in samples_of(outcomes) if sample.verification is not None]
    return str(max(found, key=lambda one: one.lost + one.doubled + one.wrong)) if found else _MISSING


def _of_verdicts(found: Sequence[Verdict]) -> str:
    rows = [["what must hold", "measured", "at most", ""]]
    rows += [
        [
            verdict.rule,
            _with_unit(verdict.value, verdict.unit),
            f"{_with_unit(verdict.limit, verdict.unit)}{f' ({verdict.note})' if verdict.note else ''}",
            {True: "held", False: "NOT HELD", None: "not measured"}[verdict.holds],
        ]
        for verdict in found
    ]
    return aligned(rows)


def _with_unit(value: float | None, unit: str) -> str:
    return _MISSING if value is None else f"{value:,.2f} {unit}" if unit == "times" else f"{value:,.0f} {unit}"
