"""The facts of one exchange: bodies within their limits, and finishing once."""

from __future__ import annotations

import gc
import sys
import threading
from typing import Any

import pytest

from otel_har.budget import LEAST_ENTRY_BYTES, ByteBudget
from otel_har.duplex import Duplex, Passage
from otel_har.exchange import USUAL_BYTES, Exchange
from otel_har.limits import CaptureLimits
from otel_har.message import Body


def _exchange(limits: CaptureLimits | None = None) -> Exchange:
    limits = limits if limits is not None else CaptureLimits()
    return Exchange("GET", "http://example.test/", started_unix_ns=1, started=1, limits=limits)


def _body(max_body_bytes: int = 10, budget_bytes: int = 1000) -> Body:
    return Body(CaptureLimits(max_body_bytes, ByteBudget(budget_bytes)))


def test_body_at_the_limit() -> None:
    """A body of exactly the limit is whole, in whatever pieces it came."""
    for pieces in ([b"0123456789"], [b"01234", b"56789"], [b"", b"0123456789", b""]):
        body = _body(10)
        for piece in pieces:
            body.note(piece)
        body.ended = True
        assert ("whole", b"0123456789", 10) == (body.state, body.kept(), body.size_bytes)


@pytest.mark.parametrize("pieces", [[b"0123456789A"], [b"0123456789", b"A"], [b"01234", b"56789A"]])
def test_body_over_the_limit(pieces: list[bytes]) -> None:
    """One byte more and the body is cut at the limit, and its whole size is still counted."""
    body = _body(10)
    for piece in pieces:
        body.note(piece)
    body.ended = True
    assert ("truncated", b"0123456789", 11, 10) == (body.state, body.kept(), body.size_bytes, body.kept_bytes)


def test_nothing_is_kept_behind_a_gap() -> None:
    """What is kept is a prefix of what passed."""
    body = _body(budget_bytes=5)
    for piece in (b"012", b"345", b"6"):
        body.note(piece)
    assert (b"012", 7) == (body.kept(), body.size_bytes)


def test_limit_of_nothing() -> None:
    """A limit of 0 keeps nothing and counts everything; an empty body is whole."""
    body, empty = _body(0), _body(0)
    body.note(b"abc")
    empty.note(b"")
    empty.ended = True
    assert ("dropped", b"", 3) == (body.state, body.kept(), body.size_bytes)
    assert "whole" == empty.state


def test_states() -> None:
    """A body is unread, then partial, then whole."""
    body = _body()
    states = [body.state]
    body.note(b"a")
    states.append(body.state)
    body.ended = True
    states.append(body.state)
    assert ["unread", "partial", "whole"] == states


@pytest.mark.parametrize(
    "chunk", [bytearray(b"abcd"), memoryview(b"abcd"), memoryview(b"abcd").cast("H"), memoryview(b"abcd").cast("I")]
)
def test_any_buffer(chunk: bytearray | memoryview) -> None:
    """Buffers of any item size are bytes, whole and cut."""
    whole, cut = _body(10), _body(3)
    whole.note(chunk)
    cut.note(chunk)
    assert (b"abcd", 4) == (whole.kept(), whole.size_bytes)
    assert (b"abc", 4) == (cut.kept(), cut.size_bytes)


def test_a_buffer_may_be_used_again() -> None:
    """What is kept does not change with the buffer that it came in."""
    body, buffer = _body(), bytearray(b"abc")
    body.note(buffer)
    buffer[:] = b"xyz"
    assert b"abc" == body.kept()


@pytest.mark.parametrize(("count", "left"), [(0, b"abcdef"), (1, b"abcde"), (3, b"abc"), (5, b"a"), (6, b""), (9, b"")])
def test_retract(count: int, left: bytes) -> None:
    """Bytes that are given back were not read, across chunks too, and free their room."""
    body = Body(CaptureLimits(10, budget := ByteBudget(100)))
    body.note(b"abc")
    body.note(b"def")
    body.ended = True
    body.retract(count)
    assert (left, len(left), len(left)) == (body.kept(), body.size_bytes, budget.taken_bytes)
    assert not body.ended


def test_retract_within_a_cut() -> None:
    """Giving back what was not kept takes nothing from what was, and reading on counts again."""
    body = _body(4)
    body.note(b"abcdef")
    body.retract(2)
    assert (b"abcd", 4, "partial") == (body.kept(), body.size_bytes, body.state)
    body.note(b"ef")
    assert (b"abcd", 6, "truncated") == (body.kept(), body.size_bytes, body.state)


def test_retract_and_read_again() -> None:
    """A body that is read again from the middle is whole once."""
    body = _body()
    body.note(b"abcdef")
    body.retract(3)
    body.note(b"def")
    body.ended = True
    assert (b"abcdef", "whole") == (body.kept(), body.state)


def test_clear() -> None:
    """A body that is sent again starts anew, and the budget has its bytes back."""
    body = Body(CaptureLimits(10, budget := ByteBudget(100)))
    body.note(b"first")
    body.ended = True
    body.clear()
    assert (b"", 0, 0, "unread") == (body.kept(), body.size_bytes, budget.taken_bytes, body.state)
    body.note(b"second")
    assert (b"second", 6) == (body.kept(), budget.taken_bytes)


def test_clear_after_a_cut() -> None:
    """A body that was cut can be whole the second time."""
    body = _body(3)
    body.note(b"abcdef")
    body.clear()
    body.note(b"abc")
    body.ended = True
    assert "whole" == body.state


def test_budget_is_given_back_when_collected() -> None:
    """The account follows the memory itself."""
    budget = ByteBudget(100)
    body = Body(CaptureLimits(10, budget))
    body.note(b"abc")
    assert 3 == budget.taken_bytes
    del body
    gc.collect()
    assert 0 == budget.taken_bytes


def test_full_budget_drops_until_there_is_room() -> None:
    """A body that finds no room is dropped; a later one finds what was given back."""
    limits = CaptureLimits(10, ByteBudget(5))
    first, second, third = Body(limits), Body(limits), Body(limits)
    first.note(b"12345")
    second.note(b"1")
    del first
    gc.collect()
    third.note(b"1")
    assert ("dropped", "partial") == (second.state, third.state)


def test_bodies_share_one_budget() -> None:
    """Request and response of an exchange take from the same account."""
    exchange = _exchange(CaptureLimits(10, ByteBudget(4)))
    exchange.request_body.note(b"abc")
    exchange.response_body.note(b"de")
    assert (3, "dropped") == (exchange.held_bytes, exchange.response_body.state)
    assert exchange.has_body_over_budget


def test_listener_before_the_end() -> None:
    """A listener hears of the end when it comes, once."""
    exchange, heard = _exchange(), list[Exchange]()
    exchange.when_finished(heard.append)
    assert [] == heard
    exchange.finish(5)
    exchange.finish(6)
    assert [exchange] == heard
    assert 5 == exchange.instants.finished


def test_listener_after_the_end() -> None:
    """A listener that comes late hears of it at once; those before it do not hear of it again."""
    exchange, early, late = _exchange(), list[Exchange](), list[Exchange]()
    exchange.when_finished(early.append)
    exchange.finish(5)
    exchange.when_finished(late.append)
    assert ([exchange], [exchange]) == (early, late)


def test_every_listener_hears() -> None:
    """Two processors may wait for one exchange."""
    exchange, heard = _exchange(), list[str]()
    exchange.when_finished(lambda _: heard.append("one"))
    exchange.when_finished(lambda _: heard.append("two"))
    exchange.finish(5)
    assert ["one", "two"] == sorted(heard)


def test_finishing_and_listening_may_race() -> None:
    """Whoever finishes and whoever listens, on whatever threads: each listener is called exactly once."""
    for _ in range(100):
        _race()


def _race() -> None:
    exchange, heard, start = _exchange(), list[int](), threading.Barrier(7)

    def listen(number: int) -> None:
        start.wait(timeout=20)
        exchange.when_finished(lambda _: heard.append(number))

    def finish(_: int) -> None:
        start.wait(timeout=20)
        exchange.finish(1)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3) for work in (listen, finish)]
    for thread in threads:
        thread.start()
    interval = sys.getswitchinterval()
    # Only now that all have begun: CPython 3.11 refuses a tracer, such as that of a measurement of coverage, to a
    # thread that begins while another one is being given its own.
    sys.setswitchinterval(1e-6)
    try:
        start.wait(timeout=20)
        for thread in threads:
            thread.join(timeout=20)
    finally:
        sys.setswitchinterval(interval)
    assert [0, 1, 2] == sorted(heard)


def test_listener_may_finish_again() -> None:
    """A listener that finishes the exchange once more changes nothing."""
    exchange, heard = _exchange(), list[int]()

    def listener(finished: Exchange) -> None:
        heard.append(1)
        finished.finish(9)

    exchange.when_finished(listener)
    exchange.finish(5)
    assert ([1], 5) == (heard, exchange.instants.finished)


def test_small_chunks_are_put_together() -> None:
    """A body that comes in many tiny pieces is not held as many tiny objects."""
    body = _body(max_body_bytes=300_000, budget_bytes=400_000)
    for _ in range(100_000):
        body.note(b"abc")
    assert b"abc" * 100_000 == body.kept()
    assert len(body._chunks) < 10
    body.retract(299_999)
    assert (b"a", 1) == (body.kept(), body.kept_bytes)


def _passage(max_bytes: int = 10, budget_bytes: int = 1000) -> tuple[Passage, ByteBudget]:
    budget = ByteBudget(budget_bytes)
    return Passage(CaptureLimits(max_bytes, budget)), budget


def test_passage_knows_when_bytes_passed() -> None:
    """Each byte has the instant of its piece."""
    passage, _ = _passage()
    assert [None] == [passage.last_at]
    for at, piece in ((5, b"ab"), (6, b""), (7, bytearray(b"c")), (9, memoryview(b"def"))):
        passage.note(piece, at)
    assert (b"abcdef", False) == (passage.body.kept(), passage.is_cut)
    assert [5, 5, 7, 9, 9, 9] == [passage.passed_at(size) for size in range(1, 7)]
    assert 9 == passage.last_at


def test_passage_is_cut_at_the_limit() -> None:
    """What is over the limit is counted; the instant is that of what is kept."""
    passage, _ = _passage(3)
    for at, piece in ((5, b"ab"), (7, b"cd"), (9, b"e")):
        passage.note(piece, at)
    assert (b"abc", 5, 7, True) == (passage.body.kept(), passage.body.size_bytes, passage.last_at, passage.is_cut)


def test_passage_takes_its_instants_from_the_budget() -> None:
    """Many small pieces cost more than their bytes, and everything is given back."""
    passage, budget = _passage(1000, 100)
    for at in range(10):
        passage.note(b"x", at)
    assert (b"xxxxx", 10, 85) == (passage.body.kept(), passage.body.size_bytes, budget.taken_bytes)
    passage.note(b"", 11)
    assert 85 == budget.taken_bytes
    del passage
    gc.collect()
    assert 0 == budget.taken_bytes


def test_passage_has_a_number_of_pieces_at_most() -> None:
    """What comes in more pieces is cut, whatever its size."""
    passage, _ = _passage(10_000_000, 10_000_000)
    for at in range(100_003):
        passage.note(b"x", at)
    assert (100_000, 100_003, 99_999) == (passage.body.kept_bytes, passage.body.size_bytes, passage.last_at)


def test_held_bytes_have_those_of_a_websocket() -> None:
    """What an exchange holds is both bodies and both directions, with the marks of their pieces."""
    exchange = _exchange()
    exchange.request_body.note(b"a")
    exchange.response_body.note(b"bc")
    exchange.duplex = Duplex(CaptureLimits())
    exchange.duplex.sent.note(b"def", 1)
    exchange.duplex.received.note(b"ghij", 2)
    assert 10 + 2 * 16 == exchange.held_bytes


def test_heads_are_charged() -> None:
    """What the heads take is taken from the budget when it is noted, and given back with the exchange."""
    budget = ByteBudget(LEAST_ENTRY_BYTES)
    exchange = _exchange(CaptureLimits(budget=budget))
    exchange.charge()
    usual = budget.taken_bytes
    exchange.request_head = b"x" * 10_000
    exchange.response_headers = [("Name", "v" * 20_000)]
    exchange.charge()
    exchange.charge()
    assert 30_000 <= budget.taken_bytes < 30_000 + usual
    del exchange
    assert 0 == budget.taken_bytes


def test_heads_without_room_are_let_go() -> None:
    """An exchange whose heads do not fit keeps nothing of them, and says so."""
    exchange = _exchange(CaptureLimits(budget=ByteBudget(LEAST_ENTRY_BYTES)))
    exchange.url = "http://h.test/" + "x" * 10_000
    exchange.request_headers = [("A", "a" * 2 * LEAST_ENTRY_BYTES)]
    exchange.response_headers = [("B", "b")]
    exchange.request_head = b"head"
    exchange.charge()
    assert exchange.is_over_budget
    assert [] == [*exchange.request_headers, *exchange.response_headers]
    assert (1_000, "None") == (len(exchange.url), repr(exchange.request_head))


def test_odd_header_fields_are_charged() -> None:
    """What an adapter of the program's own calls a header field is charged as its text."""
    odd: Any = [("Name", 5), (None, "x")]
    exchange = _exchange()
    exchange.response_headers = odd
    exchange.charge()
    assert not exchange.is_over_budget
    assert exchange.held_bytes > 0


def test_body_over_its_own_limit_is_not_over_the_budget() -> None:
    """A body that is cut at its own limit does not blame the others; one that found no room does."""
    own = Body(CaptureLimits(2, ByteBudget(100)))
    own.note(b"abc")
    crowded = Body(CaptureLimits(10, ByteBudget(2)))
    crowded.note(b"abc")
    assert (False, True) == (own.is_over_budget, crowded.is_over_budget)
    moved = crowded.moved_out()
    assert (True, False) == (moved.is_over_budget, crowded.is_over_budget)
    moved.clear()
    assert not moved.is_over_budget


def test_what_is_usual_is_charged_once() -> None:
    """As much as most exchanges take with their spans is taken at once, and more only where there is more."""
    budget = ByteBudget(LEAST_ENTRY_BYTES)
    exchange = _exchange(CaptureLimits(budget=budget))
    exchange.charge()
    before = budget.taken_bytes
    exchange.response_headers = [("Name", "value")]
    exchange.charge()
    assert (True, before) == (exchange.hold_span(1_000), budget.taken_bytes)
    assert exchange.hold_span(2 * USUAL_BYTES)
    assert before + USUAL_BYTES < budget.taken_bytes < before + 2 * USUAL_BYTES
    assert not exchange.hold_span(2 * LEAST_ENTRY_BYTES)


def test_texts_of_the_answer_are_charged() -> None:
    """The reason phrase, and what went wrong in the server's words, are as long as the server likes."""
    budget = ByteBudget(LEAST_ENTRY_BYTES)
    held = []
    for fact, length in (("reason", 60_000), ("error", 50_000)):
        exchange = Exchange("GET", "/", started_unix_ns=0, started=0, limits=CaptureLimits(budget=budget))
        exchange.charge()
        before = budget.taken_bytes
        setattr(exchange, fact, "r" * length)
        exchange.charge()
        held.append(exchange)
        assert length - USUAL_BYTES < budget.taken_bytes - before <= length
    failed = Exchange("GET", "/", started_unix_ns=0, started=0, limits=CaptureLimits(budget=budget))
    failed.error = "e" * LEAST_ENTRY_BYTES
    failed.finish(1)
    assert (True, 1_000) == (failed.is_over_budget, len(failed.error))
