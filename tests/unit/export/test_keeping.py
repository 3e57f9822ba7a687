"""Limits of what stays: a bad one is refused where it is given, with its value."""

from __future__ import annotations

import math
from typing import Any

import pytest

import otel_har
from otel_har.errors import SettingError
from otel_har.export.keeping import Retention, Rotation

_BAD = (0, -1, True, "5", math.nan, math.inf)


@pytest.mark.parametrize("value", _BAD)
@pytest.mark.parametrize("name", ["max_age_seconds", "max_entries", "max_bytes"])
def test_retention(name: str, value: Any) -> None:
    """A limit that is none is told with its name and value."""
    with pytest.raises(SettingError, match=name) as raised:
        Retention(**{name: value})
    assert f"not {value!r}" in str(raised.value)


@pytest.mark.parametrize("value", _BAD)
@pytest.mark.parametrize("name", ["max_bytes", "max_seconds", "files"])
def test_rotation(name: str, value: Any) -> None:
    """So it is of a rotation."""
    with pytest.raises(SettingError, match=f"{name}.*not {value!r}"):
        Rotation(**{"max_bytes": 1, name: value})


def test_whole_numbers() -> None:
    """Entries, bytes and files are counted; seconds are measured."""
    assert 0.5 == Retention(max_age_seconds=0.5).max_age_seconds
    assert 0.5 == Rotation(max_seconds=0.5).max_seconds
    for refused in (lambda: Retention(max_entries=1.5), lambda: Rotation(files=1.5, max_bytes=1)):  # type: ignore[arg-type] # that is tested
        with pytest.raises(SettingError, match=r"whole number above 0, not 1\.5"):
            refused()


def test_rotation_without_a_limit() -> None:
    """A rotation that would never come is a mistake; a retention of everything is what there is by default."""
    with pytest.raises(SettingError, match="needs max_bytes or max_seconds"):
        Rotation(files=3)
    assert not Retention()
    assert Retention(max_entries=1)


def test_they_are_public() -> None:
    """They are had from the package."""
    assert (Retention, Rotation) == (otel_har.Retention, otel_har.Rotation)
