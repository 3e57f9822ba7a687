"""Secrets in URLs: names, delimiters and what is no secret stay."""

from __future__ import annotations

import pytest

from otel_har.redaction.names import Names
from otel_har.redaction.spans import plain_mark, replaced
from otel_har.redaction.urls import url_spans

NAMES = Names()
MARK = "%5BREDACTED%5D"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/p?access_token=x1&a=1", f"https://h/p?access_token={MARK}&a=1"),
        ("https://h/p?a=1&X-Amz-Signature=x1#top", f"https://h/p?a=1&X-Amz-Signature={MARK}#top"),
        ("https://h/p?a=1;api_key=x1;b=2", f"https://h/p?a=1;api_key={MARK};b=2"),
        ("/p?access%5Ftoken=x1", f"/p?access%5Ftoken={MARK}"),
        ("?sig=x1", f"?sig={MARK}"),
        ("https://bob:pa:ss@h:80/p", f"https://bob:{MARK}@h:80/p"),
        ("https://bob:p@ss@h/p", f"https://bob:{MARK}@h/p"),
        ("https://sometokenofmine123:@h/p", f"https://{MARK}:@h/p"),
        ("https://sometokenofmine123@h/p", f"https://{MARK}@h/p"),
        ("https://bob@h/p", "https://bob@h/p"),
        ("//bob:x1@h/p", f"//bob:{MARK}@h/p"),
        ("http://bob:pwD/x@127.0.0.1/", f"http://bob:{MARK}@127.0.0.1/"),
        ("http://h:80/a@b", "http://h:80/a@b"),
        ("http://h/a:b@c", "http://h/a:b@c"),
        ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
        ("https://h/cb#access_token=x1&token_type=bearer", f"https://h/cb#access_token={MARK}&token_type=bearer"),
        ("https://h/#/cb?access_token=x1&a=1", f"https://h/#/cb?access_token={MARK}&a=1"),
        ("https://h/p;jsessionid=x1/q;a=1?b=2", f"https://h/p;jsessionid={MARK}/q;a=1?b=2"),
        ("https://h/p?next=https%3A%2F%2Fi%2F%3Faccess_token%3Dx1%26b%3D2&a=1", f"https://h/p?next=https%3A%2F%2Fi%2F%3Faccess_token%3D{MARK}%26b%3D2&a=1"),
        ("https://h/p?q=%7B%22password%22%3A%22x1%22%7D", f"https://h/p?q=%7B%22password%22%3A%22{MARK}%22%7D"),
        ("https://h/p?q=%7B%22password%22%3A1234%7D", f"https://h/p?q=%7B%22password%22%3A%22{MARK}%22%7D"),
        (f"https://h/verify/{JWT}/now", "https://h/verify/[REDACTED]/now"),
        ("https://h/p?access_token=&a=1", "https://h/p?access_token=&a=1"),
        ("https://h/?page_token=x1&author=bob&id=3f2504e0-4f89-11d3", "https://h/?page_token=x1&author=bob&id=3f2504e0-4f89-11d3"),
        ("https://h/a@b:c/d", "https://h/a@b:c/d"),
        ("https://[::1]:80/p?a=b@c", "https://[::1]:80/p?a=b@c"),
        ("mailto:bob@h", "mailto:bob@h"),
        ("", ""),
        ("?", "?"),
        ("#", "#"),
    ],
)  # fmt: skip
def test_the_values_go(url: str, expected: str) -> None:
    """The values of secret parameters go wherever a URL may have them."""
    assert expected == replaced(url, url_spans(url, NAMES), plain_mark)


def test_long_values() -> None:
    """What is decoded in pieces is what it was, and so are its places."""
    url = f"https://h/?a={'%C3%A9' * 30_000}x{'%F0%9F%98%80' * 20_000}%26password%3D{'%E2%82%AC' * 30_000}%26b%3D"
    spans = url_spans(url, NAMES)
    assert ["\u20ac" * 30_000] == [span.value for span in spans]
    assert url.replace("%E2%82%AC" * 30_000, MARK) == replaced(url, spans, plain_mark)


def test_the_value_is_given_decoded() -> None:
    """So that it is found again where it is written otherwise."""
    assert ["a b\xe9+"] == [span.value for span in url_spans("https://h/?api_key=a+b%C3%A9%2B", NAMES)]


def test_what_is_no_utf_8() -> None:
    """Bytes that are no UTF-8 are Latin-1, and their places are right."""
    url = "https://h/?a=%E9%E9%3Fpassword%3Dx1%26b%3D%E9"
    assert f"https://h/?a=%E9%E9%3Fpassword%3D{MARK}%26b%3D%E9" == replaced(url, url_spans(url, NAMES), plain_mark)
