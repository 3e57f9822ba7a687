"""`HarFilter`: which exchanges are recorded, and what of their bodies.

The rule: an exchange is recorded where every rule that is set lets it in; what is left out is no loss and is counted
apart. What method and URL tell is asked before a request is sent, so that nothing is kept of what is left out; the rest
is asked in the worker, before an entry is built, and only the program's own predicate sees the entry. A rule that
fails at work lets in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from urllib.parse import urlsplit, urlunsplit

from otel_har import filter_notation
from otel_har.errors import SettingError
from otel_har.exchange import Exchange
from otel_har.filter_notation import NO_ANSWER, Patterns, Statuses
from otel_har.guard import guarded
from otel_har.har.models import Entry
from otel_har.importing import ImportedFunction
from otel_har.limits import Interest
from otel_har.mapping.bodies import is_textual
from otel_har.mapping.content_type import media_type
from otel_har.mapping.headers import Fields, fields_of_head
from otel_har.mapping.spans import exchange_from_span
from otel_har.mapping.timings import phases
from otel_har.mapping.urls import har_url
from otel_har.mapping.websocket import known_instants
from otel_har.message import BodyRule, RawHeaders
from otel_har.record import HarRecord

Predicate = Callable[[Entry], bool]

_LOWEST_STATUS, _LOWEST_ERROR, _HIGHEST_STATUS = 100, 400, 999
_NOT_MODIFIED = 304
_MAX_DIGITS = 18  # of a Content-Length that can be meant


@dataclass(frozen=True, slots=True)
class HarFilter:
    """Which exchanges are recorded, and what of their bodies; without arguments everything is.

    Each hop of a redirect, and each repetition of a request, is an exchange of its own. Where a value may be several,
    it is any iterable of them, or one text in which they are separated by commas.

    Patterns are globs, in which `*` stands for any characters and everything else for itself; they are about the whole
    text, in any case. Behind `re:` a pattern is a regular expression, which may be found anywhere; so is an
    `re.Pattern`.

    Attributes:
        include_urls: Patterns; only these are recorded. What is matched is the whole URL as the entry has it before
            redaction: with its query, percent-encoded, without user information and fragment; the least path is `/`.
        exclude_urls: Patterns; these are not recorded, whatever else says so.
        methods: Request methods.
        statuses: Status codes: `404` or `"404"`, `"4xx"`, `"500-599"`; `"error"` or 0 for exchanges without an answer.
        content_types: Patterns of the answer's media type, as in `image/*`; parameters do not count. Without an answer,
            and without a type, it is empty, which `*` alone matches.
        bodies: What is recorded of bodies, requests' and responses': `all`, `text` for those that are text, `none`. Or
            by media type, `image/*=none,*=text`, the first that fits; where none does, all.
        min_duration_ms: The least `time` of an entry, milliseconds.
        errors_only: Only exchanges without an answer, with one whose status is 400 or more, and with one that broke
            off.
        predicate: Given each entry that is left, after its redaction; what it finds false is not recorded. A function,
            or the place to import one from with the first entry, `package.module:function`. Where it raises, the entry
            is recorded. It is called in the processor's thread, and for one entry again where the destination took
            nothing.

    Raises:
        SettingError: When a value cannot be understood.
    """

    include_urls: Patterns = ()
    exclude_urls: Patterns = ()
    methods: str | Iterable[str] = ()
    statuses: Statuses = ()
    content_types: Patterns = ()
    bodies: str | Mapping[str, str] = "all"
    min_duration_ms: float = 0
    errors_only: bool = False
    predicate: Predicate | str | None = None
    _included: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)
    _excluded: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)
    _methods: frozenset[str] = field(init=False, repr=False, compare=False)
    _statuses: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)
    _types: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)
    _bodies: tuple[tuple[re.Pattern[str], BodyRule], ...] = field(init=False, repr=False, compare=False)
    _predicate: Predicate | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        compiled = {
            "_included": filter_notation.patterns("include_urls", self.include_urls),
            "_excluded": filter_notation.patterns("exclude_urls", self.exclude_urls),
            "_methods": filter_notation.methods("methods", self.methods),
            "_statuses": filter_notation.statuses("statuses", self.statuses),
            "_types": filter_notation.media_types("content_types", self.content_types),
            "_bodies": filter_notation.body_rules("bodies", self.bodies),
            "_predicate": _callable(self.predicate),
        }
        for name, value in compiled.items():
            object.__setattr__(self, name, value)
        if not isinstance(self.errors_only, bool):
            raise SettingError(f"errors_only: {self.errors_only!r} is neither True nor False")
        if not _is_duration(self.min_duration_ms):
            raise SettingError(f"min_duration_ms: {self.min_duration_ms!r} is no duration in milliseconds")

    def interest(self, method: str, url: str) -> Interest:
        """What of an exchange can be of use, by what is known before it is sent."""
        if not self._lets_in_request(method, url):
            return Interest.NOTHING
        return Interest.FACTS if self._bodies[0][1] == "none" and _is_for_all(self._bodies[0][0]) else Interest.ALL

    @property
    def takes_every_request(self) -> bool:
        """Whether all of every exchange can be of use, whatever its method and its URL."""
        no_bodies = self._bodies[0][1] == "none" and _is_for_all(self._bodies[0][0])
        is_asked = type(self).interest is not HarFilter.interest  # a program's own kind of filter
        return not (is_asked or self._methods or self._included or self._excluded or no_bodies)

    def lets_in(self, record: HarRecord) -> bool:
        """Whether a record is to become an entry, as far as its facts tell."""
        rules = self._included, self._excluded, self._methods, self._statuses, self._types
        if not any(rules) and not self.errors_only and not self.min_duration_ms:
            return True
        return _lets_in(self, record) is not False

    @property
    def sees_entries(self) -> bool:
        """Whether the program has a predicate, which sees each entry."""
        return self._predicate is not None

    def lets_in_entry(self, entry: Entry) -> bool:
        """Whether the program's predicate lets an entry in."""
        return self._predicate is None or _is_true(self._predicate, entry) is not False

    def limited(self, record: HarRecord) -> HarRecord:
        """The record with as much of its bodies as is to be recorded; the given one stays as it is."""
        exchange = record.exchange
        if exchange is None or (len(self._bodies) == 1 and self._bodies[0][1] == "all"):
            return record
        head = exchange.request_head
        sent = exchange.request_headers if head is None else fields_of_head(head)
        return record.of(exchange.under(self._body_rule(sent), self._body_rule(exchange.response_headers)))

    def _lets_in_request(self, method: str, url: str) -> bool:
        if self._methods and method.upper() not in self._methods:
            return False
        if not self._included and not self._excluded:
            return True
        url = _matched_url(url)
        return (not self._included or _matches(self._included, url)) and not _matches(self._excluded, url)

    def _lets_in_answer(self, exchange: Exchange) -> bool:
        status = _status(exchange)
        if self._statuses and not any(low <= status <= high for low, high in self._statuses):
            return False
        if self.errors_only and not _is_error(exchange, status):
            return False
        if self._types and not _matches(self._types, media_type(_content_type(exchange.response_headers))):
            return False
        return not self.min_duration_ms or phases(known_instants(exchange)).total_ms >= self.min_duration_ms

    def _body_rule(self, headers: RawHeaders) -> BodyRule:
        content_type = _content_type(headers)
        name = media_type(content_type)
        found = (rule for pattern, rule in self._bodies if pattern.search(name))
        rule: BodyRule = next(found, "all")
        return "none" if rule == "text" and not is_textual(content_type) else rule


@guarded("filtering")
def _lets_in(har_filter: HarFilter, record: HarRecord) -> bool:
    exchange = record.exchange if record.exchange is not None else exchange_from_span(record.span)
    return har_filter._lets_in_request(exchange.method, exchange.url) and har_filter._lets_in_answer(exchange)  # noqa: SLF001 - a part of the filter


@guarded("the program's filter", BaseException)
def _is_true(predicate: Predicate, entry: Entry) -> bool:
    return bool(predicate(entry))


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and isfinite(value) and value >= 0


def _callable(predicate: object) -> Predicate | None:
    if predicate is None or callable(predicate):
        return predicate
    try:
        return ImportedFunction(str(predicate))
    except ValueError as fault:
        raise SettingError(f"predicate: {predicate!r} {fault}") from fault


def _matched_url(url: str) -> str:
    """As the entry has it; a URL without a path asks for `/` (RFC 3986, 6.2.3), whichever way the client writes it."""
    parts = urlsplit(har_url(url))
    return urlunsplit(parts._replace(path="/")) if parts.netloc and not parts.path else urlunsplit(parts)


def _matches(patterns: tuple[re.Pattern[str], ...], text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)


def _is_for_all(pattern: re.Pattern[str]) -> bool:
    return pattern.pattern == r"\A.*\Z"


def _content_type(headers: RawHeaders) -> str:
    return Fields(headers).first("content-type")


def _status(exchange: Exchange) -> int:
    """As the entry has it (RFC 9110, 15): an adapter of the program's own may say anything."""
    status: object = exchange.status
    is_status = isinstance(status, int) and _LOWEST_STATUS <= status <= _HIGHEST_STATUS
    return status if isinstance(status, int) and is_status else NO_ANSWER


def _is_error(exchange: Exchange, status: int) -> bool:
    return status == NO_ANSWER or status >= _LOWEST_ERROR or bool(exchange.error) or _is_cut_off(exchange, status)


def _is_cut_off(exchange: Exchange, status: int) -> bool:
    """Whether an answer has less than it announced (RFC 9112, 6.3), with a client that says nothing of it."""
    received = exchange.response_body.wire_size_bytes
    if received is None or not exchange.response_body.ended or exchange.method == "HEAD" or status == _NOT_MODIFIED:
        return False
    length = Fields(exchange.response_headers).first("content-length")
    return length.isascii() and length.isdigit() and len(length) <= _MAX_DIGITS and received < int(length)


EVERYTHING = HarFilter()
