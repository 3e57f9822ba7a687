"""How the cost of an entry grows: with the file, with threads, with bodies, and what retention and rotation add.

Run it from the project's directory as `python -m benchmarks.scaling [PART ...] [--json PATH] [--docs PAGE]`. Every
figure is a ratio or a difference of two measurements of one run, which took turns; see docs/cost.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.compare.figures import extra, median, ratio
from benchmarks.compare.recorders import OWN, RECORDERS, Recorder, otel_har_file
from benchmarks.compare.rounds import Case, Results, measured
from benchmarks.compare.table import aligned, number, recording
from benchmarks.growth import Growth, grown
from benchmarks.publishing import publish

_THREADS = (1, 8, 64)
_BODIES = {0: 1_000, 2_000: 1_000, 20_000: 500, 200_000: 100, 2_000_000: 20, 20_000_000: 4, 100_000_000: 2}
_WARM_UP = {True: 50, False: 1}  # few where bodies are large
_SMALL = 100_000
_BASES = [recorder for recorder in RECORDERS if recorder.name in {"otel", "otel-har"}]
# Writing each exchange takes longer than making it, 20 at a time. So the program waits for room: otherwise entries are
# dropped, which costs little. And few may wait: otherwise the first thousand are not written yet, and so are cheap.
_LIVE = ("--har_live", "true", "--har_bsp_block_timeout", "60000", "--har_bsp_max_queue_size", "100")
_POLICIES = {
    "retention of 100 entries": ("--har_retention_entries", "100"),
    "retention of 1 MB": ("--har_retention_bytes", "1000000"),
    "retention of 1 s": ("--har_retention_seconds", "1"),
    "rotation at 1 MB": ("--har_rotation_bytes", "1000000"),
}


@dataclasses.dataclass(frozen=True)
class Part:
    """What one part found.

    Attributes:
        title: What it is about.
        rows: A table whose first row is its head.
        figures: The same for programs.
    """

    title: str
    rows: Sequence[Sequence[str]]
    figures: Any


def growth(exchanges: int, rounds: int) -> list[Part]:
    """The cost of an entry and resident memory as the file grows, written once a second and for each exchange."""
    del rounds  # the yardstick within the run takes their place
    parts = []
    for title, options in (("default", ()), ("live", _LIVE)):
        found = grown(exchanges, options)
        rows = [["entries in the file", "CPU beside the first", "resident MiB"]]
        rows += [
            [f"{mark.entries:,}", number(found.ratio(mark), ".2f"), f"{mark.resident_mib:.1f}"] for mark in found.marks
        ]
        rows += [["in the file at the end", f"{found.entries:,} of {exchanges:,}", f"{found.peak_mib:.1f} at most"]]
        rows += [["said on standard error", line, "-"] for line in found.stderr.splitlines()]
        parts.append(Part(f"One file, {title}", rows, _growth_figures(found)))
    return parts


def _growth_figures(found: Growth) -> dict[str, Any]:
    marks = [{**dataclasses.asdict(mark), "ratio": found.ratio(mark)} for mark in found.marks]
    return {"marks": marks, "entries": found.entries, "peak_mib": found.peak_mib, "stderr": found.stderr}


def threads(exchanges: int, rounds: int) -> list[Part]:
    """What recording adds to an exchange with 1, 8 and 64 threads, each with a session of its own."""
    count = min(1_920, exchanges)
    cases = [Case("requests-threads", 2_000, count, max(64, count // 10), concurrency) for concurrency in _THREADS]
    results = _measured(cases, _BASES, rounds)
    rows = [["threads", "CPU extra us", "beside one", "CPU x OTel", "wall x OTel", "recording"]]
    for case in cases:
        har, otel = results[case.name, "otel-har"], results[case.name, "otel"]
        added, of_one = extra(har, otel, "cpu_us"), _added(results, cases[0])
        beside = added / of_one if added is not None and of_one else None
        figures = [number(ratio(har, otel, figure), ".2f") for figure in ("cpu_us", "wall_us")]
        rows.append([f"{case.concurrency}", number(added, ",.0f"), number(beside, ".2f"), *figures, recording(har)])
    return [Part("Threads, 2 KB", rows, _plain(results))]


def _added(results: Results, case: Case) -> float | None:
    return extra(results[case.name, "otel-har"], results[case.name, "otel"], "cpu_us")


def bodies(exchanges: int, rounds: int) -> list[Part]:
    """What recording adds to an exchange with a body of nothing up to 100 MB; of 10 MiB and more a part is kept."""
    cases = [Case("requests", size, min(count, exchanges), _WARM_UP[size < _SMALL]) for size, count in _BODIES.items()]
    results = _measured(cases, _BASES, min(rounds, 3))
    rows = [["bytes of a body", "CPU extra us", "of each byte, ns", "x OTel", "peak MiB", "with OTel alone"]]
    for case in cases:
        har, otel = results[case.name, "otel-har"], results[case.name, "otel"]
        added = _added(results, case)
        each = None if added is None or not case.size else added * 1000 / case.size
        peaks = [number(median(outcomes, "peak_mib"), ",.0f") for outcomes in (har, otel)]
        times = number(ratio(har, otel, "cpu_us"), ".2f")
        rows.append([f"{case.size:,}", number(added, ",.0f"), number(each, ",.1f"), times, *peaks])
    return [Part("Bodies", rows, _plain(results))]


def policies(exchanges: int, rounds: int) -> list[Part]:
    """What retention and rotation add to the cost of an entry, worker included."""
    plain = _BASES[1]
    others = [
        Recorder(name, name, partial(otel_har_file, options=options, keeps_all=False), clients=plain.clients)
        for name, options in _POLICIES.items()
    ]
    case = Case("aiohttp", 2_000, min(3_000, exchanges), 100)
    results = _measured([case], [*_BASES, *others], rounds)
    rows = [["", "CPU extra us over OTel alone", "beside the plain file", "resident KiB/entry"]]
    of_plain = _added(results, case)
    for recorder in (plain, *others):
        outcomes = results[case.name, recorder.name]
        added = extra(outcomes, results[case.name, "otel"], "cpu_us")
        beside = added / of_plain if added is not None and of_plain else None
        memory = number(median(outcomes, "memory_kib"), ".1f")
        rows.append([recorder.title, number(added, ",.0f"), number(beside, ".2f"), memory])
    return [Part("Retention and rotation, 2 KB", rows, _plain(results))]


_PARTS: Mapping[str, Callable[[int, int], list[Part]]] = {
    "growth": growth,
    "threads": threads,
    "bodies": bodies,
    "policies": policies,
}


def _measured(cases: Sequence[Case], recorders: Sequence[Recorder], rounds: int) -> Results:
    return measured(cases, recorders, rounds=rounds, pythons={OWN: sys.executable})


def _plain(results: Results) -> Any:
    return [
        {
            "case": case,
            "recorder": recorder,
            "outcomes": [one if isinstance(one, str) else dataclasses.asdict(one) for one in outcomes],
        }
        for (case, recorder), outcomes in results.items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*_PARTS, []], metavar="PART", help=", ".join(_PARTS))
    parser.add_argument("--exchanges", type=int, default=100_000, help="the most of one run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="PATH")
    parser.add_argument("--docs", type=Path, metavar="PAGE")
    options = parser.parse_args(arguments)
    found: dict[str, list[Part]] = {}
    for name in options.parts or _PARTS:
        found[name] = _PARTS[name](options.exchanges, options.rounds)
        for part in found[name]:
            print(f"**{part.title}**\n\n{aligned(part.rows)}\n", flush=True)
            if options.docs is not None:
                publish(options.docs, part.title, aligned(part.rows))
    if options.json is not None:
        figures = {
            name: [{"title": part.title, "figures": part.figures} for part in parts] for name, parts in found.items()
        }
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
