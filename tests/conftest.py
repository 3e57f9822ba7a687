"""What holds for all tests."""

from __future__ import annotations


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names of cases that are the same in every process: what gzip makes has the time in it, so bytes are not told."""
    is_compressed = isinstance(val, bytes) and not (val.isascii() and val.decode("ascii").isprintable())
    return argname if is_compressed else None
