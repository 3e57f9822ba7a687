"""`Redactor`: a policy at work on entries, pages and other texts.

The rule: no entry leaves as it was because its redaction failed. What cannot be redacted in detail is redacted as a
whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from otel_har.environment import SALT
from otel_har.guard import guarded
from otel_har.har.models import Entry
from otel_har.redaction.entry import EntryRedaction
from otel_har.redaction.finding import Finders
from otel_har.redaction.header_policy import HeaderSpans
from otel_har.redaction.marks import beside_marks
from otel_har.redaction.names import Names
from otel_har.redaction.policy import DEFAULT_POLICY, EntryRedactor, Mode, RedactionPolicy
from otel_har.redaction.spans import REDACTED, hashed_mark, plain_mark, replaced
from otel_har.redaction.sweep import Sweep
from otel_har.redaction.unknown import is_url, query_values

TOLD = "_redaction"
"""The member of an entry, and of a log, that tells what was redacted."""

_FAILED = frozenset({"failed"})
_NONE: frozenset[str] = frozenset()
_RULE = re.compile(r"[a-z][a-z0-9 :-]{0,63}")
_MODES = ("none", "default", "strict")  # each takes out what the one before does


class Redactor:
    """Takes secrets out of what is to be written.

    Args:
        policy: What is to be taken out.
    """

    def __init__(self, policy: RedactionPolicy = DEFAULT_POLICY) -> None:
        self.policy = policy
        self._names = Names(policy.headers, policy.queries, (*policy.fields, SALT), policy.keep)
        self._finders = Finders(self._names, HeaderSpans(self._names, policy.header_patterns))
        self._hashed = hashed_mark(policy.salt)
        self._mark = self._hashed if policy.hashes else plain_mark
        self._salts = _salts(policy)

    @property
    def shows_entries(self) -> bool:
        """Whether the program has a redactor of its own, which sees each entry."""
        return self.policy.redactor is not None

    @property
    def told(self) -> Mode | None:
        """What a recording tells of the policy; None where nothing is redacted."""
        return None if self.policy.mode == "none" else self.policy.mode

    def entry(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """An entry, as JSON has it, without its secrets, and with a `_redaction` that tells the rules that acted."""
        return self.entry_and_rules(entry)[0]

    def entry_and_rules(self, entry: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
        """The same, and the rules that acted now; an entry may have been redacted before, and tell so."""
        if self.policy.mode == "none":
            return dict(entry), _NONE
        before = _told(entry)
        given = {name: value for name, value in entry.items() if name != TOLD} if before else entry
        redaction = self._redaction()
        redacted = _redacted(redaction, given)
        if redacted is None:
            return without_values(entry, self.policy.mode), _FAILED
        if not redaction.rules or redacted == given:
            return dict(entry) if before else redacted, _NONE
        rules = frozenset(redaction.rules)
        if not before:
            return {**redacted, TOLD: {"policy": self.policy.mode, "rules": sorted(rules)}}, rules
        told = {
            "policy": stricter(self.policy.mode, before["policy"]),
            "rules": sorted(rules.union(before["rules"])),
        }
        return {name: told if name == TOLD else redacted[name] for name in entry}, rules

    def member_and_rules(self, name: str, value: Any) -> tuple[Any, frozenset[str]]:
        """A member of a log or of anything else that is no entry, and the rules that acted."""
        if self.policy.mode == "none":
            return value, _NONE
        redaction = self._redaction()
        redacted = _redacted(redaction, {name: value})
        if redacted is None:
            return REDACTED, _FAILED
        return redacted[name], _NONE if redacted[name] == value else frozenset(redaction.rules)

    def text(self, text: str) -> str:
        """A text that stands outside of entries, such as the title of a page."""
        if self.policy.mode == "none":
            return text
        redacted = self._text(text)
        return REDACTED if redacted is None else redacted

    def last(self, entry: Entry) -> Entry | None:
        """What the program's own redactor makes of an entry; None when it is not to be written."""
        redactor = self.policy.redactor
        if redactor is None:
            return entry
        before = _dumped(entry)  # what the redactor gets it may change, and fail then
        seen = _seen(redactor, entry)
        written = None if seen is None else _written(seen[0])
        return Entry.model_validate(without_values(before, self.policy.mode)) if written is None else written[0]

    @guarded("redacting a text")
    def _text(self, text: str) -> str:
        spans = self._finders.text(text)
        if self.policy.mode == "strict" and is_url(text):
            spans = [*spans, *query_values(text, self._names)]
        return Sweep(self._salts, self._mark)(replaced(text, beside_marks(text, spans), self._mark))

    def _redaction(self) -> EntryRedaction:
        redaction = EntryRedaction(self._finders, self._mark, self._hashed, is_strict=self.policy.mode == "strict")
        redaction.know(self._salts)
        return redaction


def _salts(policy: RedactionPolicy) -> frozenset[str]:
    """What would tell the salt: a policy's, and the one of the run, which a program that sends its environment sends.

    Who has it can try out which secret a hash is of.
    """
    if not policy.hashes:
        return frozenset()
    own = policy.salt.decode("ascii", "ignore")
    return frozenset({own, policy.salt.hex(), os.environ.get(SALT, "")} - {""})


DEFAULT_REDACTOR = Redactor()


def stricter(mode: str, other: Any) -> str:
    """That of two modes that takes out more; anything may stand for the other."""
    return max(mode, other, key=_MODES.index) if other in _MODES else mode


def without_values(entry: Mapping[str, Any], mode: str) -> dict[str, Any]:
    """What is left of an entry whose redaction failed: no bodies, and every value redacted.

    Args:
        entry: Any object; what is in it may be of any type.
        mode: The mode that was to redact it.
    """
    request, response = _object(entry, "request"), _object(entry, "response")
    timings = _object(entry, "timings")
    return {
        **{name: entry[name] for name, form in _OWN_FORMS.items() if _has_form(entry.get(name), form)},
        "time": _number(entry, "time", 0),
        "timings": {name: _number(timings, name) for name in _PHASES if _number(timings, name) is not None},
        "cache": {},
        "request": {
            "method": _word(request, "method"),
            "url": _origin(request.get("url")) + "/%5BREDACTED%5D",
            "httpVersion": _word(request, "httpVersion"),
            "headers": _redacted_values(request.get("headers")),
            "cookies": _redacted_values(request.get("cookies")),
            "queryString": [],
            "headersSize": _number(request, "headersSize", -1),
            "bodySize": _number(request, "bodySize", -1),
        },
        "response": {
            "status": _number(response, "status", 0),
            "statusText": "",
            "httpVersion": _word(response, "httpVersion"),
            "headers": _redacted_values(response.get("headers")),
            "cookies": _redacted_values(response.get("cookies")),
            "content": _no_content(_object(response, "content")),
            "redirectURL": "",
            "headersSize": _number(response, "headersSize", -1),
            "bodySize": _number(response, "bodySize", -1),
            "_transferSize": _number(response, "_transferSize", -1),
        },
        TOLD: {"policy": mode, "rules": sorted(_FAILED)},
        "comment": "the redaction of this entry failed: it has no bodies and no values",
    }


def _no_content(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"size": _number(content, "size", -1), "mimeType": "x-unknown", "_bodyState": "dropped"}


def _told(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an entry tells of an earlier redaction; nothing where that may be something else, which may be secret."""
    told = entry.get(TOLD)
    if not isinstance(told, Mapping) or told.keys() != {"policy", "rules"} or told["policy"] not in _MODES:
        return {}
    rules = told["rules"]
    is_list = isinstance(rules, list | tuple)
    return told if is_list and all(isinstance(rule, str) and _RULE.fullmatch(rule) for rule in rules) else {}


@guarded("redacting an entry")
def _redacted(redaction: EntryRedaction, entry: Mapping[str, Any]) -> dict[str, Any]:
    return redaction.redact(entry)


@guarded("the program's redactor", BaseException)
def _seen(redactor: EntryRedactor, entry: Entry) -> tuple[object]:
    """What a program's redactor gives, in a tuple: it may be nothing."""
    return (redactor(entry),)


@guarded("what the program's redactor gives")
def _written(seen: object) -> tuple[Entry | None]:
    """The entry that is to be written: valid, which `model_copy` does not see to, and nobody else's to change."""
    if seen is None:
        return (None,)
    if not isinstance(seen, Entry):
        raise TypeError(f"a redactor gives an Entry or None, not {type(seen).__qualname__}")
    return (Entry.model_validate(_dumped(seen)),)


def _dumped(entry: Entry) -> dict[str, Any]:
    """An entry as JSON has it, without a warning on standard error where something in it is of another type."""
    return entry.model_dump(mode="json", by_alias=True, warnings=False)


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _number(value: Mapping[str, Any], name: str, default: int | None = None) -> Any:
    found = value.get(name)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else default


_WORD = re.compile(r"[A-Za-z0-9/.-]{1,16}")
# A date, and the ids that producers give pages: `page_1`, here `trace_` with the id of a trace.
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII)
_PAGE_ID = re.compile(r"[A-Za-z]{0,16}[_-]?[0-9]{0,9}|(?:[a-z]{1,8}_)?[0-9a-f]{32}")
_OWN_FORMS = {"startedDateTime": _DATE, "pageref": _PAGE_ID}
_PHASES = ("blocked", "dns", "connect", "ssl", "send", "wait", "receive")
_SCHEMES = frozenset({"http", "https", "ws", "wss"})


def _word(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) and _WORD.fullmatch(found) else ""


def _has_form(value: Any, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


_NOWHERE = "http://redacted.invalid"


def _origin(url: Any) -> str:
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return _NOWHERE
    if parts.scheme not in _SCHEMES:
        return _NOWHERE
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}:{port}" if port else f"{parts.scheme}://{host}"


def _redacted_values(pairs: Any) -> list[dict[str, str]]:
    named = [pair for pair in pairs if isinstance(pair, Mapping)] if isinstance(pairs, list | tuple) else []
    return [{"name": str(pair.get("name", "")), "value": REDACTED} for pair in named]
