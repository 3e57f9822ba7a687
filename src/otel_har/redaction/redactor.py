"""`Redactor`: a policy at work on entries, pages and other texts.

The rule: no entry leaves as it was because its redaction failed. What cannot be redacted in detail is redacted as a
whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from otel_har.guard import guarded
from otel_har.har.models import Entry
from otel_har.redaction.entry import EntryRedaction
from otel_har.redaction.finding import Finders
from otel_har.redaction.header_policy import HeaderSpans
from otel_har.redaction.names import Names
from otel_har.redaction.policy import DEFAULT_POLICY, EntryRedactor, RedactionPolicy
from otel_har.redaction.spans import REDACTED, hashed_mark, plain_mark, replaced
from otel_har.redaction.text import text_spans

_FAILED = "failed"


class Redactor:
    """Takes secrets out of what is to be written.

    Args:
        policy: What is to be taken out.
    """

    def __init__(self, policy: RedactionPolicy = DEFAULT_POLICY) -> None:
        self.policy = policy
        self._names = Names(policy.headers, policy.queries, policy.fields, policy.keep)
        self._finders = Finders(self._names, HeaderSpans(self._names, policy.header_patterns))
        self._mark = hashed_mark(policy.salt) if policy.hashes else plain_mark

    def entry(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """An entry, as JSON has it, without its secrets, and with a `_redaction` that tells the rules that acted."""
        if self.policy.mode == "none":
            return dict(entry)
        redaction = EntryRedaction(self._finders, self._mark, is_strict=self.policy.mode == "strict")
        redacted = _redacted(redaction, entry)
        if redacted is None:
            return without_values(entry, self.policy.mode)
        if redaction.rules:
            redacted["_redaction"] = {"policy": self.policy.mode, "rules": sorted(redaction.rules)}
        return redacted

    def text(self, text: str) -> str:
        """A text that stands outside of entries, such as the title of a page."""
        if self.policy.mode == "none":
            return text
        return replaced(text, text_spans(text, self._names), self._mark)

    def last(self, entry: Entry) -> Entry | None:
        """What the program's own redactor makes of an entry; None when it is not to be written."""
        redactor = self.policy.redactor
        if redactor is None:
            return entry
        seen = _seen(redactor, entry)
        if seen is None:
            return Entry.model_validate(without_values(entry.model_dump(mode="json", by_alias=True), self.policy.mode))
        return seen[0]


DEFAULT_REDACTOR = Redactor()


def without_values(entry: Mapping[str, Any], mode: str) -> dict[str, Any]:
    """What is left of an entry whose redaction failed: no bodies, and every value redacted."""
    request, response = entry.get("request") or {}, entry.get("response") or {}
    facts = ("startedDateTime", "time", "timings", "pageref")
    return {
        **{name: entry[name] for name in facts if name in entry},
        "cache": {},
        "request": {
            "method": request.get("method", ""),
            "url": _origin(str(request.get("url", ""))) + "/%5BREDACTED%5D",
            "httpVersion": request.get("httpVersion", ""),
            "headers": _redacted_values(request.get("headers")),
            "cookies": _redacted_values(request.get("cookies")),
            "queryString": [],
            "headersSize": request.get("headersSize", -1),
            "bodySize": request.get("bodySize", -1),
        },
        "response": {
            "status": response.get("status", 0),
            "statusText": "",
            "httpVersion": response.get("httpVersion", ""),
            "headers": _redacted_values(response.get("headers")),
            "cookies": _redacted_values(response.get("cookies")),
            "content": {"size": _size(response), "mimeType": "x-unknown", "_bodyState": "dropped"},
            "redirectURL": "",
            "headersSize": response.get("headersSize", -1),
            "bodySize": response.get("bodySize", -1),
            "_transferSize": response.get("_transferSize", -1),
        },
        "_redaction": {"policy": mode, "rules": [_FAILED]},
        "comment": "the redaction of this entry failed: it has no bodies and no values",
    }


@guarded("redacting an entry")
def _redacted(redaction: EntryRedaction, entry: Mapping[str, Any]) -> dict[str, Any]:
    return redaction.redact(entry)


@guarded("the program's redactor")
def _seen(redactor: EntryRedactor, entry: Entry) -> tuple[Entry | None]:
    """What a program's redactor gives, in a tuple: it may be nothing."""
    seen: object = redactor(entry)
    if seen is not None and not isinstance(seen, Entry):
        raise TypeError(f"a redactor gives an Entry or None, not {type(seen).__qualname__}")
    return (seen,)


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "http://redacted.invalid"
    return f"{parts.scheme}://{host}"


def _size(response: Mapping[str, Any]) -> int:
    content = response.get("content")
    size = content.get("size", -1) if isinstance(content, Mapping) else -1
    return size if isinstance(size, int) else -1


def _redacted_values(pairs: Any) -> list[dict[str, str]]:
    named = [pair for pair in pairs or () if isinstance(pair, Mapping)]
    return [{"name": str(pair.get("name", "")), "value": REDACTED} for pair in named]
