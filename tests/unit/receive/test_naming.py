"""Names of files from what the network says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_har.errors import SettingError
from otel_har.export.files.aside import named_beside, numbered
from otel_har.receive.naming import NameTemplate
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


@given(st.lists(st.text(), min_size=3, max_size=3))
def test_parts(texts: list[str]) -> None:
    """Parts of a name are made of few characters, and never long; the same texts are the same name."""
    resource = dict(zip(("a", "b", "c"), texts, strict=True))
    template = NameTemplate("{a}.{b}-{c}.har")
    name = template.path(resource, None).name
    assert len(name) < 200
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
    assert name == template.path(resource, None).name


_PIECES = st.lists(st.sampled_from(["a", "B", "1", ".", "-", "_", "/", "unknown", "others", "har"]), max_size=5)
_TEXTS = st.lists(_PIECES.map("".join), min_size=2, max_size=2)


@given(_TEXTS, _TEXTS, st.sampled_from(["{a}.har", "{a}.{b}.har", "x-{a}-{b}.har.gz", "{a}{b}.har", "{b}.x.{a}.har"]))
def test_other_texts_other_names(one: list[str], other: list[str], template: str) -> None:
    """Texts that differ are two names, and neither is one that files get beside the other, also in what is changed."""
    made = NameTemplate(template)
    used = 1 if "{b}" not in template else 2
    paths = [made.path(dict(zip(("a", "b"), texts, strict=True)), None) for texts in (one, other)]
    assert (one[:used] == other[:used]) == (paths[0] == paths[1])
    for number in (1, 11):
        assert paths[0] != numbered(paths[1], number)
        assert paths[0] != named_beside(paths[1], f"4711.{number}")
    if any(one[:used]):
        assert made.of_others not in paths


def test_names_that_were_changed() -> None:
    """What a text is changed to is not the name of another text."""
    made = NameTemplate("{a}.har")
    changed = made.path({"a": "shop.1"}, None)
    assert changed != made.path({"a": changed.name.removesuffix(".har")}, None)
    assert ("shop.test.har", "10.har") == tuple(made.path({"a": text}, None).name for text in ("shop.test", "10"))


def test_days_are_of_utc() -> None:
    """A day is that of UTC, whatever offset the entry's start has."""
    late = ONE.model_copy(update={"started_date_time": "2026-01-31T23:30:00-05:00"})
    assert "2026-02-01.har" == NameTemplate("{day}.har").path({}, late).name
