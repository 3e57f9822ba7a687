"""What holds for all tests."""

from __future__ import annotations

import signal


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names of cases that are the same in every process: what gzip makes has the time in it, so bytes are not told."""
    is_compressed = isinstance(val, bytes) and not (val.isascii() and val.decode("ascii").isprintable())
    return argname if is_compressed else None


def pytest_configure() -> None:
    """Signals do to the programs of tests what they do by default, also where whoever starts the tests ignores them."""
    for number in (signal.SIGINT, *(getattr(signal, name, signal.SIGINT) for name in ("SIGHUP", "SIGQUIT"))):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
