"""Recordings from code whose entries do not stay for ever: by age, by number, and in files that are rotated."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from opentelemetry.sdk.trace import TracerProvider

from children import eventually
from otel_har import Retention, Rotation, SettingError, record_to_file
from servers.programs import read_checked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import RecordingServer

PATIENCE_S = 20
_AGE_S = 2.0  # what is younger must be seen before it is older
_WRITERS: dict[str, dict[str, Any]] = {
    "live": {},
    "thread": {"in_background": "thread"},
    "process": {"in_background": "process"},
}


@pytest.fixture
def get(server: RecordingServer) -> Callable[[str], requests.Response]:
    """Makes a request to the server."""
    return lambda path: requests.get(server.url(path), timeout=PATIENCE_S)


def _of_file(path: Path) -> list[str]:
    return [urlsplit(entry["request"]["url"]).path for entry in read_checked(path)["log"]["entries"]]


def _grow_old() -> None:
    """Let what has started by now become older than entries may be."""
    end = time.monotonic() + _AGE_S + 0.05
    assert eventually(lambda: time.monotonic() > end)


@pytest.mark.parametrize(("writer", "name"), [("live", "out.har"), ("thread", "out.har"), ("process", "out.har.gz")])
def test_retention_seconds(get: Callable[[str], Any], tmp_path: Path, writer: str, name: str) -> None:
    """What is too old goes with the next exchange; a page stays while an entry of it does."""
    path = tmp_path / name
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("test")
    kept = record_to_file(path, retention_seconds=_AGE_S, tracer_provider=provider, **_WRITERS[writer])
    with kept:
        with tracer.start_as_current_span("the task that ends"):
            get("/item/1")
        with tracer.start_as_current_span("the task that goes on"):
            get("/item/2")
            _grow_old()
            get("/item/3")
            assert eventually(lambda: "/item/3" in _of_file(path))
        log = read_checked(path)["log"]
        assert ["/item/3"] == [urlsplit(entry["request"]["url"]).path for entry in log["entries"]]
        assert ["the task that goes on"] == [page["title"] for page in log["pages"]]


@pytest.mark.parametrize("writer", ["live", "process"])
def test_retention_seconds_act_at_exit(get: Callable[[str], Any], tmp_path: Path, writer: str) -> None:
    """What has become too old by the end is not in the file, though nothing was recorded since."""
    path = tmp_path / "out.har"
    with record_to_file(path, retention_seconds=_AGE_S, interval_seconds=3_600, **_WRITERS[writer]):
        get("/item/1")
        _grow_old()
        get("/item/2")
    assert ["/item/2"] == _of_file(path)
    with record_to_file(path, append=True, retention_seconds=_AGE_S, **_WRITERS[writer]):
        get("/item/3")
        _grow_old()
    log = read_checked(path)["log"]
    assert ([], [], 3) == (log["entries"], log["pages"], log["_otel_har"]["retiredEntries"])


def test_idle_recording(get: Callable[[str], Any], tmp_path: Path) -> None:
    """With a process of its own what is too old goes from the file of a recording that has nothing to do."""
    path = tmp_path / "out.har.gz"
    with record_to_file(path, interval_seconds=0.05, retention_seconds=_AGE_S, in_background="process"):
        get("/item/1")
        assert eventually(lambda: bool(_of_file(path)))
        assert eventually(lambda: not _of_file(path))


@pytest.mark.parametrize(("writer", "name"), [("live", "out.har"), ("thread", "out.har"), ("process", "out.har.gz")])
def test_rotation(get: Callable[[str], Any], tmp_path: Path, writer: str, name: str) -> None:
    """Each file is complete, and what was recorded last is in the file itself."""
    rotation = Rotation(max_bytes=1, files=2)
    with record_to_file(tmp_path / name, live=True, rotation=rotation, **_WRITERS[writer]) as recording:
        for number in range(4):
            get(f"/item/{number}")
            recording.force_flush()
    ending = name.removeprefix("out")
    there = [f"out{ending}", f"out.1{ending}", f"out.2{ending}"]
    assert sorted(there) == sorted(one.name for one in tmp_path.iterdir())
    assert [["/item/3"], ["/item/2"], ["/item/1"]] == [_of_file(tmp_path / one) for one in there]


def test_retention_by_number(get: Callable[[str], Any], tmp_path: Path) -> None:
    """A limit of another kind holds beside the age, over all runs of a recording."""
    path = tmp_path / "out.har"
    recording = record_to_file(path, retention_seconds=3_600, retention=Retention(max_entries=2))
    for number in range(4):
        with recording:
            get(f"/item/{number}")
        assert [f"/item/{one}" for one in range(max(0, number - 1), number + 1)] == _of_file(path)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"retention_seconds": 5}, "retention"),
        ({"retention": Retention(max_entries=5)}, "retention"),
        ({"rotation": Rotation(max_bytes=5)}, "rotation"),
    ],
)
def test_archives(tmp_path: Path, options: dict[str, Any], named: str) -> None:
    """A zip archive has neither, which is told where the recording is made."""
    with pytest.raises(SettingError, match=rf"out\.har\.zip: a zip archive has no {named}, \.har and \.har\.gz have"):
        record_to_file(tmp_path / "out.har.zip", **options)
