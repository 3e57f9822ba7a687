"""A tap offers what its object offers, and nothing more."""

from __future__ import annotations

import asyncio
import copy
import gc
import io
import operator
import pickle
import weakref
from collections import abc
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import requests.utils
import urllib3

from otel_har.capture.content_tap import ContentTap
from otel_har.capture.proxy import Tap
from otel_har.capture.response_tap import ResponseTap
from otel_har.capture.streams import RequestBodyNotes, RequestBodyTap, ResponseNotes
from otel_har.capture.wire_tap import ChunkedWire, WireTap
from otel_har.exchange import Exchange
from otel_har.limits import CaptureLimits
from otel_har.message import Body

if TYPE_CHECKING:
    from collections.abc import Callable

# Each asks a type for its special methods.
PROTOCOLS: list[Any] = [
    abc.AsyncIterable, abc.Awaitable, abc.Callable, abc.Collection, abc.Container, abc.Hashable, abc.Iterable,
    abc.Iterator, abc.Mapping, abc.Reversible, abc.Sequence, abc.Sized, io.IOBase,
]  # fmt: skip
SPECIAL = [
    "__add__", "__aiter__", "__anext__", "__await__", "__bool__", "__bytes__", "__call__", "__contains__", "__copy__",
    "__deepcopy__", "__enter__", "__exit__", "__aenter__", "__float__", "__fspath__", "__getitem__", "__getstate__",
    "__hash__", "__index__", "__int__", "__iter__", "__len__", "__length_hint__", "__next__", "__reversed__",
    "__setitem__",
]  # fmt: skip
OPERATIONS: dict[str, Callable[[Any], object]] = {
    "len": len,
    "length hint": lambda thing: operator.length_hint(thing, 7),
    "item": lambda thing: thing[0],
    "call": lambda thing: thing(),
    "less": lambda thing: thing < thing,  # noqa: PLR0124 - whether it can be compared
    "reversed": reversed,
    "bool": bool,
    "await": lambda thing: asyncio.run(_awaited(thing)),
    "super_len": requests.utils.super_len,
    "pickle": lambda thing: type(pickle.loads(pickle.dumps(thing))).__name__,  # noqa: S301 - our own
    "copy": lambda thing: type(copy.copy(thing)).__name__,
    "deepcopy": lambda thing: type(copy.deepcopy(thing)).__name__,
    "repr": repr,
    "str": str,
    "hash": hash,
    "format": lambda thing: f"{thing}",
    "dir": dir,
    "doc": lambda thing: thing.__doc__,
    "name": lambda thing: type(thing).__name__,
    "dict": lambda thing: list(vars(thing)),
}


async def _awaited(thing: Any) -> object:
    return await thing


class Sized:
    """A file with a length, with which nothing can be done that takes a hash, and which leaves iteration out."""

    __hash__ = None  # type: ignore[assignment] # as a class takes it back
    __iter__ = None

    def __len__(self) -> int:
        return 5

    def __eq__(self, other: object) -> bool:
        return other == "the same"

    def read(self, size: int = -1) -> bytes:
        """Nothing."""
        return b""[:size]


def _response_notes() -> ResponseNotes:
    return ResponseNotes(Exchange("GET", "http://h.test/", started_unix_ns=1, started=1, limits=CaptureLimits()))


def _reader() -> aiohttp.StreamReader:
    loop = asyncio.new_event_loop()
    reader = aiohttp.StreamReader(aiohttp.base_protocol.BaseProtocol(loop), 1024, loop=loop)
    loop.close()
    return reader


def _response() -> urllib3.HTTPResponse:
    return urllib3.HTTPResponse(body=io.BytesIO(b"body"), preload_content=False)


KINDS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "urllib3's response": (_response, lambda wrapped: ResponseTap(wrapped, _response_notes())),
    "a file as a response": (lambda: io.BytesIO(b"body"), lambda wrapped: ResponseTap(wrapped, _response_notes())),
    "a sized response": (Sized, lambda wrapped: ResponseTap(wrapped, _response_notes())),
    "aiohttp's stream": (_reader, lambda wrapped: ContentTap(wrapped, _response_notes())),
    "a file as a request body": (
        lambda: io.BytesIO(b"body"),
        lambda wrapped: RequestBodyTap(wrapped, RequestBodyNotes(Body(CaptureLimits()))),
    ),
    "a generator as a request body": (
        lambda: (piece for piece in [b"a"]),
        lambda wrapped: RequestBodyTap(wrapped, RequestBodyNotes(Body(CaptureLimits()))),
    ),
    "http.client's file": (
        lambda: io.BufferedReader(io.BytesIO(b"body")),
        lambda wrapped: WireTap(wrapped, ChunkedWire(Body(CaptureLimits()))),
    ),
}


def _outcome(operation: Callable[[Any], object], thing: Any) -> object:
    try:
        return operation(thing)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return type(error), str(error).replace("_io.", "")  # Python puts the module before built-in types alone


@pytest.mark.parametrize("kind", KINDS)
def test_a_tap_has_the_special_methods_of_its_object(kind: str) -> None:
    """Neither `isinstance` with a protocol nor `hasattr` tells a tap from its object."""
    make, tapped = KINDS[kind]
    wrapped = make()
    tap = tapped(wrapped)
    assert [isinstance(wrapped, protocol) for protocol in PROTOCOLS] == [
        isinstance(tap, protocol) for protocol in PROTOCOLS
    ]
    assert [hasattr(wrapped, name) for name in SPECIAL] == [hasattr(tap, name) for name in SPECIAL]
    assert (True, type(wrapped), False) == (isinstance(tap, Tap), tap.__class__, type(tap) is type(wrapped))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_on_a_tap_ends_like_one_on_its_object(kind: str, operation: str) -> None:
    """Operators and built-ins have the same results, and fail with the same words."""
    make, tapped = KINDS[kind]
    wrapped = make()
    tap = tapped(wrapped)
    assert _outcome(OPERATIONS[operation], wrapped) == _outcome(OPERATIONS[operation], tap)


def test_equality_is_that_of_the_object() -> None:
    """A tap equals its object from both sides, itself, and what its object says."""
    wrapped = _response()
    tap: Any = ResponseTap(wrapped, _response_notes())
    sized: Any = ResponseTap(Sized(), _response_notes())
    assert [True, True, True, False, True, True, False] == [
        tap == wrapped, wrapped == tap, tap == tap, tap == _response(), tap != _response(),  # noqa: PLR0124 - itself
        sized == "the same", sized == "another",
    ]  # fmt: skip
    assert "found" == {wrapped: "found"}[tap]


def test_attributes_are_set_and_deleted_on_the_object() -> None:
    """What a program puts on the tap is on its object, and goes from there."""
    wrapped: Any = _response()
    tap: Any = ResponseTap(wrapped, _response_notes())
    tap.mine = 1
    assert (1, 1) == (wrapped.mine, vars(tap)["mine"])
    del tap.mine
    assert (False, False) == (hasattr(wrapped, "mine"), hasattr(tap, "mine"))
    with pytest.raises(AttributeError, match="no_such"):
        del tap.no_such


def test_the_type_of_a_tap_is_made_once_and_goes_with_the_type_that_it_is_for() -> None:
    """Two objects of one type have one type of tap; a class that a program forgets is not kept."""

    class Own(io.BytesIO):
        """A program's own."""

    taps = [ResponseTap(Own(), _response_notes()) for _ in range(2)]
    assert type(taps[0]) is type(taps[1])
    forgotten = weakref.ref(Own), weakref.ref(type(taps[0]))
    del Own, taps
    gc.collect()
    gc.collect()  # the type of the taps is let go when the other one is gone
    assert (None, None) == tuple(reference() for reference in forgotten)


def test_an_iterator_stays_itself() -> None:
    """A file that iterates over itself does so through its tap, and its lines are noted."""
    notes = _response_notes()
    tap: Any = ResponseTap(io.BytesIO(b"a\nb\n"), notes)
    assert iter(tap) is tap
    assert [b"a\n", b"b\n"] == list(tap)
    assert (b"a\nb\n", "whole") == (notes.exchange.response_body.kept(), notes.exchange.response_body.state)
