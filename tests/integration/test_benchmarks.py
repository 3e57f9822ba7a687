"""The command that compares recorders, run small: that it measures, checks the recordings, and publishes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORDERS = ("nothing", "otel", "otel-har", "otel-har-process")


def test_the_comparison_measures_checks_and_publishes(tmp_path: Path) -> None:
    """Both clients, with nothing, OpenTelemetry alone and otel-har twice: all samples are there, and every entry is."""
    page, samples = tmp_path / "cost.md", tmp_path / "samples.json"
    page.write_text("<!-- begin: compare -->\n<!-- end: compare -->\n")
    command = [sys.executable, "-m", "benchmarks.compare", "--rounds", "1", "--scale", "0.02", "--sizes", "2000"]
    command += ["--clients", "requests", "aiohttp", "--recorders", *RECORDERS]
    command += ["--json", str(samples), "--docs", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, cwd=ROOT)
    results = json.loads(samples.read_text())["results"]
    told = {(result["case"], result["recorder"]): result["outcomes"][0] for result in results}
    whole = {"lost": 0, "doubled": 0, "wrong": 0}
    assert {
        (f"{client} 2 KB", recorder): whole if recorder.startswith("otel-har") else None
        for client in ("requests", "aiohttp")
        for recorder in RECORDERS
    } == {key: outcome["verification"] for key, outcome in told.items()}
    assert all(outcome["cpu_us"] >= outcome["thread_us"] > 0 for outcome in told.values())
    assert done.stdout.strip() in page.read_text()
