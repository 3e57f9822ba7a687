"""What a recorder has recorded, read back: is every exchange there, once, with its status and its whole body?"""

from __future__ import annotations

import base64
import collections
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

_OK = 200


class Recorded(NamedTuple):
    """One recorded exchange.

    Attributes:
        number: The number in its URL.
        status: The response's status.
        size: The bytes of its body.
    """

    number: int
    status: int
    size: int


@dataclass(frozen=True)
class Verification:
    """What is wrong with a recording.

    Attributes:
        lost: Exchanges that are missing.
        doubled: Entries beyond the first of an exchange.
        wrong: Entries with another status, or another length of body.
    """

    lost: int = 0
    doubled: int = 0
    wrong: int = 0

    def __str__(self) -> str:
        told = [f"{count:,} {name}" for name, count in vars(self).items() if count]
        return ", ".join(told) or "whole"


def verified(recorded: Iterable[Recorded], expected: range, size: int) -> Verification:
    """Compare what was recorded with what was sent.

    Args:
        recorded: The entries.
        expected: The numbers of the exchanges.
        size: The bytes that each body has.
    """
    counts: collections.Counter[int] = collections.Counter()
    wrong = 0
    for entry in recorded:
        counts[entry.number] += 1
        wrong += (entry.status, entry.size) != (_OK, size)
    lost = sum(number not in counts for number in expected)
    return Verification(lost, sum(counts.values()) - len(counts), wrong)


def of_har(path: Path) -> Iterator[Recorded]:
    """The exchanges of a HAR file."""
    with path.open("rb") as file:
        document = json.load(file)
    yield from map(_of_entry, document["log"]["entries"])


def entries_in(path: Path) -> int:
    """How many entries a HAR file has, of any size; none of its bodies may look like HAR."""
    with path.open("rb") as file:
        return sum(line.count(b'"startedDateTime"') - line.count(b'"pageTimings"') for line in file)


def of_otlp(directory: Path) -> Iterator[Recorded]:
    """The exchanges of the requests that a receiver kept."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (  # noqa: PLC0415 - where OTLP is measured
        ExportLogsServiceRequest,
    )

    for path in directory.glob("*.pb"):
        for resource in ExportLogsServiceRequest.FromString(path.read_bytes()).resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    attributes = {attribute.key: attribute.value for attribute in record.attributes}
                    if record.event_name == "otel_har.entry":
                        yield _of_entry(json.loads(attributes["otel_har.entry.json"].string_value))


def of_cassette(path: Path) -> Iterator[Recorded]:
    """The exchanges of a cassette of vcrpy."""
    import yaml  # noqa: PLC0415 - where vcrpy is measured

    with path.open("rb") as file:
        document = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    for interaction in document["interactions"]:
        body = interaction["response"]["body"]["string"]
        size = len(body.encode() if isinstance(body, str) else body)
        yield Recorded(_number(interaction["request"]["uri"]), interaction["response"]["status"]["code"], size)


def _of_entry(entry: dict[str, Any]) -> Recorded:
    response = entry["response"]
    text = response["content"].get("text") or ""
    body = base64.b64decode(text) if response["content"].get("encoding") == "base64" else text.encode()
    return Recorded(_number(entry["request"]["url"]), response["status"], len(body))


def _number(url: str) -> int:
    return int(urlsplit(url).query.partition("=")[2])
