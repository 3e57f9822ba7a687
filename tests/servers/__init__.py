"""A real HTTP/1.1 server on loopback that remembers every byte it saw and sent."""

from servers.comparison import assert_same_exchange, body_of, pairs
from servers.gates import Gates
from servers.programs import CompletedRun, InstrumentedRunner, PlainRunner
from servers.records import Exchange, SeenMessage, SeenRequest, SentResponse
from servers.server import RecordingServer, unused_port

__all__ = [
    "CompletedRun",
    "Exchange",
    "Gates",
    "InstrumentedRunner",
    "PlainRunner",
    "RecordingServer",
    "SeenMessage",
    "SeenRequest",
    "SentResponse",
    "assert_same_exchange",
    "body_of",
    "pairs",
    "unused_port",
]
