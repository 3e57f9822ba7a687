"""What passed over a WebSocket to the entry's members, as Chrome writes them.

The rule: `_webSocketMessages` has the messages of both directions in the order of their passing, text as text, all
else as base64 (Chrome DevTools protocol, `Network.WebSocketFrame.payloadData`). What is missing of them is said.
"""

from __future__ import annotations

import base64
import codecs
import copy
from operator import itemgetter
from typing import Any

from otel_har.duplex import Passage
from otel_har.exchange import Exchange, Instants
from otel_har.mapping.bodies import OVER_BUDGET
from otel_har.mapping.frames import BINARY, CLOSE, TEXT, Message, Reading, read_messages

_CLOSE_CODE_BYTES = 2
_STILL_OPEN = "the WebSocket was still open when the recording ended"
_NO_CLOSE_FRAME = "closed without a close frame of the server's"


def known_instants(exchange: Exchange) -> Instants:
    """The exchange's instants; that of a WebSocket which is still open lasts until its last message."""
    duplex = exchange.duplex
    last = [] if duplex is None else [at for at in (duplex.sent.last_at, duplex.received.last_at) if at is not None]
    if not last or exchange.finished:
        return exchange.instants
    instants = copy.copy(exchange.instants)
    instants.finished = max(last)
    return instants


def with_frames(response: dict[str, Any], exchange: Exchange) -> dict[str, Any]:
    """The `response` object with the frames counted among the bytes on the wire."""
    if exchange.duplex is None or response["_transferSize"] < 0:
        return response
    return response | {"_transferSize": response["_transferSize"] + exchange.duplex.received.body.size_bytes}


def har_websocket(exchange: Exchange) -> dict[str, Any]:
    """The entry's `_webSocketMessages`, and the `comment` on what is missing of them."""
    duplex = exchange.duplex
    if duplex is None:
        return {}
    if duplex.unrecorded is not None:
        return {"comment": f"WebSocket messages are left out: {duplex.unrecorded}"}
    if exchange.response_body.rule == "none":
        sizes = f"{duplex.sent.body.size_bytes} bytes sent, {duplex.received.body.size_bytes} received"
        return {"comment": f"WebSocket messages are left out by a filter: {sizes}"}
    sent, received = read_messages(duplex.sent), read_messages(duplex.received)
    messages = [
        (message.at, _har_message(exchange, kind, message, is_cut=passage.is_cut or reading.full))
        for kind, passage, reading in (("send", duplex.sent, sent), ("receive", duplex.received, received))
        for message in reading.messages
    ]
    messages.sort(key=itemgetter(0))
    remarks = [*_missing("sent", duplex.sent, sent), *_missing("received", duplex.received, received)]
    if not exchange.finished:
        remarks.append(_STILL_OPEN)
    elif not remarks and all(message.opcode != CLOSE for message in received.messages):
        remarks.append(_NO_CLOSE_FRAME)
    entry: dict[str, Any] = {"_webSocketMessages": [message for _, message in messages]}
    return entry | ({"comment": "; ".join(remarks)} if remarks else {})


def _missing(direction: str, passage: Passage, reading: Reading) -> list[str]:
    """What is not among the messages of one direction, in words."""
    remarks = []
    if passage.is_cut:
        why = f": {OVER_BUDGET}" if passage.body.is_over_budget else ""
        kept_bytes, size_bytes = passage.body.kept_bytes, passage.body.size_bytes
        remarks.append(f"{direction}: cut, the first {kept_bytes} of {size_bytes} bytes{why}")
    if reading.full:
        remarks.append(f"{direction}: cut, the first {len(reading.messages)} messages")
    if reading.fault is not None:
        remarks.append(f"{direction}: unreadable behind {len(reading.messages)} messages: {reading.fault}")
    return remarks


def _har_message(exchange: Exchange, kind: str, message: Message, *, is_cut: bool) -> dict[str, Any]:
    """One message; `_bodyState`, as in bodies, says why its end is missing."""
    unix_ns = exchange.started_unix_ns + message.at - exchange.instants.started
    data = bytes(message.data)
    har: dict[str, Any] = {"type": kind, "time": round(unix_ns / 1e9, 6), "opcode": message.opcode}
    if exchange.response_body.rule == "text" and message.opcode == BINARY:
        return har | {"data": "", "_bodyState": "excluded", "comment": f"left out by a filter: {len(data)} bytes"}
    if message.opcode == TEXT:
        har["data"] = codecs.getincrementaldecoder("utf-8")("replace").decode(data, final=message.whole)
        if message.whole and har["data"].encode() != data:
            har["_base64"] = _base64(data)  # no UTF-8, which RFC 6455, 5.6 demands
    else:
        har["data"] = _base64(data)
    if message.opcode == CLOSE and len(data) >= _CLOSE_CODE_BYTES:  # RFC 6455, 5.5.1
        har["_closeCode"] = int.from_bytes(data[:_CLOSE_CODE_BYTES], "big")
        har["_closeReason"] = data[_CLOSE_CODE_BYTES:].decode("utf-8", "replace")
    if not message.whole:
        har["_bodyState"] = "truncated" if is_cut else "partial"
    return har


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
