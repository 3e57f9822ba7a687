"""har-validator, which checks files against the widespread JSON schema of HAR, has no complaint about a recording."""

from __future__ import annotations

import pytest

from consumers.recording import Recording
from consumers.running import Change, Changed, Read, Reader

pytestmark = pytest.mark.consumers


@pytest.fixture(scope="module")
def complaints(node_reader: Reader) -> Read:
    """What har-validator finds wrong with a recording: a list of places and rules."""
    return node_reader("har_validator.mjs")


def test_a_recording_is_valid(complaints: Read, recording: Recording) -> None:
    """Every part of the file has the form that the schema says."""
    assert [] == complaints(recording)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda log: log["entries"][0].update(serverIPAddress=""), "serverIPAddress"),
        (lambda log: log["entries"][0]["request"].update(url="nowhere special"), "url"),
        (lambda log: log["entries"][0]["response"].update(bodySize=1.5), "bodySize"),
        (lambda log: log["pages"][0].pop("title"), "pages"),
    ],
)
def test_an_invalid_file_is_noticed(complaints: Read, changed: Changed, change: Change, place: str) -> None:
    """A fault that the schema knows is reported, and so the test of the recording fails."""
    assert place in " ".join(complaints(changed(change)))
