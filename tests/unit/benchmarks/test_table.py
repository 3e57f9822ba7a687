"""The figures as text, and their way into the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.compare.recorders import RECORDERS
from benchmarks.compare.rounds import Case, Results
from benchmarks.compare.table import aligned, recording, table
from benchmarks.publishing import publish
from benchmarks.server import answers, json_body

CASE = Case("requests", 2_000, 10, 1)


def test_a_table_has_columns_of_one_width() -> None:
    """Names stand left, figures right, and every line is as long as the others."""
    expected = ["| name |   us |", "|------|-----:|", "| a    |    1 |", "| bb   | 2222 |"]
    assert expected == aligned([["name", "us"], ["a", "1"], ["bb", "2222"]]).splitlines()


def test_what_was_not_measured_says_why() -> None:
    """The reason stands where the state of the recording would, and all figures are dashes."""
    recorder = RECORDERS[0]
    results: Results = {(CASE.name, recorder.name): ["not recorded"]}
    row = next(line for line in table(results, [CASE], [recorder]).splitlines() if line.startswith("| nothing"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert ["nothing", *["-"] * 11, "not recorded"] == cells


def test_one_round_that_failed_is_told() -> None:
    """A failure is never hidden behind the rounds that went well."""
    assert "failed: boom" == recording(["failed: boom"])


def test_a_page_gets_the_block_and_keeps_the_rest(tmp_path: Path) -> None:
    """What stands between the marks is replaced, every time anew."""
    page = tmp_path / "page.md"
    page.write_text("Before.\n\n<!-- begin: x -->\nold\n<!-- end: x -->\n\nAfter.\n")
    for text in ("first\n", "second\n"):
        publish(page, "x", text)
    assert "Before.\n\n<!-- begin: x -->\n\nsecond\n\n<!-- end: x -->\n\nAfter.\n" == page.read_text()


def test_a_page_without_the_block_is_refused_and_left(tmp_path: Path) -> None:
    """A figure that goes nowhere is an error."""
    page = tmp_path / "page.md"
    page.write_text("<!-- begin: y -->\n<!-- end: y -->\n")
    with pytest.raises(ValueError, match="no block 'x'"):
        publish(page, "x", "text")
    assert "<!-- begin: y -->\n<!-- end: y -->\n" == page.read_text()


@pytest.mark.parametrize("size", [0, 10, 60, 2_000, 200_000])
def test_the_server_answers_with_as_many_bytes_as_are_asked_for(size: int) -> None:
    """The size is exact, and the head says it."""
    head, _, body = next(answers(size)).partition(b"\r\n\r\n")
    assert (size, json_body(size)) == (len(body), body)
    assert f"Content-Length: {size}".encode() in head
