"""The certificate of a receiver, as its two servers need it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM.

    Attributes:
        certificate: The server's certificate, with those between it and the root.
        key: Its key.
        client_authority: Whose certificates senders must have; None: they need none.
    """

    certificate: Path
    key: Path
    client_authority: Path | None = None

    def for_http(self) -> ssl.SSLContext:
        """For HTTPS.

        Raises:
            OSError: A file cannot be read, or is not what it should be.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        if self.client_authority is not None:
            context.load_verify_locations(self.client_authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def for_grpc(self) -> grpc.ServerCredentials:
        """For gRPC.

        Raises:
            OSError: A file cannot be read.
        """
        authority = self.client_authority.read_bytes() if self.client_authority is not None else None
        return grpc.ssl_server_credentials(
            [(self.key.read_bytes(), self.certificate.read_bytes())],
            root_certificates=authority,
            require_client_auth=authority is not None,
        )
