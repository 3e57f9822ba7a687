"""Answers as OTLP writes them: responses, and `google.rpc.Status` for what was not taken.

The rule: OTLP 1.5, "Failures": which codes are sent again and which are not.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message as ProtobufMessage
from google.rpc.code_pb2 import INTERNAL, INVALID_ARGUMENT, RESOURCE_EXHAUSTED
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_har.receive.answers import Answer, Verdict
from otel_har.receive.intake import Signal

CODES: dict[Verdict, int] = {
    Verdict.MALFORMED: INVALID_ARGUMENT,
    Verdict.TOO_LARGE: INVALID_ARGUMENT,
    Verdict.BUSY: RESOURCE_EXHAUSTED,
    Verdict.FAILED: INTERNAL,
}
"""gRPC's codes. RESOURCE_EXHAUSTED is sent again only with RetryInfo, which `status` puts there for BUSY alone."""

_RESPONSES: dict[Signal, type[Any]] = {
    Signal.LOGS: ExportLogsServiceResponse,
    Signal.TRACES: ExportTraceServiceResponse,
    Signal.METRICS: ExportMetricsServiceResponse,
}
_REJECTED = {
    Signal.LOGS: "rejected_log_records",
    Signal.TRACES: "rejected_spans",
    Signal.METRICS: "rejected_data_points",
}


def response(signal: Signal, answer: Answer) -> ProtobufMessage:
    """The response to a request that was taken; it says what of it was not, or what is to be known."""
    made: ProtobufMessage = _RESPONSES[signal]()
    if answer.text or answer.rejected:
        partial: Any = made.partial_success  # type: ignore[attr-defined] # all three have one
        setattr(partial, _REJECTED[signal], answer.rejected)
        partial.error_message = answer.text
    return made


def status(code: int, text: str, retry_after_s: int | None = None) -> Status:
    """What is said of a request that was not taken.

    Args:
        code: gRPC's.
        text: For a person.
        retry_after_s: When it may be sent again, seconds; None for one that is not to be.
    """
    made = Status(code=code, message=text)
    if retry_after_s is not None:
        info = RetryInfo()
        info.retry_delay.seconds = retry_after_s
        detail = AnyMessage()
        detail.Pack(info)
        made.details.append(detail)
    return made


def status_of(answer: Answer) -> Status:
    """What is said of a request that was not taken."""
    return status(CODES[answer.verdict], answer.text, answer.retry_after_s if answer.verdict is Verdict.BUSY else None)
