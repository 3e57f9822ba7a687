"""Instants to phases.

The rule, HAR 1.2 `timings`: -1 for what does not apply; send, wait and receive are never negative; `connect`
contains `ssl`; the entry's `time` is the sum of the phases without `ssl`, leaving out the -1s.
"""

from __future__ import annotations

from dataclasses import dataclass

from otel_har.exchange import Instants

_NS_PER_MS = 1_000_000
# Chrome's import takes the first phase that begins later than 0 for the end of "Stalled": with `blocked` 0 it would
# draw the whole wait as that. A request that was sent was never blocked for less than can be told here.
_SHORTEST_BLOCKED_MS = 0.001


@dataclass(slots=True)
class Phases:
    """The seven phases of HAR 1.2, in milliseconds, rounded to microseconds; -1 where one does not apply."""

    blocked: float
    dns: float
    connect: float
    ssl: float
    send: float
    wait: float
    receive: float

    @property
    def total_ms(self) -> float:
        """The entry's `time`: the sum of the phases that apply; `ssl` lies within `connect`."""
        applying = (self.blocked, self.dns, self.connect, self.send, self.wait, self.receive)
        return round(sum(phase for phase in applying if phase >= 0), 3)

    def as_har(self) -> dict[str, float]:
        """The `timings` object."""
        return {
            "blocked": self.blocked,
            "dns": self.dns,
            "connect": self.connect,
            "ssl": self.ssl,
            "send": self.send,
            "wait": self.wait,
            "receive": self.receive,
        }


def phases(instants: Instants) -> Phases:
    """The phases between the instants.

    What no instant divides is counted once: time before the request was written that neither the name look-up nor
    the connecting explains is `blocked`.
    """
    end = _latest(instants)
    request_started = instants.request_started
    if request_started is None and instants.response_started is not None:  # the client does not tell
        request_started = instants.started
    sending = end if request_started is None else request_started
    # What has no end of its own ended when the request was sent, or else in failure.
    dns_ms = _spent(instants.dns_started, instants.dns_ended, sending)
    connect_ms = _connecting(instants, dns_ms, sending)
    ssl_ms = _spent(instants.tls_started, instants.tls_ended, sending) if connect_ms >= 0 else -1
    blocked_ms = round(max(0.0, _ms(sending - instants.started) - max(0.0, connect_ms) - max(0.0, dns_ms)), 3)
    if request_started is None:  # it never came to that
        send_ms = wait_ms = receive_ms = 0.0
    else:
        blocked_ms = max(_SHORTEST_BLOCKED_MS, blocked_ms)
        response_started = instants.response_started if instants.response_started is not None else end
        sent = min(instants.request_sent or request_started, response_started)
        send_ms, wait_ms = _ms(sent - request_started), _ms(response_started - sent)
        receive_ms = _ms(end - response_started)
    return Phases(
        blocked=blocked_ms,
        dns=dns_ms,
        connect=connect_ms,
        ssl=min(ssl_ms, connect_ms),
        send=send_ms,
        wait=wait_ms,
        receive=receive_ms,
    )


def _connecting(instants: Instants, dns_ms: float, end: int) -> float:
    """The time of connecting, without a name look-up that a client counts into it."""
    connect_ms = _spent(instants.connect_started, instants.connect_ended, end)
    if connect_ms < 0 or instants.dns_started is None or instants.connect_started is None:
        return connect_ms
    within = instants.dns_started >= instants.connect_started
    return round(max(0.0, connect_ms - dns_ms), 3) if within else connect_ms


def _latest(instants: Instants) -> int:
    known = (
        instants.started,
        instants.request_started,
        instants.request_sent,
        instants.response_started,
        instants.finished,
        instants.dns_started,
        instants.connect_started,
    )
    return max(instant for instant in known if instant is not None)


def _spent(started: int | None, ended: int | None, end: int) -> float:
    """Milliseconds between two instants, up to `end` where the second never came; -1 without the first."""
    if started is None:
        return -1
    return _ms((end if ended is None else ended) - started)


def _ms(duration_ns: int) -> float:
    return round(max(0, duration_ns) / _NS_PER_MS, 3)
