"""How large an entry is, without writing it out."""

from __future__ import annotations

from otel_har.har.models import Entry


def text_length(entry: Entry) -> int:
    """The characters of its texts that may be long."""
    sent, got = entry.request.post_data, entry.response.content
    length = len(got.text or "") + (len(sent.text or "") if sent is not None else 0)
    if sent is not None and sent.params:
        length += sum(len(parameter.value or "") for parameter in sent.params)
    messages = [*(entry.web_socket_messages or ()), *(entry.event_source_messages or ())]
    return length + sum(len(message["data"]) for message in messages)
