"""Names of files from what the network says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_har.errors import SettingError
from otel_har.receive.naming import NameTemplate, name_part
from servers.receiving import TRACE, entry

ONE = entry(1)


@pytest.mark.parametrize(
    ("template", "split", "expected"),
    [
        ("a/out.har", None, "a/out.har"),
        ("a/out.har", "service", "a/out.shop.har"),
        ("a/out.har.gz", "host", "a/out.one.har.gz"),
        ("a/out.har", "trace", f"a/out.{TRACE}.har"),
        ("a/out.har", "day", "a/out.2026-01-31.har"),
        ("a/{day}-{service.name}-{k8s.pod.name}.har", None, "a/2026-01-31-shop-unknown.har"),
        ("a/{day}.har", "service", "a/2026-01-31.har"),
        ("a/out.{pid}.har", None, "a/out.{pid}.har"),
    ],
)
def test_templates(template: str, split: str | None, expected: str) -> None:
    """Fields come from the resource and from the entry; what is not known is said to be so."""
    made = NameTemplate(template, split)
    assert Path(expected) == made.path({"service.name": "shop", "host.name": "one"}, ONE)


@pytest.mark.parametrize("template", ["{service.name}/out.har", "out.{service.name}"])
def test_what_may_have_no_field(template: str) -> None:
    """No directory and no ending comes from the network."""
    with pytest.raises(SettingError, match="name"):
        NameTemplate(template)


@pytest.mark.parametrize("text", ["../../etc/passwd", "..", ".", "/", "a/b", "a\\b", "C:", "a\0b", ".hidden", "{pid}"])
def test_no_path(text: str) -> None:
    """Whatever the network says, the file is in its directory and not hidden, and its name has an ending of ours."""
    path = NameTemplate("a/{service.name}.har").path({"service.name": text}, ONE)
    assert (Path("a"), ".har") == (path.parent, path.suffix)
    assert not path.name.startswith((".", "{"))
    assert path.name.isascii()


@given(st.text(min_size=1))
def test_parts(text: str) -> None:
    """A part of a name is made of few characters, never long, and what was fit stays."""
    part = name_part(text)
    assert part
    assert len(part) < 100
    assert set(part) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
    assert part == name_part(part)


def test_other_texts_other_names() -> None:
    """Texts that differ in what cannot be in a name are two names."""
    assert 3 == len({name_part("a/b"), name_part("a_b"), name_part("a\\b")})
    assert name_part("x" * 500 + "a") != name_part("x" * 500 + "b")
