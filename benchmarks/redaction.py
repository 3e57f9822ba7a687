"""What redaction costs: its share of an entry, and how its time grows with a body that means harm.

Run it as `python benchmarks/redaction.py [ROUNDS]`. An entry with a JSON body of 2 KB and of 200 KB, with a secret and
without one, is built and serialised as for a file, with redaction and without, in turns; printed is the ratio of the
least CPU times of the rounds. Bodies that mean harm have 5 MB and 10 MB; where the time is linear, the ratio is 2.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable

from otel_har.exchange import Exchange
from otel_har.export.building import build_batch
from otel_har.limits import CaptureLimits
from otel_har.record import HarRecord, PageFacts, SpanFacts
from otel_har.redaction.policy import DEFAULT_POLICY, NO_REDACTION, RedactionPolicy
from otel_har.redaction.redactor import Redactor

_START_NS = 1_900_000_000_000_000_000
_MB = 1_000_000
_HOSTILE: dict[str, str] = {
    "quotation marks": '"',
    "backslashes": "\\",
    "brackets": "[",
    "names without values": '"password":',
    "names and colons": "password: ",
    "names in a form": "password=&",
    "names and values": "password=x ",
    "parameters of URLs": "?token=a&a=?",
    "values that come again": "".join(f"password=vAl{n:05} vAl{n:05} " for n in range(200)),
    "numbers that come again": "".join(f'{{"token":{10**8 + n},"a":{10**8 + n}}},' for n in range(200)),
    "begun tokens": "eyJ",
    "begun private keys": "-----BEGIN PRIVATE KEY-----",
    "begun URLs": "https://a:",
    "questions": "?a=",
    "escapes": "%70%61",
    "numbers in JSON": '{"token":1,',
    "elements": "<password>",
    "base64": "QUJDREVGR0g",
    "words": "author monkey ",
    "letters": "a",
}
"""What each body is made of."""


def _record(number: int, body: bytes) -> HarRecord:
    """A record of a GET with the usual header fields, and a JSON body as its answer."""
    url = f"https://api.example.test/v1/items?page={number}&author=ann"
    exchange = Exchange("GET", url, started_unix_ns=_START_NS, started=0, limits=CaptureLimits())
    exchange.request_headers = [("Accept", "application/json"), ("Authorization", f"Bearer {number:032}")]
    exchange.status = 200
    exchange.response_headers = [
        ("Content-Type", "application/json"),
        ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("Set-Cookie", f"sid={number:032}; Path=/; HttpOnly"),
        ("X-Request-Id", f"{number:032x}"),
    ]
    exchange.response_body.note(body)
    exchange.response_body.ended = True
    attributes = {"http.request.method": "GET", "url.full": url, "http.response.status_code": 200}
    span = SpanFacts(
        f"{number:032x}", f"{number:016x}", None, "benchmark", _START_NS, _START_NS + 1_000_000, "UNSET", None,
        attributes, None,
    )  # fmt: skip
    return HarRecord(exchange, span, PageFacts("run", "run", _START_NS))


def _body(record: int, size_bytes: int, *, secret: bool) -> bytes:
    """A list of objects such as APIs answer with, others in each record."""
    items: list[dict[str, object]] = []
    count = max(1, size_bytes // 270)
    for number in range(record * count, (record + 1) * count):
        item = {"id": number, "author": f"author {number}", "url": f"https://a.test/{number}?page=2", "ok": True}
        items += [{**item, "tags": ["one", "two"], "text": "The quick brown fox jumps over the lazy dog. " * 3}]
    if secret:
        items[-1]["access_token"] = "Xq7vT2mB9kLw4zRd8pYs"  # noqa: S105 - of nothing
    return json.dumps(items).encode()


def _cpu_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _share(records: list[HarRecord], rounds: int) -> tuple[float, float, float]:
    """The least seconds without redaction and with it, and their ratio; a redactor has seen no record before."""
    policies = [NO_REDACTION, DEFAULT_POLICY]

    def write(policy: RedactionPolicy) -> None:
        for entry in build_batch(records, redactor=Redactor(policy)).entries:
            entry.to_json()

    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for taken, policy in zip(times, policies, strict=True):
            taken.append(_cpu_s(functools.partial(write, policy)))
    without, with_redaction = (min(taken) for taken in times)
    return without, with_redaction, with_redaction / without


def _hostile_s(text: str, size_bytes: int) -> float:
    """The CPU time for a body that is a repetition of a text."""
    body = (text * (size_bytes // len(text) + 1))[:size_bytes]
    content = {"mimeType": "application/json", "text": body, "size": size_bytes}
    return _cpu_s(lambda: Redactor(DEFAULT_POLICY).entry({"response": {"content": content}}))


def main(rounds: int) -> None:
    """Measure, and print."""
    for size_bytes, count in ((2_000, 200), (200_000, 10)):
        for secret in (False, True):
            records = [_record(number, _body(number, size_bytes, secret=secret)) for number in range(count)]
            without, with_redaction, ratio = _share(records, rounds)
            each = 1e6 * (with_redaction - without) / count
            kind = "with a secret" if secret else "without one"
            print(f"{size_bytes:>7} bytes of JSON {kind:<14} {ratio:5.2f} times the time, {each:7.0f} us for an entry")
    for name, text in _HOSTILE.items():
        half, whole = _hostile_s(text, 5 * _MB), _hostile_s(text, 10 * _MB)
        print(f"10 MB of {name:<22} {whole:6.2f} s, {whole / max(half, 1e-3):5.2f} times that of 5 MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
