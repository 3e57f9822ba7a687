"""Files of other producers pass through `otel-har redact`, and every reader has of them what it had before.

The files are small, and made by hand: each has its producer's own members, and secrets that all begin alike.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from click.testing import CliRunner

from consumers.facts import Json
from consumers.recording import Recording
from consumers.running import Reader
from otel_har.cli.app import app

pytestmark = pytest.mark.consumers

DATA = Path(__file__).parents[1] / "data" / "producers"
PRODUCERS = sorted(path.stem for path in DATA.glob("*.har"))
SECRET = re.compile(r"planted-\w+|\[REDACTED(?::[0-9a-f]{12})?\]")
WAYS = {"default": (), "hashes": ("--hashes",), "strict": ("--mode", "strict")}
Fact = tuple[str, Any]
"""A URL, without what is secret in it, and a status where the reader tells it."""

Facts = Callable[[Any], list[Fact]]


def _plain(url: str) -> str:
    """A URL with one word for every secret and for every mark."""
    return SECRET.sub("*", unquote(url))


def _of_responses(found: list[Json]) -> list[Fact]:
    return [(_plain(one["url"]), one["status"]) for one in found]


def _of_pages(found: Json) -> list[Fact]:
    return [fact for page in found["pages"] for fact in _of_responses(page["entries"])]


def _of_rows(found: Json) -> list[Fact]:
    assert [] == found["errors"]
    rows = [row["entry"] for page in found["pages"] for row in page["rows"]]
    return [(_plain(entry["request"]["url"]), entry["response"]["status"]) for entry in rows]


def _of_sent(found: list[Json]) -> list[Fact]:
    return [(_plain(one["url"]), one["method"]) for one in found]


def _of_answers(found: Json) -> list[Fact]:
    return [("", answer.get("status")) for answer in found["answers"]]


def _of_complaints(found: list[str]) -> list[Fact]:
    return [(complaint, None) for complaint in found]


READERS: dict[str, tuple[str, Facts, set[str]]] = {
    "chrome.mjs": ("node_reader", _of_responses, set(PRODUCERS)),
    "har_validator.mjs": ("node_reader", _of_complaints, set(PRODUCERS)),
    "har_to_k6.mjs": ("node_reader", _of_sent, set(PRODUCERS)),
    "perf_cascade.mjs": ("browser_reader", _of_rows, {"chrome", "firefox", "playwright"}),
    "replay.mjs": ("browser_reader", _of_answers, {"chrome", "firefox", "playwright"}),
    "haralyzer_pages.py": ("python_reader", _of_pages, {"playwright"}),
    "mitmproxy_flows.py": ("python_reader", _of_responses, set(PRODUCERS)),
}
"""Each reader: what runs it, what it tells, and whose files it is given: PerfCascade and haralyzer refuse those
without pages and a browser, and a browser takes its time."""

CASES = [(reader, producer) for reader, (_, _, producers) in READERS.items() for producer in sorted(producers)]


def _recording(path: Path) -> Recording:
    return Recording(path, json.loads(path.read_bytes().decode("utf-8-sig"))["log"])


def _redacted(producer: str, way: str, directory: Path) -> Recording:
    """The file as the command leaves it, with what stands beside it."""
    for path in DATA.iterdir():
        shutil.copy(path, directory)
    path = directory / f"{producer}.har"
    done = CliRunner().invoke(app, ["redact", "--in-place", *WAYS[way], str(path)])
    assert 0 == done.exit_code, done.output
    return _recording(path)


@pytest.mark.parametrize(("reader", "producer"), CASES)
def test_what_was_read_is_read_again(
    request: pytest.FixtureRequest, reader: str, producer: str, tmp_path: Path
) -> None:
    """As many entries, the same URLs but for what is secret in them, the same statuses, the same complaints."""
    runner, facts_of, _ = READERS[reader]
    make: Reader = request.getfixturevalue(runner)
    read = make(reader)
    way = [*WAYS][PRODUCERS.index(producer) % 2]  # of these two one or the other: they have the same form
    after = _redacted(producer, way, tmp_path)
    before = tmp_path / "before.har"
    text = (DATA / f"{producer}.har").read_bytes().removeprefix(codecs.BOM_UTF8)  # which few of them read
    before.write_bytes(text)
    assert facts_of(read(_recording(before))) == facts_of(read(after))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("producer", PRODUCERS)
def test_no_secret_is_left(producer: str, way: str, tmp_path: Path) -> None:
    """None of those that were planted, in base64 neither, and the search finds nothing more."""
    assert "planted-" in _said(_recording(DATA / f"{producer}.har"))
    assert "planted-" not in _said(_redacted(producer, way, tmp_path))
    found = CliRunner().invoke(app, ["check", "--secrets", str(tmp_path / f"{producer}.har")])
    assert (0, True) == (found.exit_code, found.output.endswith("no secrets\n"))


@pytest.mark.parametrize("producer", PRODUCERS)
def test_pages_keep_their_entries(producer: str, tmp_path: Path) -> None:
    """An entry refers to the page that it referred to."""
    after = _redacted(producer, "default", tmp_path)
    pages = [page["id"] for page in after.log.get("pages", [])]
    assert [] == [entry for entry in after.entries if "pageref" in entry and entry["pageref"] not in pages]


def _said(recording: Recording) -> str:
    """The file, and what it says in base64."""
    text = recording.path.read_text("utf-8-sig")
    encoded = re.findall(r"[A-Za-z0-9+/]{20,}={0,2}", text)
    return text + "".join(base64.b64decode(one + "==").decode("latin-1") for one in encoded if len(one) % 4 == 0)
