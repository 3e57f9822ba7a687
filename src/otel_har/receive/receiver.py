"""`Receiver`: the servers, the queue and what delivers, from start to end.

The rule: the end is in the order of the way in. Nothing new is let in, who waits gets an answer, what was taken is
delivered, the files are closed.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otel_har.receive.access import Access
from otel_har.receive.addresses import DEFAULT_ADDRESSES, Address
from otel_har.receive.certificates import Certificates
from otel_har.receive.decoding import Decoder
from otel_har.receive.delivering import Deliverer, Tally
from otel_har.receive.destinations import Destinations
from otel_har.receive.duplicates import Window
from otel_har.receive.grpc_server import GrpcServer
from otel_har.receive.http_server import HttpServer
from otel_har.receive.intake import Intake
from otel_har.receive.parts import PATIENCE_S, Parts
from otel_har.receive.sizes import Sizes
from otel_har.receive.span_room import SpanRoom

if TYPE_CHECKING:
    from typing_extensions import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """What a receiver is to do.

    Attributes:
        addresses: Where it listens.
        token: What senders must have; None: everybody may send.
        certificates: For TLS; None: without.
        sizes: How much it takes.
        with_spans: Whether HTTP client spans become entries where no event tells of them.
    """

    addresses: Sequence[Address] = DEFAULT_ADDRESSES
    token: str | None = None
    certificates: Certificates | None = None
    sizes: Sizes = field(default_factory=Sizes)
    with_spans: bool = False


class Receiver:
    """Takes OTLP and delivers entries.

    Args:
        destinations: Where entries go. They are shut down with the receiver.
        settings: What it is to do.
    """

    def __init__(self, destinations: Destinations, settings: ReceiverSettings) -> None:
        self._settings = settings
        parts = Parts(settings.sizes.parts_bytes, patience_s=PATIENCE_S)
        decoder = Decoder(settings.sizes.message_bytes, with_spans=settings.with_spans, parts=parts)
        self._deliverer = Deliverer(decoder, destinations, Window(), SpanRoom())
        self._intake = Intake(self._deliverer.deliver, settings.sizes.queue_bytes)

    @property
    def tally(self) -> Tally:
        """What became of all that came."""
        return self._deliverer.tally

    def run(self, listening: Callable[[Sequence[Address]], None]) -> bool:
        """Take and deliver until SIGINT or SIGTERM; call it from the main thread.

        Args:
            listening: Called with the addresses once all are listened at.

        Returns:
            Whether everything that was taken was delivered within the time for the end.

        Raises:
            OSError: An address cannot be had, or a certificate.
        """
        try:
            asyncio.run(self._serve(listening))
        finally:
            is_done = self._intake.close(self._settings.sizes.ending_s)
            self._deliverer.close(int(self._settings.sizes.ending_s * 1000))
        return is_done

    async def _serve(self, listening: Callable[[Sequence[Address]], None]) -> None:
        servers: list[GrpcServer | HttpServer] = []
        with _Ending() as ending:
            try:
                taken: list[Address] = []
                for address in self._settings.addresses:
                    server = self._server(address)
                    servers.append(server)
                    taken.append(address.at(await server.start(address.host, address.port)))
                listening(taken)
                await ending.wait()
            finally:
                await asyncio.gather(*(server.stop() for server in servers))

    def _server(self, address: Address) -> GrpcServer | HttpServer:
        settings = self._settings
        access, certificates = Access(settings.token), settings.certificates
        if address.protocol == "grpc":
            credentials = certificates.for_grpc() if certificates is not None else None
            return GrpcServer(self._intake, access, settings.sizes, credentials)
        context = certificates.for_http() if certificates is not None else None
        return HttpServer(self._intake, access, settings.sizes, context)


class _Ending:
    """Waits for the signal to end. A second one ends the process as it would without us."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def end(number: int, frame: object) -> None:  # noqa: ARG001 - a signal handler
            signal.signal(number, signal.SIG_DFL)
            loop.call_soon_threadsafe(self._event.set)

        self._before = {number: signal.signal(number, end) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # what `signal` gave

    async def wait(self) -> None:
        """Wait for it."""
        await self._event.wait()
