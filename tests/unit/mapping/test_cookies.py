"""Cookie and Set-Cookie header fields to HAR cookies, as RFC 6265 has user agents read them."""

from __future__ import annotations

from typing import Any

import pytest

from otel_har.mapping.cookies import request_cookies, response_cookies

RECEIVED_UNIX_S = 1_900_000_000.0  # 2030-03-17T17:46:40Z


def _cookie(value: str) -> dict[str, Any]:
    [cookie] = response_cookies([value], RECEIVED_UNIX_S)
    return cookie


def _expires(attributes: str) -> str | None:
    expires: str | None = _cookie(f"a=b; {attributes}").get("expires")
    return expires


@pytest.mark.parametrize(
    ("header", "pairs"),
    [
        ("a=b", [("a", "b")]),
        ("a=b; c=d", [("a", "b"), ("c", "d")]),
        ("a=b;c=d;", [("a", "b"), ("c", "d")]),
        ('quoted="a b"', [("quoted", '"a b"')]),
        ("session=a=b=c", [("session", "a=b=c")]),
        ("comma=1,2; x=3", [("comma", "1,2"), ("x", "3")]),
        ("a=1; a=2", [("a", "1"), ("a", "2")]),
        ("empty=", [("empty", "")]),
        ("flag", [("flag", "")]),
        ("=nameless", [("", "nameless")]),
        (" ;; a = b ;", [("a", "b")]),
        ("", []),
    ],
)
def test_cookie_header(header: str, pairs: list[tuple[str, str]]) -> None:
    """What was sent is kept: order, duplicates, quotes, equals signs and commas inside values."""
    actual = [(cookie["name"], cookie["value"]) for cookie in request_cookies([header])]
    assert pairs == actual


def test_several_cookie_headers() -> None:
    """HTTP/2 splits the Cookie field: all of them count."""
    actual = request_cookies(["a=1", "b=2"])
    assert [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}] == actual


def test_each_set_cookie_is_a_cookie() -> None:
    """Two header fields are two cookies, of one name too; a comma separates nothing."""
    actual = response_cookies(["a=1, b=2; Path=/", "a=3"], RECEIVED_UNIX_S)
    assert [("a", "1, b=2"), ("a", "3")] == [(cookie["name"], cookie["value"]) for cookie in actual]


@pytest.mark.parametrize(
    ("header", "value"),
    [('q="a b"', '"a b"'), ("q=a=b=c", "a=b=c"), ("q=a,b", "a,b"), ("q=", ""), (" q = x ", "x")],
)
def test_set_cookie_values_are_kept(header: str, value: str) -> None:
    """Quotes, equals signs and commas belong to the value; blanks around it do not."""
    assert (value, "q") == (_cookie(header)["value"], _cookie(header)["name"])


@pytest.mark.parametrize("header", ["novalue", "=nameless", "", "; Path=/", "  =x"])
def test_what_is_no_cookie_is_left_out(header: str) -> None:
    """RFC 6265, 5.2: without a name, or without an equals sign, the field is ignored."""
    assert [] == response_cookies([header], RECEIVED_UNIX_S)


def test_all_attributes() -> None:
    """Each attribute goes to HAR's own member, whatever its case."""
    actual = _cookie("a=b; PATH=/x; domain=.example.test; httponly; SECURE; samesite=lax; Priority=High")
    expected = {
        "name": "a",
        "value": "b",
        "path": "/x",
        "domain": ".example.test",
        "sameSite": "Lax",
        "httpOnly": True,
        "secure": True,
    }
    assert expected == actual


def test_absent_attributes() -> None:
    """Flags are false, everything else is left out; empty path and domain say nothing."""
    assert {"name": "a", "value": "b", "httpOnly": False, "secure": False} == _cookie("a=b; Path=; Domain")


def test_last_attribute_of_a_name_counts() -> None:
    """RFC 6265, 5.3: the last attribute of a name is the one that counts."""
    assert "/2" == _cookie("a=b; Path=/1; path=/2")["path"]


@pytest.mark.parametrize(("given", "written"), [("STRICT", "Strict"), ("none", "None"), ("Lax", "Lax"), ("x", None)])
def test_same_site(given: str, written: str | None) -> None:
    """The three values in Chrome's spelling, others left out."""
    assert written == _cookie(f"a=b; SameSite={given}").get("sameSite")


@pytest.mark.parametrize(
    "date",
    [
        "Wed, 09 Jun 2038 10:18:14 GMT",
        "Wednesday, 09-Jun-38 10:18:14 GMT",
        "Wed, 09-Jun-2038 10:18:14 GMT",
        "Wed Jun  9 10:18:14 2038",
        "wed, 09 jun 2038 10:18:14 gmt",
        '"Wed, 09 Jun 2038 10:18:14 GMT"',
        "Wed, 09 Jun 2038 10:18:14 +0200",
        "Wed, 09 Jun 2038 10:18:14 EST",
        "Wed, 09 Jun 2038 10:18:14",
    ],
)
def test_expires(date: str) -> None:
    """The date forms that servers send, dashed ones too, become ISO 8601; RFC 6265 knows no zone but UTC."""
    assert "2038-06-09T10:18:14.000Z" == _expires(f"Expires={date}")


def test_expires_at_the_epoch() -> None:
    """The date with which cookies are deleted is a date."""
    assert "1970-01-01T00:00:00.000Z" == _expires("Expires=Thu, 01-Jan-1970 00:00:00 GMT")


@pytest.mark.parametrize(
    "date",
    [
        "",
        "0",
        "-1",
        "session",
        "Wed, 99 Jun 2038 10:18:14 GMT",
        "Wed, 31 Feb 2038 10:18:14 GMT",
        "Wed, 09 Jun 99999 10:18:14 GMT",
        "09 Jun 123456789012 10:18:14 GMT",
        f"09 Jun {'9' * 5000} 10:18:14 GMT",
        "Wed, 09 Jun 2038 99:99:99 GMT",
        "€",
    ],
)
def test_invalid_expires_is_left_out(date: str) -> None:
    """A date that cannot be understood is no date: an unparseable one kills Chrome's import."""
    assert _expires(f"Expires={date}") is None


@pytest.mark.parametrize(
    ("max_age", "expires"),
    [
        ("3600", "2030-03-17T18:46:40.000Z"),
        ("0", "2030-03-17T17:46:40.000Z"),
        ("-1", "2030-03-17T17:46:39.000Z"),
        ("99999999999", "5199-01-31T03:33:19.000Z"),
        ("999999999999", "9999-12-31T23:59:59.000Z"),
        ("9" * 5000, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_max_age(max_age: str, expires: str) -> None:
    """Seconds from when the response came; beyond the calendar it is the latest date."""
    assert expires == _expires(f"Max-Age={max_age}")


@pytest.mark.parametrize("max_age", ["", "abc", "1.5", "+5", "-", "1e3", "²", "٣"])
def test_invalid_max_age_is_ignored(max_age: str) -> None:
    """RFC 6265, 5.2.2: an optional minus and digits, else the attribute is ignored, and Expires counts."""
    assert "2038-06-09T10:18:14.000Z" == _expires(f"Max-Age={max_age}; Expires=Wed, 09 Jun 2038 10:18:14 GMT")


@pytest.mark.parametrize("order", ["Max-Age=60; Expires={}", "Expires={}; Max-Age=60"])
def test_max_age_has_precedence(order: str) -> None:
    """RFC 6265, 5.3, step 3: whatever their order, Max-Age counts."""
    assert "2030-03-17T17:47:40.000Z" == _expires(order.format("Wed, 09 Jun 2038 10:18:14 GMT"))


@pytest.mark.parametrize("max_age", ["-99999999999999", "-" + "9" * 5000])
def test_max_age_far_in_the_past_still_has_precedence(max_age: str) -> None:
    """A cookie that Max-Age deletes does not live until its Expires."""
    expires = _expires(f"Max-Age={max_age}; Expires=Wed, 09 Jun 2038 10:18:14 GMT")
    assert expires is None or expires < "2030-03-17"
