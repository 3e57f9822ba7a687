"""Texts that were seen before."""

from __future__ import annotations

from otel_har.redaction.seen_texts import SeenTexts


class _OfOneHash(str):
    """A text that has the hash of all others of its kind."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 1


def test_a_text_is_known_after_the_second_time() -> None:
    """Of what came once only a hash is kept."""
    seen = SeenTexts()
    for expected in (False, False, True, True):
        assert expected == ("[1, 2, \ud800]" in seen)
        seen.add("[1, 2, \ud800]")
    assert "[1, 2]" not in seen


def test_another_text_of_the_same_hash() -> None:
    """A hash alone tells nothing."""
    seen = SeenTexts()
    for _ in range(3):
        seen.add(_OfOneHash("a"))
    assert _OfOneHash("a") in seen
    assert _OfOneHash("b") not in seen


def test_bounds() -> None:
    """So many are remembered and no more, and what is very long is not."""
    seen = SeenTexts()
    for number in range(10_000):
        seen.add(f"text {number}")
        seen.add(f"text {number}")
    assert "text 9999" in seen
    assert len(seen._hashes) <= 4096
    assert len(seen._digests) <= 4096
    for _ in range(3):
        seen.add("x" * 1_048_577)
    assert "x" * 1_048_577 not in seen
