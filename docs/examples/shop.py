"""A small shop that calls its services with requests and aiohttp: something to record.

It starts the services itself, on a port of this machine, so it needs no network:

    opentelemetry-instrument --har out.har python docs/examples/shop.py
"""

import asyncio
import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import requests
from opentelemetry import trace


class Services(BaseHTTPRequestHandler):
    """The shop's services: a catalogue, a basket, and a payment that is refused."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the catalogue, compressed; its old address redirects."""
        if self.path == "/catalogue":
            self._answer(302, {"Location": "/v2/catalogue?page=1"})
        else:
            articles = [{"article": number, "name": f"Tea no. {number}", "price": "4.20"} for number in range(50)]
            body = gzip.compress(json.dumps(articles).encode())
            self._answer(200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, body)

    def do_POST(self) -> None:
        """Take whatever comes; payments are refused."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/payment":
            self._answer(402, {"Content-Type": "text/plain; charset=iso-8859-1"}, "Zahlung nötig".encode("latin-1"))
        else:
            self._answer(201, {"Content-Type": "application/json", "Set-Cookie": "basket=7; HttpOnly"}, b'{"items": 1}')

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the terminal quiet."""


def shop(services: str) -> None:
    """Look at the catalogue and fill the basket."""
    session = requests.Session()
    articles = session.get(f"{services}/catalogue", timeout=10).json()
    session.post(f"{services}/basket", json={"article": articles[0]["article"]}, timeout=10)
    print(f"put {articles[0]['name']} into the basket")


async def pay(services: str) -> None:
    """Pay by card, and try a bank that is not there."""
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{services}/payment", data={"amount": "4.20"}) as response:
            print(f"payment: {response.status} {await response.text()}")
        try:
            await session.get("http://127.0.0.1:9/bank")
        except aiohttp.ClientError as error:
            print(f"bank: {type(error).__name__}")


def main() -> None:
    """Start the services and go shopping; each step is a span, and so a page of the recording."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Services)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    services = f"http://127.0.0.1:{server.server_address[1]}"
    tracer = trace.get_tracer("shop")
    with tracer.start_as_current_span("shopping"):
        shop(services)
    with tracer.start_as_current_span("paying"):
        asyncio.run(pay(services))
    server.shutdown()


if __name__ == "__main__":
    main()
