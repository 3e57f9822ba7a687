"""What is remembered of texts in which nothing was found."""

from __future__ import annotations

from otel_har.redaction.finding import LONGEST_REMEMBERED, Harmless
from otel_har.redaction.redactor import Redactor


def test_short_texts_are_remembered_by_name() -> None:
    """The same text under another name is looked at; so is one that is long, or has a mark already."""
    harmless = Harmless()
    harmless.remember("a", "text")
    harmless.remember("a", "x" * (LONGEST_REMEMBERED + 1))
    harmless.remember("a", "[REDACTED]")
    assert {("a", "text")} == harmless


def test_what_is_remembered_is_bounded() -> None:
    """Beyond so many they begin anew."""
    harmless = Harmless()
    for number in range(20_000):
        harmless.remember("a", str(number))
    assert len(harmless) <= 4_096
    assert ("a", "19999") in harmless


def test_a_text_that_was_harmless_is_none_under_the_name_of_a_secret() -> None:
    """A redactor that has seen `hunter22` as a comment takes it out as a password, and the other way around."""
    redactor = Redactor()
    for name, expected in (("comment", "hunter22"), ("password", "[REDACTED]"), ("comment", "hunter22")):
        assert expected == redactor.entry({name: "hunter22"})[name]
