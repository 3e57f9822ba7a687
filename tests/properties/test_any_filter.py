"""Any filter parts the exchanges in two, and none of its texts does anything but raise our error."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_har.errors import SettingError
from otel_har.exchange import Exchange
from otel_har.export.building import build
from otel_har.filters import HarFilter
from otel_har.limits import CaptureLimits, Interest
from otel_har.record import HarRecord, PageFacts, SpanFacts
from otel_har.redaction.policy import NO_REDACTION
from otel_har.redaction.redactor import Redactor

any_filter = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))

PAGE = PageFacts("run", "run", 1)
AS_IT_IS = Redactor(NO_REDACTION)

patterns = st.lists(
    st.sampled_from(["*", "http://a.test/*", "*.png", "*?q=*", "re:b", "re:^http://a", "image/*", "text/*", "*é*"]),
    max_size=3,
)
filters = st.builds(
    HarFilter,
    include_urls=patterns,
    exclude_urls=patterns,
    methods=st.lists(st.sampled_from(["get", "POST"]), max_size=2),
    statuses=st.lists(st.sampled_from([404, "4xx", "500-599", "error", 200]), max_size=3),
    content_types=patterns,
    bodies=st.sampled_from(["all", "text", "none", "image/*=none,*=text", "text/*=none"]),
    min_duration_ms=st.sampled_from([0, 1, 0.5]),
    errors_only=st.booleans(),
    predicate=st.sampled_from([None, lambda entry: "q" in entry.request.url, lambda _: 1 / 0]),
)
any_text = st.text(st.characters(), max_size=20)


@st.composite
def exchanges(draw: Any) -> Exchange:
    """An exchange with an answer or without one."""
    url = draw(st.sampled_from(["http://a.test/x.png", "http://u:p@b.test/é?q=1"]) | any_text)
    method = draw(st.sampled_from(["GET", "POST", "get", ""]))
    exchange = Exchange(method, url, started_unix_ns=1, started=0, limits=CaptureLimits())
    exchange.status = draw(st.none() | st.integers(-1, 1000))
    content_type = draw(st.sampled_from(["text/plain", "image/png", ""]) | any_text)
    exchange.response_headers = exchange.request_headers = [("Content-Type", content_type)]
    exchange.response_body.note(draw(st.binary(max_size=9)))
    exchange.request_body.note(draw(st.binary(max_size=9)))
    exchange.response_body.ended = draw(st.booleans())
    exchange.instants.response_started = draw(st.none() | st.integers(0, 3_000_000))
    exchange.finish(3_000_000)
    return exchange


@any_filter
@given(har_filter=filters, found=st.lists(exchanges(), max_size=6))
def test_kept_and_filtered_are_all(har_filter: HarFilter, found: list[Exchange]) -> None:
    """Each exchange is an entry or left out; what is known before sending leaves out nothing that is an entry later."""
    span = SpanFacts("1" * 32, "2" * 16, None, "", 1, 2, "UNSET", None, {}, None)
    records = [HarRecord(exchange, span, PAGE) for exchange in found]
    built = build(records, redactor=AS_IT_IS, har_filter=har_filter)
    assert len(found) == len(built.batch.entries) + built.filtered_entries
    assert not built.batch.statistics
    for record, exchange in zip(records, found, strict=True):
        alone = build([record], redactor=AS_IT_IS, har_filter=har_filter)
        interest = har_filter.interest(exchange.method, exchange.url)
        assert interest is not Interest.NOTHING or () == alone.batch.entries
        for entry in alone.batch.entries:
            sizes = {exchange.response_body.size_bytes} if entry.response.status else {0}
            assert sizes == {entry.response.content.size}


@any_filter
@given(
    name=st.sampled_from(["include_urls", "exclude_urls", "methods", "statuses", "content_types", "bodies"]),
    text=any_text,
)
def test_any_text_is_a_rule_or_our_error(name: str, text: str) -> None:
    """Whatever stands in a setting is understood or refused, by name."""
    with contextlib.suppress(SettingError):
        rule: dict[str, Any] = {name: text}
        HarFilter(**rule).interest("GET", "http://a.test/")
