"""What a recorder has recorded, compared with what was sent."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from benchmarks.compare.recorded import Recorded, Verification, entries_in, of_har, verified


def _entry(number: int, **content: Any) -> dict[str, Any]:
    return {
        "startedDateTime": "2030-01-01T00:00:00Z",
        "request": {"url": f"http://h.test/5?n={number}"},
        "response": {"status": 200, "content": content},
    }


def _har(path: Path, *entries: dict[str, Any]) -> Path:
    pages = [{"startedDateTime": "2030-01-01T00:00:00Z", "pageTimings": {}}]
    path.write_text(json.dumps({"log": {"pages": pages, "entries": entries}}))
    return path


def test_what_is_whole_has_no_fault() -> None:
    """Every exchange once, with its status and its body, in any order."""
    recorded = [Recorded(number, 200, 5) for number in (2, 0, 1)]
    assert "whole" == str(verified(recorded, range(3), 5))


def test_every_kind_of_fault_is_counted() -> None:
    """Exchanges that are missing or there twice, other statuses, and bodies that are not whole."""
    recorded = [Recorded(0, 200, 5), Recorded(0, 200, 5), Recorded(1, 500, 5), Recorded(2, 200, 4)]
    found = verified(recorded, range(5), 5)
    assert Verification(lost=2, doubled=1, wrong=2) == found
    assert "2 lost, 1 doubled, 2 wrong" == str(found)


def test_a_har_file_is_read_back_with_the_bytes_of_its_bodies(tmp_path: Path) -> None:
    """Text counts in UTF-8, base64 by what it stands for, and a body that is missing has no bytes."""
    coded = base64.b64encode(b"\x00" * 7).decode()
    path = _har(tmp_path / "x.har", _entry(1, text="äb"), _entry(2, text=coded, encoding="base64"), _entry(3))
    assert [Recorded(1, 200, 3), Recorded(2, 200, 7), Recorded(3, 200, 0)] == list(of_har(path))


def test_entries_are_counted_without_the_pages(tmp_path: Path) -> None:
    """Pages have a start, too."""
    assert 2 == entries_in(_har(tmp_path / "x.har", _entry(1), _entry(2)))
