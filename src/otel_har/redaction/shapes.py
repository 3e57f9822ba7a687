r"""Secrets that are known by their form, wherever they stand.

The rule: what most texts have none of is looked for by the cheapest means, and a hit is read forward from where the one
before ended, in runs of one kind of character: the work is linear in the text, whatever the text. Tokens of services
are looked for only in the long runs of letters, digits and `_-.+/` that a text has: few, in ordinary text.

No library finds the forms: detect-secrets 1.5.0 gives no positions, takes 110 ms for 200 KB of JSON with its forms
alone (11 s and 420 false alarms by default) and is quadratic (180 KB of `eyJ`: 12 s); har-capture 0.15 knows names and
no token's form; scrubadub 2 finds personal data, needs scikit-learn, and takes 19 ms for 20 KB. This one: 3 ms, 200 KB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from otel_har.redaction.shape_readers import READERS, Reader
from otel_har.redaction.shape_table import (
    BEGINNINGS,
    BY_START,
    OUTLINED_BEGINNINGS,
    RUN_TOKENS,
    TOKENS,
    Beginnings,
    Token,
    may_have_run_token,
)
from otel_har.redaction.spans import Span

_SHORTEST = 6
"""Characters below which no text has a form of these."""

_SHORTEST_RUN = 14
"""Characters of a run below which it has no token: from its beginning on a token has more of its own."""

_SHORTEST_CUT = 8
"""Characters of a token's beginning that are one, with its prefix."""

_LONGEST_CUT = 4096
_OF_TOKENS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.+/="
_TELLING = re.compile(
    "|".join(sorted(re.escape(one) for one in TOKENS if len(one) >= len("ghp_") or one in {"eyJ", "SG."}))
)
"""The beginnings of which no word begins."""

_NEAR = 200
"""Characters after an access key's id within which its secret stands, where it has no name."""

_RUNS = bytes(code if chr(code).isalnum() or chr(code) in "_-.+/~" else 32 for code in range(128)) + b" " * 128
"""Turns all that belongs to no run into a space."""

_KINDS = bytes(32 if code == 32 else 120 for code in range(256))  # noqa: PLR2004 - a space, and anything else
_LONG = b"x" * _SHORTEST_RUN

_RUN = re.compile(rb" [^ ]{%d,}" % _SHORTEST_RUN)


def _beginning(beginnings: Beginnings) -> str:
    return f"(?:({beginnings.pattern})|({'|'.join(RUN_TOKENS)}))"


_CANDIDATE = re.compile(f"[ _./+~-]{_beginning(BEGINNINGS)}".encode())
"""How a token begins, where a run does or within one. What it is, the text itself decides."""

_OUTLINED_CANDIDATE = re.compile(f"[ _./+~-]{_beginning(OUTLINED_BEGINNINGS)}".encode())
"""The same where each digit is a 0."""

_SEPARATED = bytes(32 if chr(code) in "_./+~-" else code for code in range(256))
"""Sets the words of a run apart."""

_SHORTEST_RUN_TOKEN = 33
"""Characters below which no run has a token without a beginning of its own."""

_ESCAPED = re.compile(f" (?:[0-9A-Fa-f]{{2}}|u[0-9A-Fa-f]{{4}}|[nrtbf]){_beginning(BEGINNINGS)}".encode())
"""The same behind the rest of an escape, whose `%` or backslash ends a run."""

_BESIDE = dict.fromkeys(("://", ":\\/\\/"), ("@", ".com", ".io"))
"""What else a text has where a reader finds anything: URLs without user information and of other hosts are many."""

_HINTS = tuple(
    (next((one for one in "\\VWKP=$Q" if one in needle), needle), needle, reader, _BESIDE.get(needle, ("",)))
    for needle, reader in READERS
)
"""Each reader with a rare character of its needle, which is found many times as fast, and with what is beside it."""

_OF_RUNS = tuple(RUN_TOKENS.values())
_BEFORE = re.compile(r"(?:%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\[nrtbf])\Z")
_AWS_SECRET = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=_-])")


def shape_spans(text: str) -> list[Span]:
    """The secrets in a text that their form tells.

    Args:
        text: Any text; it may be cut anywhere, and be hostile.

    Returns:
        The places in their order; some may overlap. `rule` is the name of the form.
    """
    if len(text) < _SHORTEST:
        return []
    spans: list[Span] = []
    for hint, needle, reader, beside in _HINTS:
        if hint in text and needle in text and any(one in text for one in beside):
            spans += _read(text, needle, reader)
    spans += token_spans(text)
    return sorted(spans, key=lambda span: (span.start, -span.end)) if spans else spans


def is_near_a_shape(text: str) -> bool:
    """Whether a text has a form of these, or something behind which one may stand."""
    if any(hint in text and needle in text for hint, needle, *_ in _HINTS if needle not in _BESIDE):
        return True
    return bool(shape_spans(text))


def cut_spans(text: str) -> list[Span]:
    """The beginning of a token at the end of a text that is cut, too short for its form.

    Args:
        text: A text whose end is missing.
    """
    tail = text[-_LONGEST_CUT:]
    run = tail[len(tail.rstrip(_OF_TOKENS)) :]
    if len(run) < _SHORTEST_CUT or not _TELLING.match(run):
        return []
    return [Span(len(text) - len(run), len(text), "cut", run)]


def _read(text: str, needle: str, reader: Reader) -> Iterator[Span]:
    """What stands where a needle does; what one reading has taken is not read again."""
    at, done = text.find(needle), 0
    while at >= 0:
        for span in reader(text, at, done):
            yield span
            done = max(done, span.end)
        at = text.find(needle, max(at + len(needle), done))


def token_spans(text: str) -> list[Span]:
    """The tokens of services in a text: what begins as they do, or looks like one."""
    if len(text) < _SHORTEST_RUN:
        return []
    runs = _runs(text)
    long_runs = _long_runs(runs)
    if not long_runs:
        return []
    found = b"".join(long_runs)
    may_have_tokens = _have_candidate(long_runs, BEGINNINGS.first_three, _CANDIDATE)
    spans = list(_tokens_in(text, runs, _CANDIDATE)) if may_have_tokens else []
    if ("%" in text or "\\" in text) and _ESCAPED.search(found):
        spans += _tokens_in(text, runs, _ESCAPED)
    return spans


def may_have_tokens(outlined: str) -> bool:
    """Whether a text without escapes may have a token, told by what it is `outlined`."""
    long_runs = _long_runs(_runs(outlined))
    return bool(long_runs) and _have_candidate(long_runs, OUTLINED_BEGINNINGS.first_three, _OUTLINED_CANDIDATE)


def _runs(text: str) -> bytes:
    return b" " + text.encode("latin-1", "replace").translate(_RUNS)


def _long_runs(runs: bytes) -> list[bytes]:
    """What `_RUN` finds. Characters that are all the same are found many times as fast as any of a kind."""
    kinds = runs.translate(_KINDS)
    found = []
    at = kinds.find(_LONG)
    while at >= 0:
        end = kinds.find(b" ", at + _SHORTEST_RUN)
        end = len(kinds) if end < 0 else end
        found.append(runs[at - 1 : end])
        at = kinds.find(_LONG, end)
    return found


def _have_candidate(long_runs: list[bytes], first_three: frozenset[bytes], candidate: re.Pattern[bytes]) -> bool:
    """Whether a token may begin in some runs: most are told by the beginnings of their words."""
    found = b"".join(long_runs)
    apart = found.translate(_SEPARATED)
    words = set(apart.split())
    if first_three.isdisjoint({word[:3] for word in words}):
        is_long = max(map(len, long_runs)) > _SHORTEST_RUN_TOKEN
        if not (is_long and may_have_run_token(found, apart, words)):
            return False
    return candidate.search(found) is not None


def _tokens_in(text: str, runs: bytes, candidates: re.Pattern[bytes]) -> Iterator[Span]:
    """The tokens of the runs; `runs` is the text, one byte further."""
    done = 0
    for run in _RUN.finditer(runs):
        for candidate in candidates.finditer(runs, run.start(), run.end()):
            group = candidate.lastindex or 0
            start = candidate.start(group) - 1
            span = _token(text, start, within_run=group > 1) if start >= done else None
            if span:
                done = span.end
                yield span
                if span.rule == "aws-access-key":
                    yield from _aws_secret(text, span.end)


def _token(text: str, start: int, *, within_run: bool) -> Span | None:
    """A token by how it begins, how it goes on and how long it is; the longest where several fit."""
    tokens = (
        _OF_RUNS
        if within_run
        else (*BY_START.get(text[start : start + 3], ()), *BY_START.get(text[start : start + 2], ()))
    )
    longest = None
    for token in tokens:
        match = token.pattern.match(text, start) if _stands_alone(text, start, token) else None
        if match is None or (longest and match.end() <= longest.end):
            continue
        if token.check is None or token.check(match[0]):
            longest = Span(start, match.end(), token.rule, match[0])
    return longest


def _stands_alone(text: str, start: int, token: Token) -> bool:
    """Whether nothing that could belong to a word stands before; what is percent-encoded or escaped does not."""
    if start == 0:
        return True
    before = text[start - 1]
    if not (before.isalnum() or before in token.unlike):
        return True
    return _BEFORE.search(text[max(0, start - 6) : start]) is not None


def _aws_secret(text: str, start: int) -> Iterator[Span]:
    """The secret that stands near an access key's id, without a name: 40 characters of base64, no hash in hex."""
    for match in _AWS_SECRET.finditer(text, start, min(len(text), start + _NEAR)):
        secret = match[0]
        if secret != secret.lower() and secret != secret.upper() and any(map(str.isdigit, secret)):
            yield Span(match.start(), match.end(), "aws-secret", secret)
            return
