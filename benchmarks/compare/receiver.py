"""A receiver of OTLP that takes everything: each request's body becomes a file in the directory that it is given."""

from __future__ import annotations

import itertools
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def _serve(directory: Path) -> None:
    numbers = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        """Takes what is sent."""

        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            """Nothing is told."""

        def do_POST(self) -> None:
            """Keep the body."""
            data = self.rfile.read(int(self.headers["content-length"]))
            (directory / f"{next(numbers)}.pb").write_bytes(data)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
