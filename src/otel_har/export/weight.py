"""How large an entry is, without writing it out."""

from __future__ import annotations

from typing import Any

from otel_har.har.models import Entry


def text_length(entry: Entry) -> int:
    """The characters of its texts that may be long."""
    sent, got = entry.request.post_data, entry.response.content
    length = len(got.text or "") + (len(sent.text or "") if sent is not None else 0)
    if sent is not None and sent.params:
        length += sum(len(parameter.value or "") for parameter in sent.params)
    return length + sum(map(_data_length, (entry.web_socket_messages, entry.event_source_messages)))


def _data_length(messages: Any) -> int:
    """That of messages, which a program's redactor may give any form."""
    found = messages if isinstance(messages, list | tuple) else ()
    data = [message.get("data") for message in found if isinstance(message, dict)]
    return sum(len(one) for one in data if isinstance(one, str))
