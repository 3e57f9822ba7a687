"""The resource that entries are of, without its secrets.

The rule: a resource is told with every request, so what must not stand in an entry must not stand in it: a password
among the arguments of the program (`process.command_args`), a key in OTEL_RESOURCE_ATTRIBUTES. It does not change, so
it is redacted once.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from otel_har.redaction.redactor import Redactor
from otel_har.redaction.spans import REDACTED

_ARGUMENTS = "process.command_args"


def redacted_resource(attributes: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """The attributes of a resource as they may be told.

    Args:
        attributes: By name.
        redactor: Takes the secrets out of them.
    """
    given = dict(attributes)
    if redactor.told is None:
        return given
    arguments = given.get(_ARGUMENTS)
    if isinstance(arguments, Sequence) and not isinstance(arguments, str):
        given[_ARGUMENTS] = _redacted_arguments([str(one) for one in arguments], redactor)
    found, _ = redactor.member_and_rules("resource", given)
    return found if isinstance(found, dict) else dict.fromkeys(given, REDACTED)


def _redacted_arguments(arguments: list[str], redactor: Redactor) -> list[str]:
    """As the line that they are: a secret is known by the option before it."""
    line = redactor.text(shlex.join(arguments))
    try:
        found = shlex.split(line)
    except ValueError:
        found = []
    return found if len(found) == len(arguments) else [line]
