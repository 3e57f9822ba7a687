"""The program whose recording every consumer is given: each case below is one kind of exchange.

To have another kind of entry read by every consumer, add a function with `@case` to the list. It gets the session of
its client, runs within a span of its own (so it is a page of the recording, named after the function), and has to
raise nothing. `at` gives each client URLs of its own, so that answers can be told apart when they are replayed.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import ssl
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import aiohttp
import requests
from opentelemetry import trace
from requests.auth import HTTPDigestAuth

BASE = os.environ["TEST_BASE"]
TLS_BASE = os.environ["TEST_TLS_BASE"]
TLS_CA = os.environ["TEST_TLS_CA"]
UNUSED = os.environ["TEST_UNUSED"]

SHORT_S = 0.3
"""How long a program waits for an answer that never comes."""

BINARY = bytes(range(256))

Session = requests.Session
AioSession = aiohttp.ClientSession
Case = Callable[[Any], Any]
"""A function of a `Session`, or a coroutine function of an `AioSession`."""

CASES: list[Case] = []
SPANLESS: list[Case] = []


def case(function: Case) -> Case:
    """Add a case, to be run within a span."""
    CASES.append(function)
    return function


def spanless_case(function: Case) -> Case:
    """Add a case, to be run outside any span: on the page of the program's run."""
    SPANLESS.append(function)
    return case(function)


def at(path: str, client: str = "requests") -> str:
    """The URL of a path, different for each client."""
    return f"{BASE}{path}{'&' if '?' in path else '?'}by={client}"


def aio(path: str) -> str:
    """The URL of a path for aiohttp."""
    return at(path, "aiohttp")


@contextmanager
def failing(*errors: type[Exception]) -> Iterator[None]:
    """Expect one of the errors."""
    try:
        yield
    except errors:
        return
    raise SystemExit(f"no {errors}")


@case
def requests_texts(session: Session) -> None:
    for path in ("/json", "/latin1", "/potato", "/no-type", "/no-reason", "/split", "/stream", "/close"):
        session.get(at(path))


@case
def requests_compressed(session: Session) -> None:
    for path in ("/gzip", "/deflate", "/br", "/gzip-stream"):
        session.get(at(path))


@case
def requests_binary(session: Session) -> None:
    for path in ("/binary", "/bytes/1000", "/bytes/300000", "/bytes/0"):
        session.get(at(path))


@spanless_case
def requests_statuses(session: Session) -> None:
    for path in ("/empty", "/status/201", "/status/304", "/status/404", "/status/418", "/status/500"):
        session.get(at(path))


@case
def requests_query(session: Session) -> None:
    for path in ("/item/q?a=1&a=2&b=&c=%C3%A4+x%26&d", "/item/ä%20b;c=d?e=ü", "/item/f?g=h#fragment"):
        session.get(f"{BASE}{path}")


@case
def requests_redirects(session: Session) -> None:
    session.get(at("/redirect/3"))
    session.get(at("/redirect/2"), allow_redirects=False)
    session.post(at("/redirect-307/2"), data=b"again and again")


@case
def requests_bodies(session: Session) -> None:
    session.post(at("/echo/json"), json={"ü": [1, None]})
    session.post(at("/echo/form"), data={"a": ["1", "2"], "b": "ü &="})
    session.post(at("/echo/binary"), data=BINARY)
    session.post(at("/echo/untyped"), data="no type")
    session.post(
        at("/echo/latin1"), data="Größe".encode("latin-1"), headers={"Content-Type": "text/plain; charset=latin1"}
    )
    session.post(at("/echo/generator"), data=iter([b"one ", b"two ", b"three"]))
    session.post(at("/echo/empty"), data=b"")
    session.post(at("/echo/nothing"))


@case
def requests_same_url(session: Session) -> None:
    for body in (b"first", b"second", BINARY):
        session.post(at("/echo/same"), data=body)


@case
def requests_multipart(session: Session) -> None:
    session.post(at("/echo/text-file"), data={"field": "välue"}, files={"file": ("a.txt", b"of a file", "text/plain")})
    session.post(at("/echo/binary-file"), files={"file": ("a.bin", BINARY)})
    for content in ("one", "two"):  # each with a boundary of its own
        session.post(at("/echo/same-form"), files={"file": ("a.txt", content)})


@case
def requests_same_url_by_headers(session: Session) -> None:
    for language in ("de", "fr"):
        session.get(at("/echo/language"), headers={"Accept-Language": language})


@case
def requests_methods(session: Session) -> None:
    for method in ("PUT", "PATCH", "DELETE", "REPORT"):
        session.request(method, at(f"/echo/{method}"), data=b"body")
    session.head(at("/json"))
    session.options(at("/echo/options"))


@case
def requests_headers(session: Session) -> None:
    session.get(at("/duplicate-headers"), headers={"X-One": "1", "x-two": "zwei", "User-Agent": "mine"})
    session.get(at("/http10"))
    session.get(at("/digest"), auth=HTTPDigestAuth("user", "secret"))


@case
def requests_cookies(session: Session) -> None:
    session.get(at("/set-cookies"))
    session.get(at("/echo/cookies"), cookies={"a": "1", "b": "x=y"})


@case
def requests_secrets(session: Session) -> None:
    secret = "Xq7vT2mB9kLw4zRd8pYs"  # noqa: S105 - of nothing
    headers = {"Authorization": f"Bearer {secret}", "X-Api-Key": secret, "Referer": f"https://a.test/?token={secret}"}
    at_user = at(f"/item/secret?access_token={secret}&page=2").replace("://", f"://user:{secret}@")
    session.get(at_user, headers=headers, cookies={"sid": secret})
    session.post(at("/echo/secret-json"), json={"name": "Ann", "password": secret, "n": [{"token": secret}]})
    session.post(at("/echo/secret-form"), data={"user": "Ann", "password": secret})
    session.post(at("/echo/secret-parts"), data={"password": secret}, files={"file": ("a.bin", BINARY)})
    session.post(at("/echo/secret-binary"), data=BINARY + f'{{"password": "{secret}"}}'.encode())
    session.get(at(f"/redirect-to?/item/moved?token={secret}"))


@case
def requests_failures(session: Session) -> None:
    for url in (f"{UNUSED}/refused", at("/reset"), at("/hang-up"), at("/garbage")):
        with failing(requests.ConnectionError):
            session.post(url, data=b"body")
    with failing(requests.Timeout):
        session.get(at("/silence"), timeout=SHORT_S)
    for path in ("/truncated", "/truncated-chunks", "/reset-mid-body", "/bad-gzip"):
        with failing(requests.RequestException):
            session.get(at(path))


@case
def requests_streams(session: Session) -> None:
    session.get(at("/stream/unread"), stream=True).close()
    with session.get(at("/stream/partial"), stream=True) as response:
        next(response.iter_content(11))
    with session.get(at("/sse"), stream=True) as response:
        list(response.iter_lines())


@case
def requests_tls(session: Session) -> None:
    session.post(f"{TLS_BASE}/echo/requests", data=b"secret", verify=TLS_CA)
    with failing(requests.exceptions.SSLError):
        session.get(f"{TLS_BASE}/refused-certificate")


@case
def urllib_text(_session: Session) -> None:
    with urllib.request.urlopen(at("/json", "urllib")) as response:  # noqa: S310 - the URL is ours
        response.read()


@case
async def aiohttp_texts(session: AioSession) -> None:
    for path in ("/json", "/latin1", "/gzip", "/deflate", "/br", "/gzip-stream", "/stream", "/no-reason", "/http10"):
        async with session.get(aio(path)) as response:
            await response.read()


@case
async def aiohttp_binary(session: AioSession) -> None:
    for path in ("/binary", "/bytes/300000", "/bytes/0", "/empty", "/status/304", "/status/500"):
        async with session.get(aio(path)) as response:
            await response.read()


@spanless_case
async def aiohttp_redirects(session: AioSession) -> None:
    async with session.get(aio("/redirect/3")) as response:
        await response.text()


@case
async def aiohttp_bodies(session: AioSession) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one ", b"two ", b"three"):
            yield piece

    form = aiohttp.FormData({"field": "välue"})
    form.add_field("file", BINARY, filename="a.bin", content_type="application/octet-stream")
    await session.post(aio("/echo/json"), json={"ü": [1, None]})
    for name, data in {"form": {"a": "1", "b": "ü &="}, "binary": BINARY, "pieces": pieces(), "files": form}.items():
        async with session.post(aio(f"/echo/{name}"), data=data) as response:
            await response.read()


@case
async def aiohttp_cookies(session: AioSession) -> None:
    async with session.get(aio("/set-cookies")) as response:
        await response.read()
    async with session.get(aio("/duplicate-headers"), headers={"X-One": "1"}) as response:
        await response.read()


@case
async def aiohttp_failures(session: AioSession) -> None:
    for url in (f"{UNUSED}/refused", aio("/reset"), aio("/hang-up"), aio("/garbage")):
        with failing(aiohttp.ClientError):
            await session.post(url, data=b"body")
    with failing(asyncio.TimeoutError):
        await session.get(aio("/silence"), timeout=aiohttp.ClientTimeout(total=SHORT_S))
    for path in ("/truncated", "/truncated-chunks", "/reset-mid-body"):
        with failing(aiohttp.ClientError):
            async with session.get(aio(path)) as response:
                await response.read()


@case
async def aiohttp_streams(session: AioSession) -> None:
    async with session.get(aio("/stream/unread")):
        pass
    async with session.get(aio("/stream/partial")) as response:
        await response.content.readany()
    async with session.get(aio("/sse")) as response:
        _ = [line async for line in response.content]


@case
async def aiohttp_tls(session: AioSession) -> None:
    async with session.post(
        f"{TLS_BASE}/echo/aiohttp", data=b"secret", ssl=ssl.create_default_context(cafile=TLS_CA)
    ) as response:
        await response.read()
    with failing(aiohttp.ClientConnectorCertificateError):
        await session.get(f"{TLS_BASE}/refused-certificate")


@case
async def aiohttp_at_once(session: AioSession) -> None:
    await asyncio.gather(*(session.get(aio(f"/item/{number}")) for number in range(3)))


@case
async def aiohttp_websocket(session: AioSession) -> None:
    async with session.ws_connect(aio("/websocket")) as socket:
        await socket.send_str("text ä")
        await socket.receive_str()
        await socket.send_bytes(BINARY)
        await socket.receive_bytes()
        await socket.send_str('{"password": "Xq7vT2mB9kLw4zRd8pYs"}')
        await socket.receive_str()


async def run_all() -> None:
    """Run every case."""
    tracer = trace.get_tracer("consumers")
    with requests.Session() as session:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as aio_session:
            for function in CASES:
                page = nullcontext() if function in SPANLESS else tracer.start_as_current_span(function.__name__)
                with page:
                    if inspect.iscoroutinefunction(function):
                        await function(aio_session)
                    else:
                        function(session)


if __name__ == "__main__":
    asyncio.run(run_all())
