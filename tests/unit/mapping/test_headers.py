"""Header fields as bytes, as text, and in a head."""

from __future__ import annotations

import pytest

from otel_har.mapping.headers import Fields, fields_of_head
from otel_har.message import SomeHeaders


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", []),
        (b"GET / HTTP/1.1\r\nHost: a\r\nhost:b\r\nEmpty:\r\n\r\n", [("Host", "a"), ("host", "b"), ("Empty", "")]),
        (b"GET / HTTP/1.1\r\nA: b: c \t\r\n\r\n", [("A", "b: c")]),
        ("GET / HTTP/1.1\r\nA: ü\r\n\r\n".encode(), [("A", "ü")]),
        ("GET / HTTP/1.1\r\nA: ü\r\n\r\n".encode("latin-1"), [("A", "ü")]),
        (b"", []),
        (b"GET / HTTP/1.1", []),
    ],
)
def test_fields_of_a_head(head: bytes, expected: list[tuple[str, str]]) -> None:
    """Names and values in their order, duplicates kept, blanks around values left out."""
    assert expected == [(field["name"], field["value"]) for field in Fields(fields_of_head(head)).har]


def test_a_folded_field_is_one() -> None:
    """RFC 9112, 5.2: a line that begins with a blank goes on with the one before."""
    [field] = fields_of_head(b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n")
    assert (b"A", b"b\r\n c") == field


def test_the_size_of_a_head() -> None:
    """From the start line through the blank line (HAR 1.2); unknown where fields may be."""
    head = "GET / HTTP/1.1\r\nHost: a\r\nX: ü\r\n\r\n".encode()
    assert len(head) == Fields(fields_of_head(head)).head_size("GET / HTTP/1.1")
    assert 18 == Fields([]).head_size("GET / HTTP/1.1")
    assert -1 == Fields(SomeHeaders()).head_size("GET / HTTP/1.1")


def test_values_by_name() -> None:
    """Names in any case, of text and of bytes, long ones too; each value in its order."""
    fields = Fields([("A", "1"), (b"a", b"2"), ("A" * 400, "3"), ("B", "")])
    assert (["1", "2"], "1", ["3"]) == (fields.values("a"), fields.first("a"), fields.values("a" * 400))
    assert ("", [], [""]) == (fields.first("c"), fields.values("c"), fields.values("b"))


def test_no_code_of_the_program_is_called() -> None:
    """What a program's own class of text says of itself is not asked for."""

    class Text(str):
        __slots__ = ()

        def __hash__(self) -> int:
            raise AssertionError

    assert [{"name": "A", "value": "b"}] == Fields([(Text("A"), Text("b"))]).har
