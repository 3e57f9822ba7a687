"""`ExactJson`: values are changed, everything else stays as it is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_har.redaction.exact import ExactJson, dumped


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ('{"a": 1.50, "b":{"c":"\\u00e9"},"d":[1,"y"] }', {"b": {"c": "R"}}, '{"a": 1.50, "b":{"c":"R"},"d":[1,"y"] }'),
        ('{"a": 1e400, "b": -0.0, "c": "x"}', {"c": "\n"}, '{"a": 1e400, "b": -0.0, "c": "\\n"}'),
        ('{"a":"x" , "b":[ ]}', {"_n": {"z": 1}}, '{"a":"x" , "b":[ ],"_n":{"z":1}}'),
        ('{\n  "a": "\\"\\\\",\n  "b": 2\n}', {"a": "q", "n": [1]}, '{\n  "a": "q",\n  "b": 2,\n  "n": [1]\n}'),
        ("{}", {"n": None}, '{"n":null}'),
        ('{"a": [0, {"b": [true, 1]}, ""]}', {"a": [0, {"b": [True, ""]}, ""]}, '{"a": [0, {"b": [true, ""]}, ""]}'),
        ('{"a": [1, {"]": "}"}], "b": 1}', {"a": "R"}, '{"a": "R", "b": 1}'),
        ('{"a": 12, "b": 1}', {"a": "R"}, '{"a": "R", "b": 1}'),
        ('{"a": [1, 2], "b": 1.0}', {"a": [1]}, '{"a": [1], "b": 1.0}'),
        ('{"a": {"x": "1", "y": 1.10}}', {"a": {"y": "R"}}, '{"a": {"y":"R"}}'),
    ],
)  # fmt: skip
def test_changes(text: str, changes: dict[str, Any], expected: str) -> None:
    """Only what is changed is written anew; further members stand behind the others, indented as they are."""
    exact = ExactJson(text)
    assert expected == exact.changed({**exact.value, **changes})
    assert text == exact.changed(exact.value)


def test_numbers_of_any_length() -> None:
    """Numbers that Python would round, or refuse, stay."""
    written = "9" * 5000
    text = f'{{"a": {written}, "a2": 12345678901234567890.123456789012345678901, "b": "x"}}'
    exact = ExactJson(text)
    assert text.replace('"x"', '"y"') == exact.changed({**exact.value, "b": "y"})


def test_names_that_come_twice() -> None:
    """Of a name that comes twice only the last value is written: nobody saw the others."""
    exact = ExactJson('{"a": [{"password": "x", "password": "y", "n": 1.10, "m": -0}], "b": "\\u00e9"}')
    assert {"a": [{"password": "y", "n": 1.1, "m": 0}], "b": "é"} == exact.value
    assert '{"a":[{"password":"y","n":1.10,"m":-0}],"b":"é"}' == exact.changed(exact.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([None, 1]), st.booleans(), st.data())
def test_any_value(value: Any, indent: int | None, ascii_only: bool, data: st.DataObject) -> None:
    """Whatever strings are changed, the text then says the new value."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    exact = ExactJson(text)
    new = _changed(exact.value, data.draw(st.integers(0, 9)))
    if isinstance(new, dict):
        new["_new member"] = 1
    assert new == json.loads(exact.changed(new))
    assert new == json.loads(dumped(new))
    assert text == exact.changed(exact.value)


def _changed(value: Any, seed: int) -> Any:
    if isinstance(value, dict):
        return {name: _changed(one, seed + len(name)) for name, one in value.items()}
    if isinstance(value, list):
        return [_changed(one, seed + index) for index, one in enumerate(value)]
    return f'"R{seed}\\' if seed % 3 == 0 else value
