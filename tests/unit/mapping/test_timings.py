"""Instants to phases: what HAR 1.2 says of `timings` and `time`."""

from __future__ import annotations

import pytest

from otel_har.exchange import Instants
from otel_har.mapping.timings import phases

MS = 1_000_000
STARTED = 7_000 * MS


def _instants(**milliseconds: float) -> Instants:
    instants = Instants(STARTED)
    for name, value in milliseconds.items():
        setattr(instants, name, STARTED + int(value * MS))
    return instants


def test_every_phase() -> None:
    """A new connection with its name look-up, told by every signal, divides the whole time."""
    actual = phases(
        _instants(
            connect_started=1,
            dns_started=2,
            dns_ended=5,
            connect_ended=11,
            request_started=12,
            request_sent=20,
            response_started=50,
            finished=80,
        )
    )
    expected = {"blocked": 2, "dns": 3, "connect": 7, "ssl": -1, "send": 8, "wait": 30, "receive": 30}
    assert expected == actual.as_har()
    assert 80 == actual.total_ms


def test_reused_connection() -> None:
    """Without a look-up and without connecting both are -1, and what went before the request is `blocked`."""
    actual = phases(_instants(request_started=4, request_sent=5, response_started=9, finished=10))
    assert {"blocked": 4, "dns": -1, "connect": -1, "ssl": -1, "send": 1, "wait": 4, "receive": 1} == actual.as_har()
    assert 10 == actual.total_ms


def test_client_that_does_not_tell_when_it_wrote() -> None:
    """What no instant divides is `wait`, counted once; `blocked` is never 0: readers take that for unknown."""
    actual = phases(_instants(response_started=30, finished=42))
    expected = {"blocked": 0.001, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": 30, "receive": 12}
    assert expected == actual.as_har()
    assert 42.001 == actual.total_ms


def test_request_without_a_body_signal() -> None:
    """A request whose sending is not told took no time to send."""
    actual = phases(_instants(request_started=1, response_started=9, finished=9))
    assert (0, 8, 0) == (actual.send, actual.wait, actual.receive)


def test_failed_connection() -> None:
    """A connection that never came is `connect` up to the end, and nothing is waited for."""
    actual = phases(_instants(connect_started=2, finished=10))
    assert {"blocked": 2, "dns": -1, "connect": 8, "ssl": -1, "send": 0, "wait": 0, "receive": 0} == actual.as_har()


def test_failed_look_up() -> None:
    """A look-up that never came is `dns` up to the end; the connecting around it is no time of its own."""
    actual = phases(_instants(connect_started=2, dns_started=3, finished=10))
    assert (2, 7, 1) == (actual.blocked, actual.dns, actual.connect)
    assert 10 == actual.total_ms


def test_no_response() -> None:
    """A request that was written and never answered waited until its end."""
    actual = phases(_instants(request_started=1, request_sent=2, finished=30))
    assert (1, 28, 0) == (actual.send, actual.wait, actual.receive)


def test_nothing_is_known() -> None:
    """An exchange that is not even finished took no time."""
    actual = phases(Instants(STARTED))
    assert {"blocked": 0, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": 0, "receive": 0} == actual.as_har()
    assert 0 == actual.total_ms


def test_response_while_still_sending() -> None:
    """A response that comes before the request is sent whole ends the sending, and no phase is negative."""
    actual = phases(_instants(request_started=1, response_started=5, request_sent=9, finished=12))
    assert (4, 0, 7) == (actual.send, actual.wait, actual.receive)
    assert 12 == actual.total_ms


def test_unfinished_body() -> None:
    """A body that never ended was received up to the last that is known."""
    actual = phases(_instants(request_started=1, response_started=5))
    assert (4, 0) == (actual.wait, actual.receive)


@pytest.mark.parametrize(
    "milliseconds",
    [
        {"connect_started": 5, "connect_ended": 2, "finished": 1},
        {"dns_started": 5, "dns_ended": 2, "request_started": -3, "response_started": -4, "finished": -5},
        {"request_started": 9, "request_sent": 3, "response_started": 1, "finished": 0},
    ],
)
def test_instants_out_of_order(milliseconds: dict[str, int]) -> None:
    """No order of instants makes a phase negative."""
    actual = phases(_instants(**milliseconds))
    assert all(value >= 0 or value == -1 for value in actual.as_har().values())
    assert min(actual.send, actual.wait, actual.receive) >= 0


def test_phases_are_rounded_to_microseconds() -> None:
    """No phase has more than three decimals, the difference of two of them neither."""
    actual = phases(
        _instants(
            connect_started=0, dns_started=0, dns_ended=0.1, connect_ended=0.3, request_started=0.7, response_started=1
        )
    )
    assert {name: round(value, 3) for name, value in actual.as_har().items()} == actual.as_har()


def test_time_leaves_out_what_does_not_apply() -> None:
    """`time` is the sum of the phases, without the -1s and without adding `ssl` again."""
    actual = phases(_instants(connect_started=0, connect_ended=5, request_started=5, response_started=6, finished=8))
    assert 8.001 == actual.total_ms


def test_connecting_that_begins_after_the_look_up() -> None:
    """A client that tells the look-up apart from connecting has nothing to subtract."""
    actual = phases(
        _instants(
            dns_started=2, dns_ended=5, connect_started=5, connect_ended=11, request_started=11, response_started=20
        )
    )
    assert (2, 3, 6, -1) == (actual.blocked, actual.dns, actual.connect, actual.ssl)


def test_tls_lies_within_connect() -> None:
    """HAR 1.2: "the time is also included in the connect field"; the sum has it once."""
    actual = phases(
        _instants(
            connect_started=1, tls_started=4, tls_ended=9, connect_ended=9, request_started=9, response_started=20
        )
    )
    assert (1, 8, 5, 11) == (actual.blocked, actual.connect, actual.ssl, actual.wait)
    assert 20 == actual.total_ms


def test_tls_that_takes_longer_than_connecting_is_none() -> None:
    """Whatever the instants say, ssl is never more than connect, and nothing without connect."""
    more = phases(_instants(connect_started=1, connect_ended=2, tls_started=1, tls_ended=9, request_started=9))
    without = phases(_instants(tls_started=1, tls_ended=9, request_started=9))
    assert (1, 1) == (more.connect, more.ssl)
    assert (-1, -1) == (without.connect, without.ssl)


def test_a_handshake_that_failed() -> None:
    """Connecting lasts until the end of what failed in it, the handshake too."""
    actual = phases(_instants(connect_started=1, tls_started=3, finished=8))
    assert (1, 7, 5, 0, 0, 0) == (
        actual.blocked,
        actual.connect,
        actual.ssl,
        actual.send,
        actual.wait,
        actual.receive,
    )


def test_a_look_up_that_failed() -> None:
    """The look-up lasts until the end of what failed in it."""
    actual = phases(_instants(dns_started=1, finished=8))
    assert (1, 7, -1) == (actual.blocked, actual.dns, actual.connect)
