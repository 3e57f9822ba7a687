"""What the installed releases of the clients and of OpenTelemetry do by themselves.

A test whose outcome differs between supported releases asks here, so that it expects of each what that one does. What
a release does differently from run to run, recorded or not, is left out of its programs.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

from urllib3 import HTTPResponse


def _release(distribution: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version(distribution))[:3])


_AIOHTTP = _release("aiohttp")
_REQUESTS = _release("requests")
_URLLIB3 = _release("urllib3")
_OTEL = _release("opentelemetry-api")

AIOHTTP_COUNTS_CODED_BODIES = _AIOHTTP >= (3, 13)
"""`StreamReader.total_compressed_bytes`: the size of a coded body that it decodes, whatever its framing."""

AIOHTTP_COUNTS_HEADS = _AIOHTTP >= (3, 14)
"""`ClientResponse._output_size`: the size of a head whose connection is back in its pool."""

AIOHTTP_LEAVES_FILES_OPEN = _AIOHTTP >= (3, 12)
"""Before, a thread closes a body that is a file, sooner or later: a redirect may find it closed."""

AIOHTTP_TRIES_AGAIN = _AIOHTTP >= (3, 10)
"""Sends an idempotent request again where its connection ended without an answer."""

AIOHTTP_IS_QUIET = _AIOHTTP >= (3, 11)
"""Before, asyncio complains of a body that aiohttp was still sending when the answer came ("never retrieved")."""

URLLIB3_MISSES_BYTES = _URLLIB3 >= (2,)
"""Raises where less came than Content-Length announced; before, a short body is a whole one to the program."""

URLLIB3_DECODES_X_GZIP = "x-gzip" in HTTPResponse.CONTENT_DECODERS
"""Before, `x-gzip` is a coding that it does not know."""

URLLIB3_READS_ON = _URLLIB3 >= (2,)
"""A decoding read of an amount gives bytes until the end; before, it gives nothing where the decoder has none yet."""

URLLIB3_LOOKS_BEFORE_IT_READS = _URLLIB3 >= (2,)
"""Refuses a wrong amount and goes on; before, any error of a read closes the response."""

URLLIB3_DELEGATES = _URLLIB3 >= (2,)
"""To `read_chunked`, in iterations over chunked bodies; before, that does not see what is thrown into them."""

URLLIB3_SENDS_UTF_8 = _URLLIB3 >= (2,)
"""Of a body that is text; before, http.client sends ISO 8859-1, and refuses what that lacks."""

URLLIB3_LEAVES_BACKSLASHES = _URLLIB3 >= (2,)
"""In the names of a form; before, it doubles them."""

REQUESTS_SENDS_ANY_PIECE = _REQUESTS >= (2, 29)
"""It leaves chunked bodies to urllib3; before, an empty piece ends one, text and readers are not taken."""

READERS_ARE_READ = _REQUESTS >= (2, 29) and _URLLIB3 >= (2,)
"""As bodies of unannounced length; before, they are iterated over."""

BYTEARRAYS_ARE_SENT = _REQUESTS < (2, 29) or _URLLIB3 >= (2,)
"""As pieces of a body; urllib3 1.26, where requests leaves chunked bodies to it, takes them for text."""

REQUESTS_COUNTS_BYTES_OF_TEXT = _REQUESTS >= (2, 32) or _URLLIB3 < (2,)
"""Before, with urllib3 2, it announces as many bytes as a text has characters."""

OTEL_EXCLUDES_URLS_OF_AIOHTTP = _OTEL >= (1, 39)
"""Its instrumentation of aiohttp reads OTEL_PYTHON_EXCLUDED_URLS."""

OTEL_IS_PASSED_ON = _OTEL >= (1, 42)
"""New Python processes that the program starts are instrumented, too."""


class _Written:
    def __init__(self) -> None:
        self.data = b""

    async def write(self, piece: bytes) -> None:
        self.data += piece


async def bytes_of_payload(payload: Any) -> bytes:
    """What aiohttp would send of a payload; its own `as_bytes` is new in 3.12."""
    written = _Written()
    await payload.write(written)
    return written.data
