"""How the rules of a filter are written."""

from __future__ import annotations

import re
from typing import Any

import pytest

from otel_har import filter_notation
from otel_har.errors import SettingError
from otel_har.filters import HarFilter

URL = "https://api.example.test/v1/a.png?x=[1]&y=2"


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("*", True),
        (URL, True),
        (URL.upper(), True),
        ("https://api.example.test/*", True),
        ("https://*.example.test/v1/*?x=*", True),
        ("*.png*", True),
        ("*.png", False),
        ("api.example.test", False),
        ("*x=?1?*", False),
        ("*x=[1]&*", True),
        ("*a.pn.*", False),
        ("re:api.example", True),
        ("re:^api", False),
        ("re:API", False),
        ("re:(?i)API", True),
        (re.compile("v[0-9]"), True),
        (re.compile("V[0-9]", re.IGNORECASE), True),
    ],
)
def test_patterns(pattern: str | re.Pattern[str], *, fits: bool) -> None:
    """A glob is about the whole text, in any case, and `*` alone is special; an expression is found anywhere."""
    [found] = filter_notation.patterns("p", [pattern])
    assert fits == bool(found.search(URL))


@pytest.mark.parametrize(
    ("text", "separated"),
    [
        ("", []),
        ("a,b", ["a", "b"]),
        (" a ,, b,", ["a", "b"]),
        ("re:a{1,2},b", ["re:a{1,2}", "b"]),
        (r"re:a[,]b,re:(c,d),re:e\,f,g", ["re:a[,]b", "re:(c,d)", r"re:e\,f", "g"]),
        (r"re:\(a,b", [r"re:\(a", "b"]),
        ("http://[::1]/*,a(b,c", ["http://[::1]/*", "a(b", "c"]),
    ],
)
def test_lists_of_patterns(text: str, separated: list[str]) -> None:
    """Commas separate patterns, but for those within brackets of an expression."""
    assert separated == filter_notation._separated_patterns(text)


@pytest.mark.parametrize(
    ("value", "ranges"),
    [
        ("", ()),
        ("404", ((404, 404),)),
        (404, ((404, 404),)),
        ("4xx,5XX", ((400, 499), (500, 599))),
        ("500-599", ((500, 599),)),
        ("error", ((0, 0),)),
        ([0, "Error", 200], ((0, 0), (0, 0), (200, 200))),
    ],
)
def test_statuses(value: Any, ranges: tuple[tuple[int, int], ...]) -> None:
    """A status, a class, a range, or no answer at all, as text or as numbers."""
    assert ranges == filter_notation.statuses("s", value)


@pytest.mark.parametrize(
    ("rules", "name", "rule"),
    [
        ("text", "image/png", "text"),
        ("NONE", "", "none"),
        ("image/*=none,application/json=all,*=text", "image/png", "none"),
        ("image/*=none,application/json=all,*=text", "application/json", "all"),
        ("image/*=none,application/json=all,*=text", "", "text"),
        ("image/*=none,text", "x/y", "text"),
        ("image/*=none", "x/y", "all"),
        ("*=none,image/*=all", "image/png", "none"),
        ("re:^image/(a|b){1,2}$=none,all", "image/a", "none"),
        ({"image/*": "none", "*": "text"}, "image/png", "none"),
        ("application/json; charset=utf-8=none", "application/json", "none"),
    ],
)
def test_body_rules(rules: Any, name: str, rule: str) -> None:
    """The first rule that fits counts, one without a pattern fits all, and where none does all is wanted."""
    found = filter_notation.body_rules("b", rules)
    assert rule == next((one for pattern, one in found if pattern.search(name)), "all")


@pytest.mark.parametrize("pattern", ["application/json; charset=utf-8", "application/json ;", "*json", "re:json"])
def test_media_types(pattern: str) -> None:
    """Parameters of a media type do not count; what has a `*`, or is an expression, may do without a `/`."""
    [found] = filter_notation.media_types("c", pattern)
    assert found.search("application/json")


@pytest.mark.parametrize(
    ("name", "value", "offending"),
    [
        ("include_urls", "a,re:(", "'re:('"),
        ("exclude_urls", ["re:*"], "'re:*'"),
        ("exclude_urls", ["re:"], "'re:'"),
        ("exclude_urls", [""], "''"),
        ("exclude_urls", " , ", "' , '"),
        ("include_urls", [re.compile(b"a")], "re.compile(b'a')"),
        ("include_urls", 1.5, "1.5"),
        ("content_types", [None], "None"),
        ("content_types", "image/*,json", "'json'"),
        ("content_types", ["; charset=utf-8"], "'; charset=utf-8'"),
        ("bodies", "json=none", "'json'"),
        ("methods", "GET,two words", "'two words'"),
        ("methods", [5], "5"),
        ("statuses", "99", "'99'"),
        ("statuses", "599-500", "'599-500'"),
        ("statuses", [True], "'True'"),
        ("statuses", "0xx", "'0xx'"),
        ("bodies", "some", "'some'"),
        ("bodies", "", "''"),
        ("bodies", "image/*=", "''"),
        ("bodies", "=none", "''"),
        ("bodies", {}, "{}"),
        ("bodies", {"*": 5}, "5"),
        ("bodies", None, "None"),
        ("min_duration_ms", -1, "-1"),
        ("min_duration_ms", float("nan"), "nan"),
        ("min_duration_ms", float("inf"), "inf"),
        ("min_duration_ms", "5", "'5'"),
        ("errors_only", "false", "'false'"),
        ("predicate", "no_function", "'no_function'"),
    ],
)
def test_what_cannot_be_understood(name: str, value: Any, offending: str) -> None:
    """A value that is no rule raises at once, in one line that has the rule's name and the value."""
    with pytest.raises(SettingError) as refused:
        HarFilter(**{name: value})
    assert (name, True, False) == (
        str(refused.value).partition(":")[0],
        offending in str(refused.value),
        "\n" in str(refused.value),
    )
