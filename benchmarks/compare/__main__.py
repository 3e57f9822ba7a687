"""What recording an exchange costs: with nothing, OpenTelemetry alone, otel-har, and others. See docs/cost.md."""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.compare import environments
from benchmarks.compare.environments import EnvironmentUnavailableError
from benchmarks.compare.figures import Verdict, verdicts
from benchmarks.compare.recorders import HARLEM, MITMPROXY, OWN, RECORDERS, Recorder
from benchmarks.compare.rounds import Case, Results, measured
from benchmarks.compare.table import table
from benchmarks.publishing import circumstances, publish

# How many exchanges: each run takes a second or some; with 20 at once there must be many writes among them.
_COUNTS = {"requests": 1_000, "requests-threads": 1_000, "aiohttp": 2_000, "aiohttp-20": 5_000, "httpx": 1_000}
_WARM_UP = 0.05  # of them, before
_SIZES = (2_000, 200_000)
_ENVIRONMENTS = {HARLEM: environments.HARLEM, MITMPROXY: environments.MITMPROXY}
_PACKAGES = {
    OWN: ("requests", "aiohttp", "httpx", "opentelemetry-sdk", "vcrpy"),
    HARLEM: ("harlem",),
    MITMPROXY: ("mitmproxy",),
}
_FEWER = 5  # large answers take longer: so much fewer exchanges


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write what is asked for."""
    options = _parser().parse_args(arguments)
    cases = [_case(client, size, options.scale) for client in options.clients for size in options.sizes]
    recorders = [recorder for recorder in RECORDERS if recorder.name in options.recorders]
    pythons = _pythons(recorders, options.environments)
    results = measured(cases, recorders, rounds=options.rounds, pythons=pythons, tell=_tell)
    _tell("")
    if options.json is not None:
        options.json.write_text(json.dumps(_document(results, options.rounds), indent=1))
    text = f"{_circumstances(options.rounds, pythons)}\n\n{table(results, cases, recorders)}"
    print(text)
    if options.docs is not None:
        publish(options.docs, "compare", text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    names = [recorder.name for recorder in RECORDERS]
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times as many exchanges in each run")
    parser.add_argument("--clients", nargs="+", choices=_COUNTS, default=list(_COUNTS))
    parser.add_argument("--sizes", nargs="+", type=int, default=_SIZES, help="bytes of an answer")
    parser.add_argument("--recorders", nargs="+", choices=names, default=names)
    parser.add_argument("--environments", type=Path, default=environments.default_directory(), metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write all samples")
    parser.add_argument("--docs", type=Path, metavar="PAGE", help="put the tables into a page of the documentation")
    return parser


def _case(client: str, size: int, scale: float) -> Case:
    count = int(_COUNTS[client] * scale) // (1 if size < _SIZES[1] else _FEWER)
    return Case(client, size, max(20, count), max(20, int(count * _WARM_UP)))


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _pythons(recorders: Sequence[Recorder], directory: Path) -> dict[str, str | EnvironmentUnavailableError]:
    pythons: dict[str, str | EnvironmentUnavailableError] = {OWN: sys.executable}
    for name in {recorder.needs for recorder in recorders} - {OWN}:
        _tell(f"making the environment of {name}")
        try:
            pythons[name] = str(environments.made(_ENVIRONMENTS[name], directory))
        except EnvironmentUnavailableError as fault:
            print(f"{name} is left out: {fault}", file=sys.stderr)
            pythons[name] = fault
    return pythons


def _circumstances(rounds: int, pythons: Mapping[str, str | EnvironmentUnavailableError]) -> str:
    packages = {str(pythons[name]): names for name, names in _PACKAGES.items() if isinstance(pythons.get(name), str)}
    return circumstances(f"medians of {rounds} rounds", packages=packages)


def _document(results: Results, rounds: int) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "machine": platform.platform(),
        "rounds": rounds,
        "results": [
            {"case": case, "recorder": recorder, "outcomes": [_plain(outcome) for outcome in outcomes]}
            for (case, recorder), outcomes in results.items()
        ],
        "verdicts": [_plain_verdict(verdict) for verdict in verdicts(results)],
    }


def _plain(outcome: Any) -> Any:
    return outcome if isinstance(outcome, str) else dataclasses.asdict(outcome)


def _plain_verdict(verdict: Verdict) -> dict[str, Any]:
    return {**dataclasses.asdict(verdict), "holds": verdict.holds}


if __name__ == "__main__":
    main()
