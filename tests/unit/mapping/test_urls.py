"""URLs as HAR writes them: absolute, percent-encoded ASCII, without fragment and user information."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from otel_har.mapping.urls import har_url, query_parameters, request_target, resolved


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("http://example.test/", "http://example.test/"),
        ("http://example.test", "http://example.test"),
        ("https://example.test:8443/a?b=c", "https://example.test:8443/a?b=c"),
        ("http://example.test/a#fragment", "http://example.test/a"),
        ("http://example.test/?a=%23#b?c", "http://example.test/?a=%23"),
        ("http://user:secret@example.test/", "http://example.test/"),
        ("http://user:p@ss@example.test:80/", "http://example.test:80/"),
        ("http://example.test/a b?c d", "http://example.test/a%20b?c%20d"),
        ("http://example.test/ä?ö=ü", "http://example.test/%C3%A4?%C3%B6=%C3%BC"),
        ("http://example.test/%C3%A4?q=%20", "http://example.test/%C3%A4?q=%20"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://bücher.example:8080/", "http://xn--bcher-kva.example:8080/"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("http://[fe80::1%25eth0]/a", "http://[fe80::1%25eth0]/a"),
        ("http://127.0.0.1/\x00\x7f", "http://127.0.0.1/%00%7F"),
        ("http://example.test/a[1]", "http://example.test/a[1]"),
        ("ws://example.test/socket", "ws://example.test/socket"),
        ("data:text/plain,a b", "data:text/plain,a%20b"),
        ("HTTP://Example.TEST/Path", "http://Example.TEST/Path"),
    ],
)
def test_url(url: str, written: str) -> None:
    """What is written is what was asked for on the wire."""
    actual = har_url(url)
    assert written == actual


@pytest.mark.parametrize("url", ["", "/relative", "relative?x=y", "//host/path", "?", "#", "a b", "ä", "päth/x y"])
def test_relative_url_is_marked_invalid(url: str) -> None:
    """What is no absolute URL stands behind a scheme that says so."""
    actual = har_url(url)
    assert actual.startswith("invalid:")
    assert actual.isascii()


@pytest.mark.parametrize(
    "url",
    [
        "relative#fragment",
        "#",
        "/a#b",
        "http://[::1/#x",
        "//[",
        "//[#x",
        "http://a b/",
        "http://a\x7fb/",
        'http://a"b/',
        "http://",
        "http:path",
        "http:///path",
        "https://?a",
        "http://\u2100.test/",
        "http://" + "ä" * 100 + "/",
        "http://ä..test/",
        "http://a\ud800.test/",
        "http://example.test/\ud800",
        "http://\ud800/",
        "\ud800",
        "//\udcff",
        "http://user@/",
        "http://:80/",
        "http://[::1]extra/",
        "http://[v1.x]/",
        "\x00",
        " http://example.test/",
    ],
)
def test_any_text_is_absolute_ascii_without_fragment(url: str) -> None:
    """Whatever a client takes for a URL, the written one is absolute, visible ASCII, has no fragment and can be split.

    A scheme that needs a host has one.
    """
    actual = har_url(url)
    parts = urlsplit(actual)
    assert all("!" <= character <= "~" for character in actual)
    assert "#" not in actual
    assert parts.scheme
    assert parts.hostname or parts.scheme not in {"http", "https"}
    assert request_target(actual)


def test_lone_surrogate_separates_nothing() -> None:
    """What UTF-8 cannot carry is U+FFFD, and no question mark: the path stays the path."""
    assert "http://example.test/a%EF%BF%BDb?c" == har_url("http://example.test/a\ud800b?c")


@pytest.mark.parametrize(
    ("url", "pairs"),
    [
        ("http://h/?a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("http://h/?a=%20b+c&%C3%A4=%26", [("a", " b c"), ("ä", "&")]),
        ("http://h/?flag&empty=", [("flag", ""), ("empty", "")]),
        ("http://h/?a=b=c", [("a", "b=c")]),
        ("http://h/?a;b", [("a;b", "")]),
        ("http://h/?%FF=%FF", [("\ufffd", "\ufffd")]),
        ("http://h/", []),
        ("http://h/?", []),
        ("http://h/#?a=1", []),
    ],
)
def test_query_parameters(url: str, pairs: list[tuple[str, str]]) -> None:
    """Decoded names and values, duplicates and order kept."""
    actual = [(parameter["name"], parameter["value"]) for parameter in query_parameters(har_url(url))]
    assert pairs == actual


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://example.test", "/"),
        ("http://example.test?x=y", "/?x=y"),
        ("http://example.test/a/b?x=y", "/a/b?x=y"),
        ("http://[::1]:80/a", "/a"),
        ("http://example.test//double", "//double"),
    ],
)
def test_request_target(url: str, target: str) -> None:
    """The origin form: path and query, a slash for no path."""
    actual = request_target(url)
    assert target == actual


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("http://h.test/a/b", "/c", "http://h.test/c"),
        ("http://h.test/a/b", "c?d=e", "http://h.test/a/c?d=e"),
        ("http://h.test/a/b", "../c", "http://h.test/c"),
        ("http://h.test/a", "//other.test/x", "http://other.test/x"),
        ("http://h.test/a", "https://other.test/x", "https://other.test/x"),
        ("http://h.test/a?b", "?c", "http://h.test/a?c"),
        ("http://h.test/a", " /blank ", "http://h.test/blank"),
        ("http://h.test/a", "/ä b", "http://h.test/%C3%A4%20b"),
        ("http://h.test/a", "/%C3%A4", "http://h.test/%C3%A4"),
    ],
)
def test_resolved(url: str, location: str, target: str) -> None:
    """The absolute target of a Location, percent-encoded."""
    actual = resolved(url, location)
    assert target == actual


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("http://h.test/a", "//["),
        ("http://h.test/a", "http://[::1"),
        ("invalid:relative", "/c"),
        ("invalid:", "c"),
        ("http://h.test/a", "http:///c"),
        ("http://h.test/a", "https:"),
    ],
)
def test_resolved_is_absolute_or_empty(url: str, location: str) -> None:
    """A Location that leads nowhere gives a redirect target that readers take all the same."""
    actual = resolved(url, location)
    if actual:
        parts = urlsplit(actual)
        assert parts.scheme
        assert parts.hostname or parts.scheme not in {"http", "https"}
